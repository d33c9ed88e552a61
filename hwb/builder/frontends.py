"""How does another front end (build, uv) do the work instead, in the same copy and with the same variables?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import BuildError, CommandFailed, ToolNotFound

if TYPE_CHECKING:
    from hwb.builder.options import BuildOptions
    from hwb.pythons import Interpreter

__all__ = ["run_frontend", "takes_uv_build"]


def takes_uv_build(backend: str) -> bool:
    """Whether uv itself is the faster front end: its own backend is built into it."""
    from hwb.isolation.backends import find_uv

    return backend == "uv_build" and find_uv() is not None


def run_frontend(folder: str, place: str, epoch: int, options: BuildOptions, *, frontend: str = "") -> list[str]:
    """Build the project in `folder`; paths of what was made (sdist first). Raises BuildError, ToolNotFound.

    One run for each interpreter; the sdist comes from the first.
    """
    made: dict[str, str] = {}
    for number, interpreter in enumerate(options.pythons):
        out = os.path.join(place, f"out-{number}")
        argv = _command(frontend or options.frontend, interpreter, folder, out, options, first=number == 0)
        _run(argv, folder, place, epoch, options)
        names = sorted(os.listdir(out) if os.path.isdir(out) else (), key=lambda name: not name.endswith(".tar.gz"))
        for name in names:
            if name.endswith((".tar.gz", ".whl")):
                made.setdefault(name, os.path.join(out, name))
    for suffix, asked in ((".tar.gz", options.sdist), (".whl", options.wheel)):
        if asked and not any(name.endswith(suffix) for name in made):
            raise BuildError(f"{frontend or options.frontend} ended well, but made no {suffix} file")
    return list(made.values())


def _command(
    frontend: str, interpreter: Interpreter, folder: str, out: str, options: BuildOptions, *, first: bool
) -> list[str]:
    kinds = ["--sdist"] if options.sdist and first else []
    kinds += ["--wheel"] if options.wheel else []
    if kinds == ["--sdist", "--wheel"] and not options.from_tree:
        kinds = []  # both front ends then build the wheel from the sdist
    if frontend == "uv":
        program = _uv(interpreter.path)
        extra = ["--no-build-isolation"] if not options.isolated else []
        extra += ["--offline"] if current().offline else []
    else:
        program = [_build_tool(interpreter) if options.isolated else interpreter.path, "-m", "build"]
        extra = ["--no-isolation"] if not options.isolated else ["--installer", "uv"] if _has_uv() else []
    given = options.config_settings.items()
    settings = [f"--config-setting={key}={value}" for key, values in given for value in _each(values)]
    return [*program, *kinds, *(["--out-dir"] if frontend == "uv" else ["--outdir"]), out, *extra, *settings, folder]


def _each(values: str | list[str]) -> list[str]:
    return [values] if isinstance(values, str) else values


def _has_uv() -> bool:
    from hwb.isolation.backends import find_uv

    return find_uv() is not None


def _uv(python: str) -> list[str]:
    from hwb.isolation.backends import find_uv

    uv = find_uv()
    if uv is None:
        raise ToolNotFound("frontend is uv, and there is no uv", remedy="install uv, or set frontend to hwb or build")
    return [uv, "build", "--no-python-downloads", "--python", python]


def _build_tool(interpreter: Interpreter) -> str:
    """The Python of an environment that has `build`, which builds for the interpreter that it runs on."""
    from hwb.isolation.venv import shared_environment

    return shared_environment(interpreter, ["build[uv]" if _has_uv() else "build"], purpose="frontend").python


def _run(argv: list[str], folder: str, place: str, epoch: int, options: BuildOptions) -> None:
    from hwb import proc
    from hwb.builder.backend import phase
    from hwb.builder.hook_env import hook_environment
    from hwb.builder.remedies import remedy_for

    outer = current().outer_env
    # what decides where packages come from: a front end makes its own build environments
    installers = {name: value for name, value in outer.items() if _for_installers(name)}
    env = {**hook_environment("", place, epoch, more=options.env_pass), **installers, **options.env}
    env.update({"UV_OFFLINE": "1", "PIP_NO_INDEX": "1"} if current().offline else {})
    env.update({name: outer[name] for name in ("HOME", "XDG_CACHE_HOME") if name in outer})
    with phase("build", os.path.basename(argv[0])):
        done = proc.run(argv, cwd=os.path.dirname(folder), env=env, check=False, capture=True)
        current().log.write(done.text)
    if done.return_code:
        try:
            raise proc.failure(done)
        except CommandFailed as error:
            raise BuildError(error.what, detail=error.detail, remedy=remedy_for(done.text)) from error


def _for_installers(name: str) -> bool:
    upper = name.upper()
    certificates = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
    unwanted = ("UV_PUBLISH_", "UV_SYSTEM_PYTHON", "UV_PYTHON")
    return (
        (upper.startswith(("PIP_", "UV_")) and not upper.startswith(unwanted))
        or upper.endswith("_PROXY")
        or upper in certificates
    )
