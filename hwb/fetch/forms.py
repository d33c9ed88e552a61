"""Where may a project come from, and how is that written?

Everything that pip understands as a direct reference (its VCS support), and the addresses that people copy from a
forge. Reading is pure: no network, nothing executed; only whether a path exists is looked up.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from enum import Enum

from hwb.context import current
from hwb.errors import SourceError
from hwb.fetch.places import inside_path
from hwb.fetch.urls import hidden

__all__ = ["ARCHIVES", "FORMS", "SourceSpec", "SourceType", "check", "is_archive", "parse_source"]

ARCHIVES = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")
"""Suffixes of the archives that can be built from."""
FORMS = (
    "a directory, DIRECTORY@REF of a git repository, an archive (.tar.gz .tgz .zip .tar.bz2 .tar.xz; a file or a URL), "
    "git+https://HOST/REPO.git@REF, git+ssh://git@HOST/REPO.git, git@HOST:OWNER/REPO.git, git+file:///PATH, "
    "or github.com/OWNER/REPO; each with #subdirectory=PATH"
)
_FORGES = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "git.sr.ht"})
"""Hosts whose plain URLs are repositories."""
_SCP = re.compile(r"[\w.+-]+@[\w.-]+:(?!//).+")
_PAGE = re.compile(r"/(?:-/|_/)?(?:tree|blob|src|commit)/")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class SourceType(Enum):
    """What a source is. GIT_HTTPS is every repository by URL but ssh: https, http, git and file."""

    LOCAL_PATH = "local_path"
    GIT_HTTPS = "git_https"
    GIT_SSH = "git_ssh"
    TARBALL = "tarball"
    SDIST = "sdist"


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Where a project comes from. `repr` and `str` show no credentials; `location` has them.

    `ref` is a branch, tag or commit; `subdirectory` the project's place in the repository or archive, with slashes;
    `sha256` (hex) pins an archive; `name` is what `#egg=` says the project is called; `probe` that only asking the
    server tells whether `location` is a repository or an archive.
    """

    type: SourceType
    location: str = field(repr=False)
    ref: str | None = None
    subdirectory: str | None = None
    editable: bool = False
    sha256: str | None = None
    name: str | None = None
    probe: bool = False

    def __repr__(self) -> str:
        return f"SourceSpec({self.type.name}, {str(self)!r})"

    def __str__(self) -> str:
        """The source as one would write it, without credentials."""
        fields = (("subdirectory", self.subdirectory), ("egg", self.name), ("sha256", self.sha256))
        fragment = "&".join(f"{key}={value}" for key, value in fields if value)
        return hidden(self.location) + (f"@{self.ref}" if self.ref else "") + (f"#{fragment}" if fragment else "")

    @property
    def is_git(self) -> bool:
        """Whether git fetches it."""
        return self.type in (SourceType.GIT_HTTPS, SourceType.GIT_SSH)


# --- reading what a person types -------------------------------------------------------------------------------------


def parse_source(text: str, cwd: str | os.PathLike[str] | None = None) -> SourceSpec:
    """What a source string means; paths are relative to `cwd` (None: of whoever works) and become absolute.

    Understands what pip does (VCS support, `-e`), and the addresses that people copy from a forge. What exists as a
    path is that path. Raises SourceError with the list of forms.
    """
    editable, body = _editable(text.strip())
    folder = os.fspath(cwd) if cwd is not None else current().cwd
    if not body or re.search(r"[\x00-\x1f\x7f]", body):
        raise _unknown(text)
    spec = _path(body, folder)
    if spec is None:
        address, _, fragment = body.partition("#")
        spec = _remote(address, folder) or _path_with_ref(address, folder)
        spec = _with_fragment(spec, fragment, text) if spec is not None else None
    if spec is None:
        raise _unknown(text, os.path.join(folder, body.partition("#")[0]))
    check(replace(spec, editable=editable))
    return replace(spec, editable=editable)


def _unknown(text: str, path: str = "") -> SourceError:
    what = f"Cannot determine source type for: {hidden(text)}"
    if path.endswith(".whl"):
        return SourceError(what, remedy="a wheel is built already; name the sources it was built from")
    there = "" if os.path.exists(path) or "://" in text or not path else " (there is no such file or directory)"
    return SourceError(f"{what}{there}", remedy=f"write {FORMS}")


def _editable(text: str) -> tuple[bool, str]:
    match = re.match(r"(?:-e|--editable)(?:\s+|=)", text)
    return (True, text[match.end() :]) if match else (False, text)


def _path(text: str, cwd: str, ref: str | None = None) -> SourceSpec | None:
    """A directory or an archive on this machine, None when there is neither."""
    place = os.path.join(cwd, text)
    if os.path.isdir(place):
        return SourceSpec(SourceType.LOCAL_PATH, os.path.realpath(place), ref)
    if os.path.isfile(place) and is_archive(place):
        return SourceSpec(SourceType.TARBALL, os.path.realpath(place), ref)
    return None


def is_archive(name: str) -> bool:
    """Whether a file of this name is unpacked and built from."""
    return name.lower().endswith(ARCHIVES)


def _path_with_ref(text: str, cwd: str) -> SourceSpec | None:
    """`PATH` (a fragment was taken off), or `PATH@REF` with the longest PATH that exists: both may hold an `@`."""
    whole = _path(text, cwd)
    if whole is not None:
        return whole
    for place in reversed([match.start() for match in re.finditer("@", text)]):
        spec = _path(text[:place], cwd, text[place + 1 :]) if place else None
        if spec is not None:
            return spec
    return None


def _remote(address: str, cwd: str) -> SourceSpec | None:
    """A source by URL, or in the scp-like form; None when it looks like neither."""
    certain = address.startswith("git+")
    plain = address.removeprefix("git+")
    if _SCP.fullmatch(plain) and "://" not in plain:
        host, _, path = plain.partition(":")
        path, ref = _split_ref(path, first=False)
        return SourceSpec(SourceType.GIT_SSH, f"{host}:{path}", ref)
    if not certain and _host(plain) in _FORGES:
        plain = f"https://{plain}"
    if "://" not in plain:
        return None
    scheme = plain.partition("://")[0].lower()
    if scheme == "file":
        return _file(plain, cwd, certain)
    if scheme not in ("https", "http", "ssh", "git"):
        raise SourceError(f"{scheme}: is no way to fetch sources ({hidden(address)})", remedy=f"write {FORMS}")
    return _url(plain, scheme, certain)


def _host(address: str) -> str:
    return address.partition("/")[0].lower().removeprefix("www.") if "/" in address else ""


def _url(url: str, scheme: str, certain: bool) -> SourceSpec:
    from urllib.parse import urlsplit, urlunsplit

    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.")
        _ = parts.port  # ValueError when it is no number
    except ValueError as error:
        raise SourceError(f"{hidden(url)} is no URL: {error}", remedy=f"write {FORMS}") from error
    if not host:
        raise SourceError(f"{hidden(url)} names no host", remedy=f"write {FORMS}")
    web = scheme in ("https", "http")
    if web and not certain and is_archive(parts.path):
        return SourceSpec(SourceType.TARBALL, url)
    if web and not certain and parts.path.endswith(".whl"):
        raise _unknown(url, parts.path)
    path, ref = _split_ref(parts.path, first=host in _FORGES)
    if web and not certain and host in _FORGES and _PAGE.search(path):
        raise SourceError(
            f"{hidden(url)} is a page about a repository", remedy="write HOST/OWNER/REPO@REF#subdirectory=PATH"
        )
    location = urlunsplit(parts._replace(path=path))
    probe = web and not certain and host not in _FORGES and not re.search(r"\.git(/|$)", path)
    return SourceSpec(SourceType.GIT_SSH if scheme == "ssh" else SourceType.GIT_HTTPS, location, ref, probe=probe)


def _split_ref(path: str, *, first: bool) -> tuple[str, str | None]:
    """Path and ref: at the `@` after `.git`, else at the first (no repository of that host has one) or last."""
    end = re.search(r"\.git/?@", path)
    place = end.end() - 1 if end else (path.find("@") if first else path.rfind("@"))
    if place < 0:
        return path, None
    return path[:place], path[place + 1 :]


def _file(url: str, cwd: str, certain: bool) -> SourceSpec:
    """A file: URL (RFC 8089) of a directory or an archive; with `git+`, of a repository."""
    from pathlib import Path
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise SourceError(f"{hidden(url)} names another machine", remedy="write file:///PATH")
    spec = _path_with_ref(url2pathname(parts.path), cwd)
    if spec is None:
        raise _unknown(url, url2pathname(parts.path))
    if not certain:
        return spec
    if spec.type is not SourceType.LOCAL_PATH:
        raise SourceError(f"git+{url} is no repository", remedy="leave out git+ to build an archive")
    return SourceSpec(SourceType.GIT_HTTPS, Path(spec.location).as_uri(), spec.ref)


def _with_fragment(spec: SourceSpec, fragment: str, text: str) -> SourceSpec:
    """What stands after `#`: subdirectory, egg, sha256, joined by `&`."""
    from urllib.parse import unquote

    values: dict[str, str] = {}
    for part in fragment.split("&") if fragment else ():
        key, equals, value = part.partition("=")
        name = {"subdirectory": "subdirectory", "egg": "name", "sha256": "sha256"}.get(key)
        if name is None or not equals or not value or name in values:
            what = f"{hidden(text)}: #{part} is not understood"
            raise SourceError(what, remedy="write #subdirectory=PATH, #egg=NAME or #sha256=HEX, joined by &")
        values[name] = unquote(value).partition("[")[0] if name == "name" else unquote(value)
    digest = values["sha256"].lower() if "sha256" in values else None
    return replace(spec, subdirectory=values.get("subdirectory"), name=values.get("name"), sha256=digest)


def check(spec: SourceSpec) -> None:
    """Raise SourceError for what contradicts itself, or would leave its place; nothing is ignored silently."""
    archive = spec.type in (SourceType.TARBALL, SourceType.SDIST)
    if spec.ref is not None and (archive or not spec.ref):
        what = "an archive has no refs" if archive else "the ref after @ is empty"
        raise SourceError(f"{spec}: {what}", remedy="leave out @ and what follows it")
    if spec.sha256 is not None and not (archive or spec.probe):
        raise SourceError(f"{spec}: only an archive has a sha256", remedy="pin a repository by @COMMIT")
    if spec.sha256 is not None and not _SHA256.fullmatch(spec.sha256):
        raise SourceError(f"{spec}: a sha256 has 64 hexadecimal digits")
    if spec.editable and archive:
        raise SourceError(f"{spec}: an archive cannot be editable", remedy="unpack it, and name the directory")
    if spec.subdirectory is not None:
        inside_path(spec.subdirectory)
