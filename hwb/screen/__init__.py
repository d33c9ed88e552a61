"""How does a person see a run? A board on a terminal, folds in CI, plain lines everywhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, TextIO

from hwb.events import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hwb.screen.text import Options

__all__ = ["Screen", "make_sink"]


class Screen(Sink, Protocol):
    """A sink that draws; only the board does something in the three methods that it adds."""

    def tick(self, now: float) -> None:
        """Draw anew if it is time; `now` is `time.monotonic()`."""
        ...

    def pause(self) -> None:
        """A command has the terminal: draw nothing."""
        ...

    def resume(self) -> None:
        """The terminal is ours again."""
        ...


def make_sink(
    stream: TextIO,
    *,
    mode: str = "auto",
    verbose: int = 0,
    quiet: bool = False,
    color: bool | None = None,
    environ: Mapping[str, str] | None = None,
    tail: Callable[[str], str],
    stream_output: bool = False,
    last_line: Callable[[str], str] | None = None,
    log_text: Callable[[str], Iterable[str]] | None = None,
    size: Callable[[], tuple[int, int]] | None = None,
) -> Screen:
    """The screen for a stream; `mode` is auto, plain, board or ci, `color` None decides by stream and environment.

    `tail(session)` is the end of a session's log; `last_line` (by default from the tail) what the board shows, and
    `log_text` (by default the log file in blocks) what a CI fold holds. With `stream_output` somebody else writes
    the commands' output to the same stream as it comes, so it is not shown again.
    """
    from hwb.screen import text

    environment = os.environ if environ is None else environ
    style = text.make_style(stream, color, environment)
    options = text.Options(verbose, quiet, stream_output, tail)
    chosen = _mode(stream, mode, options, environment)
    if chosen == "board":
        from hwb.screen.board import Board

        return Board(stream, style, options, last_line=last_line, size=size)
    if chosen == "ci":
        from hwb.screen.ci import Ci, dialect

        return Ci(stream, style, options, dialect(environment), log_text=log_text)
    from hwb.screen.plain import Plain

    return Plain(stream, style, options)


def _mode(stream: TextIO, mode: str, options: Options, environ: Mapping[str, str]) -> str:
    """What `auto` means here; `ci` where no known service runs is plain too."""
    from hwb.screen.text import is_terminal

    folds = any(environ.get(name) for name in ("GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD"))
    if mode == "ci":
        return "ci" if folds else "plain"
    if mode != "auto":
        return mode
    if folds:
        return "ci"
    dumb = environ.get("TERM") == "dumb" or bool(environ.get("CI"))
    alone = is_terminal(stream) and not dumb and not options.stream_output
    return "board" if alone and not options.verbose and not options.quiet else "plain"
