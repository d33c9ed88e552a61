"""A pure package."""
