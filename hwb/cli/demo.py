"""How does somebody get a project to play with?"""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("demo")
@click.argument("directory", default="hwb-demo")
@click.option("--c-extension", is_flag=True, help="The twin with a C extension (needs a compiler).")
def command(directory: str, c_extension: bool) -> int:
    """Make a small git repository with a package to release (default: ./hwb-demo)."""
    from hwb.demo import make_demo

    make_demo(directory, c_extension=c_extension)
    click.echo(f"Made {directory}. Now: hwb --directory {directory} run release")
    return 0
