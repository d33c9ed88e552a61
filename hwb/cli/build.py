"""How does `hwb build` turn its words into a build, and what does it say about the result?"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hwb.builder.api import BuildRequest, BuildResult
    from hwb.cli.watching import Watching
    from hwb.context import CancelToken, Context
    from hwb.errors import HwbError

__all__ = ["command"]


@click.command("build")
@click.argument("source", default=".", metavar="[SOURCE]")
@click.option("-s", "--sdist", is_flag=True, default=None, help="Only the sdist (with --wheel: both, as without).")
@click.option("-w", "--wheel", is_flag=True, default=None, help="Only the wheel; it still comes from an sdist.")
@click.option("-o", "--output", "--outdir", "--out-dir", "output", metavar="DIR", help="Where files go (default: dist).")
@click.option("-p", "--python", "pythons", multiple=True, metavar="X.Y[,X.Y]", help="Build a wheel for each of these.")
@click.option("-C", "--config-setting", "config", multiple=True, metavar="KEY=VALUE", help="For the build backend.")
@click.option("--config-json", metavar="JSON", help="The same as a JSON object.")
@click.option("--from-tree", is_flag=True, help="Build the wheel from the tree, not from the sdist.")
@click.option("-n", "--no-isolation", is_flag=True, help="Use what is installed; install nothing.")
@click.option("-b", "--build-constraint", "constraints", multiple=True, metavar="FILE", help="Limit build requirements.")
@click.option("--locked", is_flag=True, help="Exactly the build requirements of pylock.build.toml (hwb lock --build).")
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.option("--clean", is_flag=True, help="First delete *.whl and *.tar.gz in the output directory.")
@click.option("--no-cache", is_flag=True, help="Build, even if nothing changed.")
@click.option("--why", is_flag=True, help="Say everything that changed since the last build; build nothing.")
@click.option("--reproduce", is_flag=True, help="Build a second time, elsewhere, and compare the bytes.")
@click.option("--release", is_flag=True, help="Refuse to ship files that git does not track.")
@click.option("--frontend", type=click.Choice(["hwb", "build", "uv"]), help="Let another front end do it.")
@click.option("--all-packages", is_flag=True, help="Build every member of the workspace, in the order of their needs.")
@click.option("--package", "packages", multiple=True, metavar="NAME", help="Build this member of the workspace.")
@click.option("--changed-since", metavar="REF", help="Only members that changed since that commit, and who needs them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("-v", "--verbose", count=True, help="Show what the build backend prints (-vv: commands too).")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless something is wrong.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Build a source into an sdist and a wheel.

    SOURCE is a directory, an archive (a file or a URL), or a repository: git+https://HOST/PATH@REF#subdirectory=DIR,
    git@HOST:PATH, a local repository's PATH@REF. The tree is left untouched; files appear when they are complete and
    checked.
    """
    from hwb.cli.watching import called_off
    from hwb.context import CancelToken
    from hwb.errors import Cancelled

    token = CancelToken()
    with called_off(token) as codes:
        try:
            return _work(ctx, options, token)
        except Cancelled as cancelled:
            click.echo(f"called off ({cancelled.reason}): nothing new is in the output directory", err=True)
            return codes[0] if codes else 130


def _work(ctx: click.Context, options: dict[str, Any], token: CancelToken) -> int:
    from hwb.cli.watching import Watching
    from hwb.context import Context, use
    from hwb.errors import HwbError

    quiet = options["quiet"] or options["as_json"]
    with _open_log() as log:
        watching = Watching(log, sys.stderr, verbose=options["verbose"], quiet=quiet)
        context = _context(token, watching, offline=options["offline"])
        watching.start()
        try:
            with use(context):
                results = _build(ctx, options)
        except HwbError as error:
            if not options["as_json"]:
                raise
            return _json_failure(error)
        finally:
            watching.stop()
            _end_strays(context)
    _note(context, results, options)
    return _tell(results, options)


def _note(context: Context, results: Sequence[BuildResult], options: dict[str, Any]) -> None:
    """The same words again need not be thought about (`hwb.builder.again`): only for the plainest of them."""
    special = ("clean", "no_cache", "why", "reproduce", "as_json", "all_packages", "packages", "changed_since", "verbose")
    depends = results[0].depends
    if depends is None or any(options[name] for name in special) or "build" not in sys.argv[1:2]:
        return
    from hwb.builder.note import write_note
    from hwb.context import use

    out_dir = os.path.dirname(results[0].artifacts[0].path)
    with use(context):
        write_note(
            sys.argv[2:], os.getcwd(), out_dir, depends, _lines(results[0])[:-1], quiet=bool(options["quiet"])
        )


def _context(token: CancelToken, watching: Watching, *, offline: bool) -> Context:
    from hwb.context import Context
    from hwb.procgroup import extend_mark
    from hwb.redact import secret_values

    configured = os.environ.get("HWB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    return Context(
        token=token,
        log=watching,
        secrets=secret_values(os.environ, []),
        emit=watching.tell,
        offline=offline or configured,
        mark=extend_mark(os.environ, f"build-{os.getpid()}", "1"),
    )


def _end_strays(context: Context) -> None:
    """What a build left running in the background, wherever it hid."""
    from hwb.procgroup import kill_marked

    if context.groups:
        kill_marked(f"build-{os.getpid()}")


@contextmanager
def _open_log() -> Iterator[IO[bytes]]:
    """A file that is there as long as the command runs; readable by others of this process by its name."""
    import tempfile

    with tempfile.NamedTemporaryFile("ab", prefix="hwb-build-", suffix=".log") as log:
        yield log  # type: ignore[misc]


def _build(ctx: click.Context, options: dict[str, Any]) -> list[BuildResult]:
    from hwb.builder.api import build_source
    from hwb.builder.zygote import Zygotes
    from hwb.context import current

    request = _request(ctx, options)
    chosen = options["packages"] or options["all_packages"] or options["changed_since"]
    with Zygotes() as zygotes:
        current().zygotes = zygotes
        if not chosen:
            return [build_source(request)]
        from hwb.builder.members import build_members

        return build_members(request, options["packages"], options["changed_since"])


def _request(ctx: click.Context, options: dict[str, Any]) -> BuildRequest:
    from hwb.builder.api import BuildRequest

    return BuildRequest(
        source=options["source"],
        output_dir=options["output"],
        sdist=options["sdist"],
        wheel=options["wheel"],
        pythons=tuple(part.strip() for text in options["pythons"] for part in text.split(",") if part.strip()),
        config_settings=_config_settings(options["config"], options["config_json"]),
        isolated=not options["no_isolation"],
        from_tree=options["from_tree"],
        release=options["release"],
        cache=not options["no_cache"],
        clean=options["clean"],
        constraints=_constraints(options["constraints"]),
        locked=options["locked"],
        frontend=options["frontend"],
        reproduce=options["reproduce"],
        only_why=options["why"],
        directory=(ctx.obj or {}).get("directory") or "",
    )


def _config_settings(pairs: Sequence[str], text: str | None) -> dict[str, str | list[str]]:
    """KEY=VALUE, a repeated key makes a list (PEP 517 leaves it open; pip, build and uv do the same)."""
    found: dict[str, str | list[str]] = {}
    if text is not None:
        found.update(_from_json(text))
    for pair in pairs:
        key, _, value = pair.partition("=")
        if not key:
            raise click.UsageError(f"-C {pair!r}: write -C KEY=VALUE")
        before = found.get(key)
        found[key] = value if before is None else [*([before] if isinstance(before, str) else before), value]
    return found


def _from_json(text: str) -> dict[str, str | list[str]]:
    import json

    try:
        data = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"--config-json: {error}") from error

    def fits(value: object) -> bool:
        return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))

    if not isinstance(data, dict) or not all(map(fits, data.values())):
        raise click.UsageError("--config-json: an object whose values are texts or lists of texts")
    return data


def _constraints(files: Sequence[str]) -> tuple[str, ...]:
    """The lines of constraints files (pip's format), comments and continuations resolved."""
    lines: list[str] = []
    for path in files:
        try:
            with open(path, encoding="utf-8") as handle:
                text = handle.read().replace("\\\n", " ")
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"--build-constraint {path}: {error}") from error
        plain = (line.partition(" #")[0].strip() for line in text.splitlines())
        lines += [line for line in plain if line and not line.startswith("#")]
    return tuple(lines)


# --- what is said ----------------------------------------------------------------------------------------------------


def _tell(results: Sequence[BuildResult], options: dict[str, Any]) -> int:
    if options["as_json"]:
        import json

        rows = [_as_json(result) for result in results]
        click.echo(json.dumps(rows[0] if len(rows) == 1 else {"schema": "hwb.builds/1", "builds": rows}, indent=1))
        return 0
    for result in () if options["quiet"] else results:
        for line in _lines(result):
            click.echo(line)
    return 0


def _lines(result: BuildResult) -> list[str]:
    if result.changes:
        return list(result.changes)
    width = max((len(_shown(artifact.path)) for artifact in result.artifacts), default=0)
    lines = [f"{_shown(a.path):<{width}}  {_size(a.size):>9}  sha256:{a.sha256}" for a in result.artifacts]
    return [*lines, f"{result.why} ({result.duration_seconds:.2f} s)"]


def _shown(path: str) -> str:
    """Relative to the current directory where that is shorter."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return path  # another drive
    return min(relative, path, key=len)


def _size(size: int) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size_in_next = size / 1000
        size = size_in_next  # type: ignore[assignment]
    return f"{size:.1f} GB"


def _as_json(result: BuildResult) -> dict[str, Any]:
    files = [{"name": a.name, "path": a.path, "kind": a.kind.value, "size": a.size, "sha256": a.sha256} for a in result.artifacts]
    phases = [{"name": p.name, "detail": p.detail, "seconds": round(p.seconds, 4), "ok": p.ok} for p in result.phases]
    return {
        "schema": "hwb.build/1",
        "success": result.success,
        "artifacts": files,
        "cached": result.cached,
        "why": result.why,
        "changes": list(result.changes),
        "isolated": result.isolated,
        "seconds": round(result.duration_seconds, 4),
        "phases": phases,
    }


def _json_failure(error: HwbError) -> int:
    import json

    told = {"schema": "hwb.build/1", "success": False, "error_code": error.code, "error": error.as_dict()}
    click.echo(json.dumps(told, indent=1))
    click.echo(error.explain(), err=True)
    return error.exit_code
