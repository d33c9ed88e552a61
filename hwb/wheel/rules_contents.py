"""What does installing this wheel do that nobody asked for? (P3, P4, P5)"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from hwb.wheel.model import sdist_rule, wheel_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hwb.wheel.model import SdistSubject, WheelSubject

__all__ = ["takes_over"]

_SCHEMES = ("purelib", "platlib", "headers", "scripts", "data")
_TAKES_OVER = (
    r"(python|pypy|graalpy)[0-9.]*w?(\.exe)?|pyvenv\.cfg|activate(_this)?(\.[a-z0-9]+)?|deactivate(\.[a-z0-9]+)?"
)
"""What an environment is made of (venv, virtualenv): its interpreter, its settings, its activation scripts."""
_SECRETS = frozenset(
    [
        *[".env", ".pypirc", ".netrc", "_netrc", ".git-credentials", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"],
        *["cred.json", "creds.json", "credentials.json", "service-account.json", "service_account.json"],
    ]
)
_KEYS = (".pem", ".key", ".p12", ".pfx", ".jks", ".kdbx")
_LITTER = frozenset([".DS_Store", "Thumbs.db", "desktop.ini", ".coverage"])
_LITTER_ENDS = (".orig", ".rej", ".swp", ".swo", ".bak", "~", ".pyc", ".pyo")
_LITTER_FOLDERS = frozenset(
    ["__pycache__", ".git", ".hg", ".svn", ".tox", ".nox", ".idea", ".vscode", ".mypy_cache", ".pytest_cache"]
)
_ACCIDENTS = frozenset(
    ["build", "dist", "docs", "doc", "examples", "example", "test", "tests", "setup.py", "conftest.py", "noxfile.py"]
)
_BY_ITSELF = frozenset(("sitecustomize.py", "usercustomize.py"))
_INSTALLERS = ("INSTALLER", "REQUESTED", "direct_url.json")


@wheel_rule("data-scheme", "P4")
def _data_scheme(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """What lies in `.data` belongs to this wheel and to one of the five schemes (binary distribution format)."""
    own = f"{wheel.dist_info.removesuffix('.dist-info')}.data"
    for name in wheel.reader.names:
        parts = name.split("/")
        if not parts[0].endswith(".data") or parts[1:] == [""]:
            continue
        if parts[0] != own:
            yield f"lies in the data directory of another distribution, not in {own}", name
        elif parts[1] not in _SCHEMES or len(parts) < 3:
            yield f"no installer knows the scheme {parts[1]!r}; there are {', '.join(_SCHEMES)}", name


@wheel_rule("data-target", "P4", remedy="give the file another name")
def _data_target(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """Nothing replaces the environment's interpreter, settings, activation scripts, or another scheme's files."""
    own = f"{wheel.dist_info.removesuffix('.dist-info')}.data/"
    for name in wheel.files:
        if not name.startswith(own):
            continue
        scheme, *rest = name[len(own) :].split("/")
        file = rest[-1] if rest else ""
        folder = "/".join(rest[:-1]).lower()
        at_home = scheme == "scripts" or (scheme == "data" and folder in ("", "bin", "scripts"))
        if scheme == "data" and "site-packages" in rest[:-1]:
            yield "is installed into another scheme's directory", name
        elif at_home and takes_over(file):
            yield "replaces a part of the environment that it is installed into", name


def takes_over(file: str) -> bool:
    """Whether a script of that name is one that every environment has."""
    return re.fullmatch(_TAKES_OVER, file, re.IGNORECASE) is not None


@wheel_rule("data-collision", "P4")
def _data_collision(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """No two members are installed to the same place (root, purelib and platlib are one directory mostly)."""
    if not any(".data/" in name for name in wheel.files):
        return
    places: dict[str, str] = {}
    for name in sorted(wheel.installed):
        place = wheel.installed[name].casefold()
        if place in places:
            yield f"is installed over {places[place]}", name
        places.setdefault(place, name)


@wheel_rule("installer-file", "P5")
def _installer_file(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """INSTALLER, REQUESTED and direct_url.json are written by whoever installs (PEP 376, PEP 610)."""
    for name in _INSTALLERS:
        if member := wheel.member(name):
            yield "is an installer's to write", member


@wheel_rule("runs-itself", "P5", warns=True, remedy="make sure that this is meant: it runs whenever Python starts")
def _runs_itself(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """Code that runs at every start of Python, asked for or not: .pth files, sitecustomize, usercustomize."""
    for name, place in sorted(wheel.installed.items()):
        if "/" not in place and (place.endswith(".pth") or place in _BY_ITSELF):
            yield "runs at every start of the interpreter", name


@wheel_rule("shadows-stdlib", "P5", warns=True, remedy="give the module another name")
def _shadows(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """No top-level module has the name of one of the standard library."""
    tops = {place.partition("/")[0]: name for name, place in wheel.installed.items()}
    for top, name in sorted(tops.items()):
        stem = top.removesuffix(".py")
        if stem in sys.stdlib_module_names and (stem != top or f"{stem}/__init__.py" in wheel.installed.values()):
            yield f"has the name of a module of the standard library: {stem}", name


_SECRET_REMEDY = "leave it out and, if it was ever published, make the secret invalid"


@wheel_rule("secret", "P5", remedy=_SECRET_REMEDY)
def _secret(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """No file is called as tools call the one with the user's credentials: .env, .pypirc, id_rsa, credentials.json."""
    yield from _secrets(wheel.files)


@sdist_rule("secret-name", "P5", warns=True, remedy=_SECRET_REMEDY)
def _sdist_secret(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """The same for sdists, whose tests may hold such files with nothing in them."""
    yield from _secrets(sdist.names)


def _secrets(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in sorted(names):
        file = name[name.rfind("/") + 1 :].lower()
        if file in _SECRETS or (file.startswith(".env.") and not file.endswith(_TEMPLATES)):
            yield "has the name of a file with credentials", name


_TEMPLATES = (".example", ".sample", ".template", ".dist", ".py")


@wheel_rule("private-key", "P5", warns=True, remedy=_SECRET_REMEDY)
def _private_key(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """No private key: PEM files that hold one, key stores (tests of well-known projects carry some)."""
    yield from _private_keys(wheel.files, wheel.reader.read)


@sdist_rule("private-key", "P5", warns=True, remedy=_SECRET_REMEDY)
def _sdist_private_key(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """No private key: PEM files that hold one, key stores (tests of well-known projects carry some)."""
    yield from _private_keys((m.name for m in sdist.reader.members if m.kind == "file"), sdist.reader.read)


def _private_keys(names: Iterable[str], read: Callable[[str], bytes]) -> Iterator[tuple[str, str]]:
    for name in sorted(names):
        if name.endswith(_KEYS):
            text = name.endswith(_KEYS[:2])
            if not text or b"PRIVATE KEY-----" in read(name):
                yield "holds a private key" if text else "is a store of keys", name


@wheel_rule("litter", "P5", warns=True, remedy="exclude it in the build backend's settings")
def _litter(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """Caches, editors' and repositories' files and compiled bytecode do not belong into a distribution."""
    yield from _litters(wheel.files)
    tops = {place.partition("/")[0] for place in wheel.installed.values()}
    for top in sorted(tops & _ACCIDENTS) if len(tops) > 2 else ():
        yield f"{top!r} is installed as a top-level module beside the project's own", ""


@sdist_rule("litter", "P5", warns=True, remedy="exclude it in the build backend's settings")
def _sdist_litter(sdist: SdistSubject) -> Iterator[tuple[str, str]]:
    """Caches, editors' and repositories' files and compiled bytecode do not belong into a distribution."""
    yield from _litters(sdist.names)


def _litters(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in sorted(names):
        folder, _, file = name.rpartition("/")
        if file == "pyproject.toml.orig" and folder.count("/") == 0:
            continue  # uv_build keeps the original beside the one that it rewrote
        if file in _LITTER or file.endswith(_LITTER_ENDS) or _is_littered(folder):
            yield "is a leftover of a tool, not part of the project", name


def _is_littered(folder: str) -> bool:
    return ("__pycache__" in folder or "." in folder) and not _LITTER_FOLDERS.isdisjoint(folder.split("/"))


@wheel_rule("mode", "P3", warns=True)
def _mode(wheel: WheelSubject) -> Iterator[tuple[str, str]]:
    """No member is world-writable: some installers keep modes as they are."""
    for name, entry in wheel.reader.entries.items():
        if entry.mode & 0o002:
            yield f"is writable by everybody ({entry.mode & 0o777:o})", name
