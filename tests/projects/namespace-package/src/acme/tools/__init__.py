"""A real package in a namespace (PEP 420)."""
