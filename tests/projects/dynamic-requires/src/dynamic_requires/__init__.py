"""A package built by a backend in its own tree."""
