"""From before pyproject.toml."""
