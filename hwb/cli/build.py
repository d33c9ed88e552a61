"""How does `hwb build` turn its words into a build, and what does it say about the result?"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hwb.builder.api import BuildRequest, BuildResult
    from hwb.cli.watching import Watching
    from hwb.context import CancelToken, Context
    from hwb.errors import HwbError
    from hwb.runner.watcher import Watcher

__all__ = ["OPTIONS", "Option", "parse", "quick", "run"]


class Option(NamedTuple):
    """One option: how it is written, its name in the result, and what it takes: a flag, count, value or several."""

    flags: tuple[str, ...]
    name: str
    takes: str
    help: str
    metavar: str = ""


OPTIONS = (
    Option(("-s", "--sdist"), "sdist", "flag", "Only the sdist (with --wheel: both, as without)."),
    Option(("-w", "--wheel"), "wheel", "flag", "Only the wheel; it still comes from an sdist."),
    Option(("-o", "--output", "--outdir", "--out-dir"), "output", "value", "Where files go (default: dist).", "DIR"),
    Option(("-p", "--python"), "pythons", "several", "Build a wheel for each of these.", "X.Y[,X.Y]"),
    Option(("--download-python",), "download_python", "flag", "Fetch a Python that is not there, with uv."),
    Option(("-C", "--config-setting"), "config", "several", "For the build backend.", "KEY=VALUE"),
    Option(("--config-json",), "config_json", "value", "The same as a JSON object.", "JSON"),
    Option(("--from-tree",), "from_tree", "flag", "Build the wheel from the tree, not from the sdist."),
    Option(("-n", "--no-isolation"), "no_isolation", "flag", "Use what is installed; install nothing."),
    Option(("--isolation",), "isolation", "value", "Where hooks run: auto, venv, docker, none, ...", "STRATEGY"),
    Option(("--manylinux",), "manylinux", "value", "For glibc, in that image: 2014, 2_28, 2_34, ...", "POLICY"),
    Option(("--musllinux",), "musllinux", "value", "For musl (Alpine), in that image: 1_2.", "POLICY"),
    Option(("--platform",), "platform", "value", "linux/arm64 and the like, emulated if need be.", "PLATFORM"),
    Option(("--dockerfile",), "dockerfile", "value", "Build this image first, and build in it.", "FILE"),
    Option(("--gpu",), "gpu", "flag", "Give the container this machine's GPUs."),
    Option(("-b", "--build-constraint"), "constraints", "several", "Limit build requirements.", "FILE"),
    Option(("--locked",), "locked", "flag", "Exactly the build requirements of pylock.build.toml (hwb lock --build)."),
    Option(("--offline",), "offline", "flag", "Never use the network."),
    Option(("--clean",), "clean", "flag", "Delete other *.whl and *.tar.gz in the output directory."),
    Option(("--no-cache",), "no_cache", "flag", "Build, even if nothing changed."),
    Option(("--why",), "why", "flag", "Say everything that changed since the last build; build nothing."),
    Option(("--reproduce",), "reproduce", "flag", "Build a second time, elsewhere, and compare the bytes."),
    Option(("--release",), "release", "flag", "Refuse to ship files that git does not track."),
    Option(("--frontend",), "frontend", "value", "Let another front end do it: build, uv.", "NAME"),
    Option(("--all-packages",), "all_packages", "flag", "Build every member of the workspace, in the order of needs."),
    Option(("--package",), "packages", "several", "Build this member of the workspace.", "NAME"),
    Option(
        ("--changed-since",), "changed_since", "value", "Only members that changed since, and who needs them.", "REF"
    ),
    Option(("--json",), "as_json", "flag", "One JSON object on standard output."),
    Option(("-v", "--verbose"), "verbose", "count", "Show what the build backend prints (-vv: commands too)."),
    Option(("-q", "--quiet"), "quiet", "flag", "Say nothing unless something is wrong."),
)
"""What can be given; read by click, and for the usual words by `parse`, which needs no import."""

_HELP = """Build a source into an sdist and a wheel.

SOURCE is a directory, an archive (a file or a URL), or a repository: git+https://HOST/PATH@REF#subdirectory=DIR,
git@HOST:PATH, a local repository's PATH@REF. The tree is left untouched; files appear when they are complete and
checked.
"""
_NONE: dict[str, Any] = {"flag": False, "count": 0, "value": None, "several": ()}


def parse(words: Sequence[str]) -> dict[str, Any] | None:
    """The options that the words mean, where they are plain; None where click has to look (a mistake, --help, ...)."""
    found: dict[str, Any] = {option.name: _NONE[option.takes] for option in OPTIONS}
    by_flag = {flag: option for option in OPTIONS for flag in option.flags}
    rest, sources = list(words), []
    while rest:
        word = rest.pop(0)
        flag, sign, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = by_flag.get(flag)
        if option is None:
            if word.startswith("-"):
                return None
            sources.append(word)
        elif option.takes in ("flag", "count"):
            if sign:
                return None
            found[option.name] = True if option.takes == "flag" else found[option.name] + 1
        else:
            if not sign and (not rest or rest[0].startswith("-")):
                return None
            value = value if sign else rest.pop(0)
            found[option.name] = value if option.takes == "value" else (*found[option.name], value)
    if len(sources) > 1:
        return None
    return {**found, "source": sources[0] if sources else "."}


def quick(words: Sequence[str]) -> int | None:
    """Do what plain words say, and return the exit code; None for others."""
    options = parse(words)
    if options is None:
        return None
    from hwb.cli.output import flush_output
    from hwb.errors import HwbError

    try:
        return run(options, "")
    except HwbError as error:
        from hwb.cli.group import explain

        explain(error, words)
        return error.exit_code
    except BrokenPipeError:
        return 0  # nobody wanted to read to the end
    finally:
        flush_output()


def __getattr__(name: str) -> Any:
    if name != "command":
        raise AttributeError(f"module 'hwb.cli.build' has no attribute {name!r}")
    import click

    kinds: dict[str, dict[str, Any]] = {
        "flag": {"is_flag": True},
        "count": {"count": True},
        "several": {"multiple": True},
    }
    params: list[click.Parameter] = [click.Argument(["source"], default=".", metavar="[SOURCE]")]
    params += [
        click.Option([*o.flags, o.name], help=o.help, metavar=o.metavar or None, **kinds.get(o.takes, {}))
        for o in OPTIONS
    ]

    @click.pass_context
    def callback(ctx: click.Context, /, **options: Any) -> int:
        return run(options, (ctx.obj or {}).get("directory") or "")

    return click.Command("build", callback=callback, params=params, help=_HELP)


def run(options: dict[str, Any], directory: str) -> int:
    """Build; the exit code. Raises HwbError."""
    from hwb.cli.watching import called_off
    from hwb.context import CancelToken
    from hwb.errors import Cancelled

    token = CancelToken()
    with called_off(token) as codes:
        try:
            return _work(options, directory, token)
        except Cancelled as cancelled:
            sys.stderr.write(f"called off ({cancelled.reason}): nothing new is in the output directory\n")
            return codes[0] if codes else 130


def _work(options: dict[str, Any], directory: str, token: CancelToken) -> int:
    from hwb.cli.watching import Watching
    from hwb.context import use
    from hwb.errors import HwbError
    from hwb.procgroup import kill_marked
    from hwb.runner.watcher import Watcher

    quiet = options["quiet"] or options["as_json"]
    from hwb.pydownload import way
    from hwb.pythons import downloading

    with _open_log() as log, downloading(way(options["download_python"] or None)):
        watcher = Watcher(_run_id(), "")  # before any thread: it is forked
        watcher.temporary(log.name)
        watching = Watching(log, sys.stderr, verbose=options["verbose"], quiet=quiet)
        context = _context(token, watching, watcher, offline=options["offline"])
        watching.start()
        try:
            with use(context):
                results = _build(options, directory)
        except HwbError as error:
            if not options["as_json"]:
                raise
            return _json_failure(error)
        finally:
            watching.stop()
            kill_marked(_run_id())  # what a build left running in the background, wherever it hid
            watcher.close()
    _note(context, results, options)
    if any(not result.cached and not result.changes for result in results):
        from hwb.pruning import prune_sometimes

        with use(context):
            prune_sometimes()
    return _tell(results, options)


def _note(context: Context, results: Sequence[BuildResult], options: dict[str, Any]) -> None:
    """The same words again need not be thought about (`hwb.builder.again`): only for the plainest of them."""
    special = (
        "clean",
        "no_cache",
        "why",
        "reproduce",
        "as_json",
        "all_packages",
        "packages",
        "changed_since",
        "verbose",
    )
    depends = results[0].depends
    if depends is None or any(options[name] for name in special) or "build" not in sys.argv[1:2]:
        return
    from hwb.builder.note import write_note
    from hwb.context import use

    out_dir = os.path.dirname(results[0].artifacts[0].path)
    with use(context):
        write_note(sys.argv[2:], os.getcwd(), out_dir, depends, _lines(results[0])[:-1], quiet=bool(options["quiet"]))


def _run_id() -> str:
    return f"build-{os.getpid()}"


def _context(token: CancelToken, watching: Watching, watcher: Watcher, *, offline: bool) -> Context:
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
        mark=extend_mark(os.environ, _run_id(), "1"),
        announce_group=watcher.group,
    )


@contextmanager
def _open_log() -> Iterator[IO[bytes]]:
    """A file of this command alone, gone with it."""
    folder = os.environ.get("TMPDIR") or ("/tmp" if os.path.isdir("/tmp") else os.getcwd())
    path = os.path.join(folder, f"hwb-build-{os.getpid()}-{time.monotonic_ns():x}.log")
    flags = (
        os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_TEMPORARY", 0) | getattr(os, "O_BINARY", 0)
    )
    with open(path, "ab", opener=lambda name, _flags: os.open(name, flags, 0o600)) as log:
        try:
            yield log
        finally:
            if os.path.exists(path):
                os.unlink(path)


def _build(options: dict[str, Any], directory: str) -> list[BuildResult]:
    from hwb.builder.api import build_source
    from hwb.builder.zygote import Zygotes
    from hwb.context import current

    request = _request(options, directory)
    chosen = options["packages"] or options["all_packages"] or options["changed_since"]
    with Zygotes() as zygotes:
        current().shared = {"zygotes": zygotes}
        if not chosen:
            from hwb.builder.again import seen

            if seen:
                state = seen.pop()
                current().shared = {"zygotes": zygotes, "states": {state.repository.top: state}}
            return [build_source(request)]
        from hwb.builder.members import build_members

        return build_members(request, options["packages"], options["changed_since"])


def _request(options: dict[str, Any], directory: str) -> BuildRequest:
    from hwb.builder.api import BuildRequest
    from hwb.pyspec import split_specs

    return BuildRequest(
        source=options["source"],
        output_dir=options["output"],
        sdist=options["sdist"] or None,
        wheel=options["wheel"] or None,
        pythons=tuple(split_specs(options["pythons"])),
        config_settings=_config_settings(options["config"], options["config_json"]),
        isolated=not options["no_isolation"] and options["isolation"] != "none",
        isolation=options["isolation"],
        docker=_docker(options),
        from_tree=options["from_tree"],
        release=options["release"],
        cache=not options["no_cache"],
        clean=options["clean"],
        constraints=_constraints(options["constraints"]),
        locked=options["locked"],
        frontend=options["frontend"],
        reproduce=options["reproduce"],
        only_why=options["why"],
        directory=directory,
    )


def _docker(options: dict[str, Any]) -> dict[str, Any]:
    """What the options say of the container. Raises UsageError for a platform that no container here has."""
    found = {name: options[name] for name in ("manylinux", "musllinux", "dockerfile") if options[name]}
    if options["dockerfile"]:
        found["dockerfile"] = os.path.abspath(options["dockerfile"])
    if options["gpu"]:
        found["gpu"] = True
    if options["platform"]:
        found.update(_platform(options["platform"]))
    return found


def _platform(text: str) -> dict[str, str]:
    from hwb.errors import UsageError
    from hwb.target import System, Target

    wanted = Target.parse(text)
    if len(wanted) > 1 or wanted[0].system is not System.LINUX:
        remedy = "name one Linux platform, such as linux/arm64 or manylinux_2_28_aarch64"
        raise UsageError(
            f"--platform {text}: hwb build makes wheels for this machine or in its containers", remedy=remedy
        )
    (one,) = wanted
    family = one.policy.rstrip("_0123456789") if one.policy else ""
    found = {"architecture": one.arch} if one.arch else {}
    if family and family == one.policy:
        return {**found, "platform": family}
    return {**found, **({family: one.policy} if family else {})}


def _config_settings(pairs: Sequence[str], text: str | None) -> dict[str, str | list[str]]:
    """KEY=VALUE, a repeated key makes a list (PEP 517 leaves it open; pip, build and uv do the same)."""
    from hwb.errors import UsageError

    found: dict[str, str | list[str]] = {}
    if text is not None:
        found.update(_from_json(text))
    for pair in pairs:
        key, _, value = pair.partition("=")
        if not key:
            raise UsageError(f"-C {pair!r}: write -C KEY=VALUE")
        before = found.get(key)
        found[key] = value if before is None else [*([before] if isinstance(before, str) else before), value]
    return found


def _from_json(text: str) -> dict[str, str | list[str]]:
    import json

    from hwb.errors import UsageError

    try:
        data = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--config-json: {error}") from error

    def fits(value: object) -> bool:
        return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))

    if not isinstance(data, dict) or not all(map(fits, data.values())):
        raise UsageError("--config-json: an object whose values are texts or lists of texts")
    return data


def _constraints(files: Sequence[str]) -> tuple[str, ...]:
    """The lines of constraints files (pip's format), comments and continuations resolved."""
    from hwb.errors import UsageError

    lines: list[str] = []
    for path in files:
        try:
            with open(path, encoding="utf-8") as handle:
                text = handle.read().replace("\\\n", " ")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--build-constraint {path}: {error}") from error
        plain = (line.partition(" #")[0].strip() for line in text.splitlines())
        lines += [line for line in plain if line and not line.startswith("#")]
    return tuple(lines)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


# --- what is said ----------------------------------------------------------------------------------------------------


def _tell(results: Sequence[BuildResult], options: dict[str, Any]) -> int:
    if options["as_json"]:
        import json

        rows = [_as_json(result) for result in results]
        _print(json.dumps(rows[0] if len(rows) == 1 else {"schema": "hwb.builds/1", "builds": rows}, indent=1))
        return 0
    for result in () if options["quiet"] else results:
        for line in _lines(result):
            _print(line)
    return 0


def _lines(result: BuildResult) -> list[str]:
    from hwb.cli.output import size_text

    if result.changes:
        return list(result.changes)
    width = max((len(_shown(artifact.path)) for artifact in result.artifacts), default=0)
    lines = [f"{_shown(a.path):<{width}}  {size_text(a.size):>9}  sha256:{a.sha256}" for a in result.artifacts]
    return [*lines, f"{result.why} ({result.duration_seconds:.2f} s)"]


def _shown(path: str) -> str:
    """Relative to the current directory where that is shorter."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return path  # another drive
    return min(relative, path, key=len)


def _as_json(result: BuildResult) -> dict[str, Any]:
    files = [
        {"name": a.name, "path": a.path, "kind": a.kind.value, "size": a.size, "sha256": a.sha256}
        for a in result.artifacts
    ]
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
    _print(json.dumps(told, indent=1))
    sys.stderr.write(f"{error.explain()}\n")
    return error.exit_code
