"""What does one say to somebody, fast?"""

from hwb_demo_c._greet import greet

__all__ = ["greet"]
