"""What happens when somebody types `hwb`? The fast answers at once, everything else through click."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """The console entry point; ends the process with the exit codes of `docs/reference/exit-codes.md`."""
    if sys.argv[1:] == ["--version"]:
        from hwb import __version__

        print(f"hwb {__version__}")
        return
    # Nothing that start-up makes is ever garbage: looking for some costs a twentieth of it. A run switches it on again.
    import gc

    gc.disable()
    if sys.argv[1:2] == ["build"]:
        from hwb.builder.again import build_again

        if build_again(sys.argv[2:]):
            return
        from hwb.cli.build import quick

        code = quick(sys.argv[2:])
        if code is not None:
            sys.exit(code)
    if sys.argv[1:2] == ["check"]:
        from hwb.wheel.report import quick as check

        code = check(sys.argv[2:])
        if code is not None:
            from hwb.cli.output import flush_output

            flush_output()
            sys.exit(code)
    from hwb.cli import invoke

    sys.exit(invoke(sys.argv[1:]))


if __name__ == "__main__":
    # `python -m hwb` puts the current directory first: a repository's own packages must not stand in for what hwb needs
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    main()
