"""What does `hwb lock --build` write: which files satisfy the build requirements of a project, everywhere it is built?

With uv the answer holds on every platform (a universal resolution from the oldest named Python upwards); with pip
alone for the named Pythons on this machine, which the file says. Same requirements, same index: the same bytes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from hwb.builder.backend import Backend
from hwb.builder.lock import FILE_NAME, Lock, LockedFile, LockedPackage
from hwb.context import current
from hwb.errors import HwbError, ToolNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hwb.isolation.backends import Installer
    from hwb.project import Project
    from hwb.pythons import Interpreter

__all__ = ["Needs", "build_needs", "lock_text", "render", "resolve"]


class Needs(NamedTuple):
    """What one interpreter needs to build a project: requirements (PEP 508), static ones first."""

    interpreter: Interpreter
    requires: tuple[str, ...]


# --- what is needed ---------------------------------------------------------------------------------------------------


class _Asking(Backend):
    """A backend that is only asked what it needs."""

    def needs(self, kind: str) -> list[str]:
        hook = f"get_requires_for_build_{kind}"
        return self._texts(hook, self._ask(self._environments(self._system.requires), hook))


def build_needs(root: str, interpreters: Sequence[Interpreter]) -> tuple[Needs, ...]:
    """Static requirements and what the backend answers for sdist and wheel, asked in a copy of the sources.

    Raises AnalyzeError, SourceError, IsolationError, BuildError.
    """
    from hwb.builder.options import Source
    from hwb.builder.place import own_place
    from hwb.project import read_project
    from hwb.snapshot import read_tree, snapshot

    source, project = Source(os.path.abspath(root)), read_project(root)
    tree = read_tree(source.root)
    with own_place(source.key) as place, snapshot(tree, os.path.join(place, "source")) as copy:
        return tuple(_needs(project, one, copy.path, place, tree.epoch) for one in interpreters)


def _needs(project: Project, interpreter: Interpreter, folder: str, place: str, epoch: int) -> Needs:
    from hwb.builder.environments import Environments
    from hwb.builder.options import BuildOptions

    options = BuildOptions((interpreter,))
    environments = Environments(options)
    backend = _Asking(
        folder,
        project.build_system,
        lambda requires: environments.get(interpreter, requires),
        place,
        epoch,
        options=options,
    )
    asked = [text for kind in ("sdist", "wheel") for text in backend.needs(kind)]
    return Needs(interpreter, tuple(dict.fromkeys((*project.build_system.requires, *asked))))


# --- which files that means -------------------------------------------------------------------------------------------


def lock_text(root: str, interpreters: Sequence[Interpreter], known: str = "", *, upgrade: bool = False) -> str:
    """The lock file's text; versions of `known` (the text that is there) are kept while they satisfy unless `upgrade`.

    Raises what `build_needs` does, DependencyError when nothing satisfies the requirements, OfflineError, ConfigError.
    """
    needs = build_needs(root, interpreters)
    return render(resolve(needs, os.path.join(root, FILE_NAME), "" if upgrade else known))


def resolve(needs: Sequence[Needs], path: str, known: str = "") -> Lock:
    """The lock that will lie at `path`."""
    from hwb.isolation.backends import UvInstaller, choose

    requires = tuple(sorted({_normal(text) for one in needs for text in one.requires}))
    installer = choose()
    if not requires:
        return Lock(path, f">={_oldest(needs).interpreter.minor}", (), (), ())
    if isinstance(installer, UvInstaller):
        return _by_uv(installer.uv, needs, path, known)._replace(requires=requires)
    return _by_pip(installer, needs, path, known)._replace(requires=requires)


def _normal(requirement: str) -> str:
    """One spelling for each requirement."""
    from packaging.requirements import Requirement

    return str(Requirement(requirement))


def _oldest(needs: Sequence[Needs]) -> Needs:
    return min(needs, key=lambda one: tuple(map(int, one.interpreter.minor.split("."))))


def _with_markers(needs: Sequence[Needs]) -> list[str]:
    """Every requirement; one that only some of the Pythons have says which."""
    from packaging.markers import Marker
    from packaging.requirements import Requirement

    lines = set()
    for text in {text for one in needs for text in one.requires}:
        wanting = sorted({one.interpreter.minor for one in needs if text in one.requires})
        wanted = Requirement(text)
        if len(wanting) < len({one.interpreter.minor for one in needs}):
            these = " or ".join(f"python_version == '{minor}'" for minor in wanting)
            wanted.marker = Marker(f"({wanted.marker}) and ({these})" if wanted.marker else these)
        lines.add(str(wanted))
    return sorted(lines)


def _by_uv(uv: str, needs: Sequence[Needs], path: str, known: str) -> Lock:
    from pathlib import Path

    from hwb.isolation.installing import execute, settle
    from hwb.isolation.pipconf import read_pip_settings, uv_arguments, uv_variables
    from hwb.store import open_store

    outer, oldest = current().outer_env, _oldest(needs).interpreter
    settings = read_pip_settings(outer)
    misleading = ("UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_PROJECT_ENVIRONMENT", "PYTHONHOME")
    env = {name: value for name, value in outer.items() if name not in misleading}
    env.update(uv_variables(settings, outer), UV_PYTHON_DOWNLOADS="never")
    with open_store().temporary("lock-") as folder:
        (folder / "in.txt").write_text("\n".join(_with_markers(needs)) + "\n", encoding="utf-8")
        if known:
            (folder / FILE_NAME).write_text(known, encoding="utf-8")  # uv keeps what is named in its output file
        argv = [uv, "pip", "compile", "-q", "--no-header", "--universal", "--format", "pylock.toml"]
        argv += ["--python", oldest.path, "--python-version", oldest.minor, *uv_arguments(settings)]
        argv += ["--output-file", FILE_NAME, "in.txt"]
        where = str(folder)
        try:
            settle(
                "locking the build requirements",
                lambda: execute(argv, env=env, capture=True, cwd=where),
                lambda: execute([*argv, "--offline"], env=env, capture=True, cwd=where),
                offline=current().offline,
            )
        except HwbError as error:
            if "unexpected argument" not in error.detail and "invalid value 'pylock" not in error.detail:
                raise
            raise ToolNotFound(f"{uv} is too old to write lock files", remedy="install uv 0.7 or newer") from error
        return _from_uv(Path(folder, FILE_NAME), path)


def _from_uv(written: os.PathLike[str], path: str) -> Lock:
    """uv's file as a lock at `path`: files of this machine get a size, and a path where they lie beside the lock.

    uv tells the size of others only when the index has just answered, not from its cache: a lock that has it would have
    other bytes the next time.
    """
    from hwb.builder.lock import read_lock

    lock = read_lock(os.fspath(written))
    packages = [
        package._replace(
            sdist=package.sdist and _placed(package.sdist, path),
            wheels=tuple(_placed(wheel, path) for wheel in package.wheels),
            archive=package.archive and _placed(package.archive, path),
        )
        for package in lock.packages
    ]
    return lock._replace(path=path, packages=tuple(packages))


def _placed(file: LockedFile, lock: str) -> LockedFile:
    """Without a user's name and password; a local file below the lock's directory by its relative path (PEP 751)."""
    from urllib.parse import urlsplit, urlunsplit
    from urllib.request import url2pathname

    url = urlsplit(file.url)
    if url.scheme != "file":
        plain = urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2], fragment=""))
        return file._replace(url=plain, size=None)
    local = url2pathname(url.path)
    size = os.path.getsize(local) if os.path.isfile(local) else file.size
    folder = os.path.join(os.path.dirname(os.path.abspath(lock)), "")
    if not local.startswith(folder):
        return file._replace(size=size)
    return file._replace(url="", path=local[len(folder) :].replace(os.sep, "/"), size=size)


# --- without uv -------------------------------------------------------------------------------------------------------


def _by_pip(installer: Installer, needs: Sequence[Needs], path: str, known: str) -> Lock:
    """What pip would install, for each Python: the files that fit this machine, which `environments` says."""
    found: dict[tuple[str, str], dict[str, LockedPackage]] = {}
    for one in needs:
        for package in _pip_report(installer, one, path, known):
            found.setdefault((package.name, package.version), {})[one.interpreter.minor] = package
    minors = sorted({one.interpreter.minor for one in needs})
    packages = []
    for _, by_minor in sorted(found.items()):
        first, *others = by_minor.values()
        wheels = {wheel for package in (first, *others) for wheel in package.wheels}
        marker = "" if len(by_minor) == len(minors) else " or ".join(map(_is_python, sorted(by_minor)))
        sdist = next((package.sdist for package in by_minor.values() if package.sdist is not None), None)
        packages.append(first._replace(marker=marker, sdist=sdist, wheels=tuple(sorted(wheels))))
    here = " and ".join(_here())
    environments = tuple(f"{_is_python(minor)} and {here}" for minor in minors)
    return Lock(path, f">={_oldest(needs).interpreter.minor}", environments, tuple(packages), ())


def _is_python(minor: str) -> str:
    return f"python_version == '{minor}'"


def _here() -> list[str]:
    import platform
    import sys

    return [f"sys_platform == '{sys.platform}'", f"platform_machine == '{platform.machine()}'"]


def _pip_report(installer: Installer, needs: Needs, path: str, known: str) -> list[LockedPackage]:
    """By `pip install --dry-run --report`; the versions of the old lock are tried first, all of them or none."""
    import json
    import sys

    from hwb.isolation.installing import Outcome, execute, settle
    from hwb.store import open_store

    kept = _constraints(known)
    with open_store().temporary("lock-") as folder:
        home, report = str(folder / "env"), folder / "report.json"
        installer.create(home, needs.interpreter, ())
        python = os.path.join(home, "Scripts", "python.exe") if sys.platform == "win32" else f"{home}/bin/python"
        (folder / "in.txt").write_text("\n".join(needs.requires), encoding="utf-8")
        (folder / "kept.txt").write_text("\n".join(kept), encoding="utf-8")
        argv = [python, "-I", "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", "--report", str(report)]

        def run(*more: str) -> Outcome:
            env = {**current().outer_env, "PIP_NO_INPUT": "1", "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
            return execute([*argv, "-r", "in.txt", *more], env=env, capture=True, cwd=str(folder))

        outcome = run("-c", "kept.txt") if kept else None
        if outcome is None or not outcome.ok:
            settle("locking the build requirements", run, lambda: run("--no-index"), offline=current().offline)
        rows = json.loads(report.read_bytes())["install"]
    return [_reported(row, path) for row in rows]


def _constraints(known: str) -> list[str]:
    from hwb.toml import parse_toml

    rows = parse_toml(known).get("packages", []) if known else []
    return [f"{row['name']}=={row['version']}" for row in rows if "version" in row and "archive" not in row]


def _reported(row: Mapping[str, Any], lock: str) -> LockedPackage:
    from urllib.parse import unquote, urlsplit

    from hwb.analysis.requirements import canonical

    info, meta = row["download_info"], row["metadata"]
    name = unquote(urlsplit(info["url"]).path).rpartition("/")[2]
    hashes = info["archive_info"]["hashes"] if "archive_info" in info else {}
    if "sha256" not in hashes:
        from hwb.errors import ConfigError

        what = f"{meta['name']} comes from a source that has no hash to verify"
        raise ConfigError(what, where=lock, remedy="require it by version, or by the URL of an archive")
    file = _placed(LockedFile(name, hashes["sha256"], info["url"]), lock)
    package = LockedPackage(canonical(meta["name"]), meta["version"])
    if row.get("is_direct"):
        return package._replace(archive=file)
    return package._replace(wheels=(file,)) if name.endswith(".whl") else package._replace(sdist=file)


# --- as text ----------------------------------------------------------------------------------------------------------


def render(lock: Lock) -> str:
    """The file (PEP 751): packages by name, files as the index lists them, no dates."""
    lines = ['lock-version = "1.0"']
    if lock.environments:
        lines += ["environments = [", *(f"    {_quoted(marker)}," for marker in lock.environments), "]"]
    lines += [f"requires-python = {_quoted(lock.requires_python)}", 'created-by = "hwb"']
    for package in sorted(lock.packages, key=lambda one: (one.name, one.version, one.marker)):
        lines += ["", *_package_lines(package)]
    if not lock.packages:
        lines.append("packages = []")
    lines += ["", "[tool.hwb]", "requires = [", *(f"    {_quoted(text)}," for text in lock.requires or ()), "]"]
    return "\n".join(lines) + "\n"


def _package_lines(package: LockedPackage) -> Iterable[str]:
    yield "[[packages]]"
    yield f"name = {_quoted(package.name)}"
    if package.version:
        yield f"version = {_quoted(package.version)}"
    if package.marker:
        yield f"marker = {_quoted(package.marker)}"
    if package.requires_python:
        yield f"requires-python = {_quoted(package.requires_python)}"
    for kind, file in (("archive", package.archive), ("sdist", package.sdist)):
        if file is not None:
            yield f"{kind} = {_inline(file, named=kind == 'sdist')}"
    if package.wheels:
        yield "wheels = ["
        yield from (f"    {_inline(wheel)}," for wheel in package.wheels)
        yield "]"


def _inline(file: LockedFile, *, named: bool = True) -> str:
    parts = [f"name = {_quoted(file.name)}"] if named else []
    parts.append(f"url = {_quoted(file.url)}" if file.url else f"path = {_quoted(file.path)}")
    parts += [f"size = {file.size}"] if file.size is not None else []
    return f"{{ {', '.join(parts)}, hashes = {{ sha256 = {_quoted(file.sha256)} }} }}"


def _quoted(text: str) -> str:
    """A TOML string: JSON's escapes are a part of TOML's."""
    import json

    return json.dumps(text)
