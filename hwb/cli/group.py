"""Which commands are there, and how do errors become messages and exit codes? Each is imported when invoked."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from hwb import __version__
from hwb.cli.output import flush_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwb.errors import HwbError

__all__ = ["explain", "help_without_command", "invoke", "main", "workspace_of"]

_COMMANDS = {
    "run": ("hwb.cli.run", "Run sessions: hwb run release, hwb run build test."),
    "build": ("hwb.cli.build", "Build a directory, archive or repository into an sdist and a wheel."),
    "check": ("hwb.cli.check", "Are these wheels and sdists what they claim to be?"),
    "inspect": ("hwb.cli.inspect", "What can be known about a project without running it?"),
    "matrix": ("hwb.cli.matrix", "Make every wheel that the project needs, or list them."),
    "sessions": ("hwb.cli.sessions", "List every session, or draw their graph."),
    "recipes": ("hwb.cli.recipes", "List, show or eject recipes."),
    "python": ("hwb.cli.python", "Which Pythons are on this machine?"),
    "lock": ("hwb.cli.lock", "Write down the exact build requirements (pylock.build.toml)."),
    "cache": ("hwb.cli.cache", "What is in the store, and how is it pruned?"),
    "demo": ("hwb.cli.demo", "Make a small project to play with."),
}


class _Lazy(click.Group):
    """A group whose commands are imported only when one of them is invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        from importlib import import_module

        command: click.Command = import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table: help must not import every command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            from hwb.loader import near

            hint = near(name, _COMMANDS) or f"to run the recipe {name!r}: hwb run {name}"
            raise click.UsageError(f"no such command {name!r}. {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.option("--directory", metavar="DIR", help="Work in this project instead of the current directory.")
@click.option("-f", "--file", metavar="FILE", help="The hwbfile (default: hwbfile.py here or above).")
@click.version_option(__version__, message="hwb %(version)s")
@click.pass_context
def main(ctx: click.Context, directory: str | None, file: str | None) -> None:
    """From commits to verified, published wheels: recipes that you can read, override and run one by one."""
    ctx.obj = {"directory": directory, "file": file}
    help_without_command(ctx)


def help_without_command(ctx: click.Context) -> None:
    """A group without a command shows its help and ends with 2, whatever click's version makes of it."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        ctx.exit(2)


def invoke(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code. Errors are explained on standard error."""
    code = _invoke(arguments)
    flush_output()
    return code


def _invoke(arguments: Sequence[str]) -> int:
    from hwb.errors import HwbError

    try:
        result = main.main(list(arguments), prog_name="hwb", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except HwbError as error:
        explain(error, arguments)
        return error.exit_code
    except BrokenPipeError:
        return 0  # a listing that nobody wanted to read to its end


def explain(error: HwbError, arguments: Sequence[str]) -> None:
    """For a person on standard error; as one JSON object on standard output too when --json was asked for."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" in own:
        import json

        click.echo(json.dumps({"schema": "hwb.error/1", "error": error.as_dict()}))
    click.echo(error.explain(), err=True)


def workspace_of(ctx: click.Context, options: dict[str, Any] | None = None) -> Any:
    """The workspace that the global options name; hands over to another process when the hwbfile has dependencies."""
    from hwb.workspace import locate, open_workspace

    directory, file = ctx.obj["directory"], ctx.obj["file"]
    _, hwbfile = locate(directory, file)
    if hwbfile is not None:
        _hand_over(hwbfile)
    return open_workspace(directory, file, options)


def _hand_over(hwbfile: str) -> None:
    """PEP 723: continue in an environment that has the packages the hwbfile names."""
    try:
        with open(hwbfile, "rb") as handle:
            if b"# /// script" not in handle.read():
                return
    except OSError:
        return  # loading it says why
    from hwb.script import needs_other_python, provide, read_block

    block = read_block(hwbfile)
    if not needs_other_python(block, os.environ):
        return
    command = [*provide(block, hwbfile), *sys.argv[1:]]
    sys.stdout.flush()
    if sys.platform == "win32":
        import subprocess

        sys.exit(subprocess.call(command))
    os.execv(command[0], command)
