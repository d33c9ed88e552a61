"""How does a folder become an index that pip and uv install from, exactly once per file, whatever dies when?

Files are placed before pages, pages are always computed from the files that are there, and everything is renamed
into place under a lock: a publish that was killed is finished by the next one.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hwb.context import current
from hwb.errors import ConflictError, ValidationError
from hwb.fs import FileLock, atomic_path, atomic_write, sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hwb.registry.pages import PageFile

__all__ = ["LocalIndex", "Receipt"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one file: `state` is "uploaded" or "already there", `path` where it lies in the index."""

    name: str
    sha256: str
    state: str
    path: str


@dataclass(frozen=True, slots=True)
class _Upload:
    """A file on its way: `there` is the sha256 of what already lies at `target` (empty: nothing)."""

    source: str
    name: str
    project: str
    sha256: str
    target: str
    there: str


class LocalIndex:
    """The index below `root`; its files and pages lie in `root/simple/<normalised project name>/`."""

    private = True
    """It is a folder of this machine: it takes wheels that run nowhere else, too."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.abspath(root)
        self._simple = os.path.join(self.root, "simple")

    @cached_property
    def url(self) -> str:
        """What `--index-url` wants: a `file:` URL that ends with `/simple/`."""
        from pathlib import Path

        return Path(self._simple).as_uri() + "/"

    def file(self, name: str) -> str | None:
        """The path of a published file, or None."""
        path = self._target(name)
        return path if os.path.isfile(path) else None

    def _target(self, name: str) -> str:
        return os.path.join(self._simple, _parse(name)[0], name)

    def publish(self, files: Sequence[str | os.PathLike[str]]) -> list[Receipt]:
        """Place every file, or none: the same bytes again are fine, other bytes under a taken name are not.

        Raises ConflictError (both sha256 are shown, nothing was changed) and ValidationError (no distribution's name).
        """
        for path in files:
            _parse(os.path.basename(path))
        with FileLock(os.path.join(self.root, ".lock"), on_wait=_say_waiting, check=current().token.check):
            uploads = [self._upload(os.path.abspath(path)) for path in files]
            self._refuse_conflicts(uploads)
            current().token.check()
            receipts = [self._place(upload) for upload in uploads]
            self._write_pages(sorted({upload.project for upload in uploads}))
        return receipts

    def _upload(self, source: str) -> _Upload:
        from hwb.wheel.check import read_metadata

        name = os.path.basename(source)
        try:
            digest = sha256_file(source)
        except OSError as error:
            raise ValidationError(f"{name} cannot be published: {error.strerror}", where=source) from error
        read_metadata(source)  # the page needs it later; what has none is refused before anything is placed
        target = self._target(name)
        there = sha256_file(target) if os.path.exists(target) else ""
        return _Upload(source, name, _parse(name)[0], digest, target, there)

    def _refuse_conflicts(self, uploads: Sequence[_Upload]) -> None:
        """Every conflict is found before the first file is placed, also two files of one name in one call."""
        wanted: dict[str, str] = {}
        lines = []
        for upload in uploads:
            other = upload.there or wanted.setdefault(upload.name, upload.sha256)
            if other != upload.sha256:
                lines.append(f"{upload.name}\n  in the index: {other}\n  to publish:   {upload.sha256}")
        if lines:
            raise ConflictError(
                "the local index has other bytes under the same name; nothing was published",
                where=self._simple,
                detail="\n".join(lines),
                remedy="raise the version; or, if it was never handed out, delete the published file and publish again",
            )

    def _place(self, upload: _Upload) -> Receipt:
        if os.path.exists(upload.target):
            return Receipt(upload.name, upload.sha256, "already there", upload.target)
        os.makedirs(os.path.dirname(upload.target), exist_ok=True)
        with atomic_path(upload.target) as path:
            shutil.copyfile(upload.source, path)
            if sha256_file(path) != upload.sha256:  # somebody writes to it: what was checked must be what is served
                raise ValidationError(f"{upload.name} changed while it was published", where=upload.source)
        return Receipt(upload.name, upload.sha256, "uploaded", upload.target)

    def _write_pages(self, projects: Iterable[str]) -> None:
        from hwb.registry.pages import project_html, project_json, root_html

        for project in projects:
            folder = os.path.join(self._simple, project)
            files = _page_files(folder)
            _write_changed(os.path.join(folder, "index.json"), project_json(project, files))
            _write_changed(os.path.join(folder, "index.html"), project_html(project, files))
        if os.path.isdir(self._simple):
            every = sorted(entry.name for entry in os.scandir(self._simple) if entry.is_dir())
            _write_changed(os.path.join(self._simple, "index.html"), root_html(every))


def _say_waiting(_path: str) -> None:
    current().emit("message", level="info", text="waiting for another publish into the same index")


def _parse(name: str) -> tuple[str, str]:
    """A distribution's normalised project name (PEP 503) and version. Raises ValidationError."""
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    try:
        if not name.endswith((".whl", ".tar.gz")):
            raise InvalidSdistFilename(f"{name} is neither a wheel nor an sdist")
        project, version = parse_wheel_filename(name)[:2] if name.endswith(".whl") else parse_sdist_filename(name)
    except (InvalidSdistFilename, InvalidWheelFilename) as error:
        raise ValidationError(str(error), remedy="publish wheels (.whl) and sdists (.tar.gz) only") from error
    return project, str(version)


def _page_files(folder: str) -> list[PageFile]:
    """What lies in a project's folder, by version, then name; what a killed publish left is cleared away."""
    from packaging.version import Version

    files = []
    for entry in os.scandir(folder):
        if entry.name.endswith(".part"):
            os.unlink(entry.path)
        elif entry.name.endswith((".whl", ".tar.gz")):
            files.append(_page_file(entry.path))
    return sorted(files, key=lambda file: (Version(file.version), file.name))


def _page_file(path: str) -> PageFile:
    from hwb.registry.pages import PageFile
    from hwb.wheel.check import read_metadata

    name, status = os.path.basename(path), os.stat(path)
    needs = read_metadata(path).get("Requires-Python") or ""
    return PageFile(name, _parse(name)[1], sha256_file(path), status.st_size, needs, status.st_mtime)


def _write_changed(path: str, text: str) -> None:
    """Pages that say the same stay as they are: no needless fsync, and readers keep their cached copy."""
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            if handle.read() == text:
                return
    except FileNotFoundError:
        pass
    atomic_write(path, text)
