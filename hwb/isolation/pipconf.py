"""What has the user told pip about indexes, certificates and proxies, and how is uv told the same?

uv reads none of pip's configuration. Without this translation a user behind a mirror would have to say everything
twice. What the user told uv itself (UV_* variables, a uv.toml with indexes) stays as it is.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["PipSettings", "config_files", "read_pip_settings", "uv_arguments", "uv_variables"]

_SECTIONS = ("global", "install")
"""pip's order for `pip install`: the command's own section wins over [global], whichever file it is in."""
_GLOBAL_DIR = "/etc"
_UV_SYSTEM = ("/etc/uv/uv.toml",)
_UV_INDEX_KEYS = ("index", "index-url", "extra-index-url", "find-links", "no-index", "[[index]]", "[[pip.index]]")


@dataclass(frozen=True, slots=True)
class PipSettings:
    """pip's effective options that decide where packages come from; empty: pip's default."""

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    cert: str = ""
    client_cert: str = ""
    proxy: str = ""
    trusted_hosts: tuple[str, ...] = ()


def config_files(environ: Mapping[str, str]) -> list[str]:
    """pip's configuration files in the order in which they override each other (later ones win), existing or not.

    The order of pip's documentation: global, user, site (the virtual environment), PIP_CONFIG_FILE. The latter
    replaces the user's files; the null device means none at all.
    """
    chosen = environ.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return []
    files = list(_global_files(environ))
    if not (chosen and os.path.exists(chosen)):
        files += _user_files(environ)
    if environ.get("VIRTUAL_ENV"):
        files.append(os.path.join(environ["VIRTUAL_ENV"], _file_name()))
    return [*files, chosen] if chosen else files


def _file_name() -> str:
    return "pip.ini" if sys.platform == "win32" else "pip.conf"


def _global_files(environ: Mapping[str, str]) -> Iterator[str]:
    if sys.platform == "win32":
        yield os.path.join(environ.get("PROGRAMDATA", "C:\\ProgramData"), "pip", "pip.ini")
    elif sys.platform == "darwin":
        yield "/Library/Application Support/pip/pip.conf"
    else:
        for directory in (environ.get("XDG_CONFIG_DIRS") or os.path.join(_GLOBAL_DIR, "xdg")).split(os.pathsep):
            yield os.path.join(directory, "pip", "pip.conf")
        yield os.path.join(_GLOBAL_DIR, "pip.conf")


def _user_files(environ: Mapping[str, str]) -> list[str]:
    home = environ.get("HOME") or os.path.expanduser("~")
    name = _file_name()
    if sys.platform == "win32":
        data = environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
        return [os.path.join(home, "pip", name), os.path.join(data, "pip", name)]
    directory = os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "pip")
    if sys.platform == "darwin":
        library = os.path.join(home, "Library", "Application Support", "pip")
        directory = library if os.path.isdir(library) else os.path.join(home, ".config", "pip")
    return [os.path.join(home, ".pip", name), os.path.join(directory, name)]


def read_pip_settings(environ: Mapping[str, str]) -> PipSettings:
    """What `pip install` would use in this environment; a file that cannot be read counts as empty."""
    values = {**_from_files(environ), **_from_variables(environ)}
    return PipSettings(
        index_url=values.get("index-url", ""),
        extra_index_urls=tuple(values.get("extra-index-url", "").split()),
        find_links=tuple(values.get("find-links", "").split()),
        no_index=values.get("no-index", "").lower() in ("1", "true", "yes", "on", "y", "t"),
        cert=values.get("cert", ""),
        client_cert=values.get("client-cert", ""),
        proxy=values.get("proxy", ""),
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
    )


def _from_files(environ: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for path in config_files(environ):
        if os.path.isfile(path):
            for section, values in _sections(path).items():
                found[section].update(values)
    return {key: value for section in _SECTIONS for key, value in found[section].items() if value}


_read: dict[tuple[str, int, int, int], dict[str, dict[str, str]]] = {}
"""Files that were parsed, by path, size, time and inode: a build asks several times, and parsing takes milliseconds."""


def _sections(path: str) -> dict[str, dict[str, str]]:
    try:
        status = os.stat(path)
    except OSError:
        return {}
    key = (path, status.st_size, status.st_mtime_ns, status.st_ino)
    if key not in _read:
        _read[key] = _parsed(path)
    return _read[key]


def _parsed(path: str) -> dict[str, dict[str, str]]:
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}
    known = [section for section in _SECTIONS if parser.has_section(section)]
    return {section: {_option(key): value for key, value in parser.items(section)} for section in known}


def _option(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _from_variables(environ: Mapping[str, str]) -> dict[str, str]:
    named = ((_option(name[4:]), value) for name, value in environ.items() if name.startswith("PIP_"))
    return {name: value for name, value in named if value}


def uv_arguments(settings: PipSettings) -> list[str]:
    """What has no variable in uv."""
    return ["--no-index"] if settings.no_index else []


def uv_variables(settings: PipSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """UV_* and certificate variables that make uv use what pip would; by environment, as URLs may hold passwords.

    pip looks at all its indexes and takes the best version of any; uv by default takes the first index that has the
    name at all. So an extra index from pip's configuration comes with pip's rule: measured with a mirror of old
    wheels as extra index, uv's own rule pinned pluggy to the mirror's 1.6.0 although the main index has 1.7.0, and
    a project that the mirror lacks was no problem either way.
    """
    wanted = dict(_network_variables(settings, environ))
    if not _uv_has_indexes(environ):
        wanted.update(_index_variables(settings, environ))
    return wanted


def _index_variables(settings: PipSettings, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if not settings.no_index:
        if settings.index_url and not _any(environ, "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
            yield "UV_DEFAULT_INDEX", settings.index_url
        if settings.extra_index_urls and not _any(environ, "UV_INDEX", "UV_EXTRA_INDEX_URL"):
            yield "UV_INDEX", " ".join(settings.extra_index_urls)
            if not _any(environ, "UV_INDEX_STRATEGY"):
                yield "UV_INDEX_STRATEGY", "unsafe-best-match"
    links = [link for link in map(_expanded, settings.find_links) if _reachable(link)]
    if links and not _any(environ, "UV_FIND_LINKS"):
        yield "UV_FIND_LINKS", ",".join(link.replace(",", "%2C") if "://" in link else link for link in links)


def _network_variables(settings: PipSettings, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    cert = settings.cert or environ.get("REQUESTS_CA_BUNDLE", "") or environ.get("CURL_CA_BUNDLE", "")
    if cert and not _any(environ, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        yield "SSL_CERT_FILE", os.path.expanduser(cert)
    if settings.client_cert and not _any(environ, "SSL_CLIENT_CERT"):
        yield "SSL_CLIENT_CERT", os.path.expanduser(settings.client_cert)
    if settings.proxy and not _any(environ, "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        yield "ALL_PROXY", settings.proxy
    if settings.trusted_hosts and not _any(environ, "UV_INSECURE_HOST"):
        yield "UV_INSECURE_HOST", " ".join(settings.trusted_hosts)


def _any(environ: Mapping[str, str], *names: str) -> bool:
    return any(environ.get(name) for name in names)


def _expanded(link: str) -> str:
    return os.path.expanduser(link) if link.startswith("~") else link


def _reachable(link: str) -> bool:
    """A local place that is not there is a warning for pip and an error for uv: leave it out."""
    if link.startswith("file:"):
        from urllib.parse import urlsplit
        from urllib.request import url2pathname

        return os.path.exists(url2pathname(urlsplit(link).path))
    return "://" in link or os.path.exists(link)


def _uv_has_indexes(environ: Mapping[str, str]) -> bool:
    """Whether a uv.toml of the user or of the machine names indexes: then the user has already told uv."""
    home = environ.get("HOME") or os.path.expanduser("~")
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    if sys.platform == "win32":
        config = environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
    named = environ.get("UV_CONFIG_FILE")
    return any(
        _names_index(path) for path in ((named,) if named else (os.path.join(config, "uv", "uv.toml"), *_UV_SYSTEM))
    )


def _names_index(path: str) -> bool:
    try:
        with open(path, encoding="utf-8") as handle:
            keys = {line.partition("=")[0].strip() for line in handle}
    except (OSError, UnicodeDecodeError):
        return False
    return not keys.isdisjoint(_UV_INDEX_KEYS)
