"""What does one say to somebody?"""

__all__ = ["greet"]


def greet(name: str) -> str:
    """A friendly sentence for `name`; nobody in particular is the world."""
    return f"Hello, {name.strip() or 'world'}!"
