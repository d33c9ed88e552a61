"""How does a container install what only it can: with a network, and with nothing of the project in it?

The image's own pip is told what this machine's pip is told about indexes, proxies and certificates.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwb.isolation.foreign import layout_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hwb.isolation.engine import Engine
    from hwb.isolation.foreign import ForeignPython
    from hwb.isolation.images import LocalImage
    from hwb.isolation.installing import Outcome
    from hwb.isolation.lockdown import Mount
    from hwb.proc import Completed
    from hwb.pythons import Interpreter

__all__ = ["InImage", "index_mounts", "index_variables"]


@dataclass(frozen=True, slots=True)
class InImage:
    """The image's own pip, in a container that has a network and nothing of the project."""

    engine: Engine
    image: LocalImage
    python: ForeignPython
    name: str = "pip of the image"

    def create(self, path: str, interpreter: Interpreter, params: Sequence[str]) -> None:
        """Lay it out; nothing is run."""
        layout_of(path, interpreter)

    def resolve(
        self,
        interpreter: Interpreter,
        requirements: Sequence[str],
        constraints: Sequence[str],
        *,
        env: Mapping[str, str],
        offline: bool,
    ) -> list[str]:
        """What `pip wheel` chose or built, kept in the store."""
        from hwb.isolation.pip import take_wheels
        from hwb.store import open_store

        with open_store().temporary("resolve-") as directory:
            (directory / "in.txt").write_text("\n".join(requirements), encoding="utf-8")
            (directory / "constraints.txt").write_text("\n".join(constraints), encoding="utf-8")
            args = ["-r", str(directory / "in.txt"), "-c", str(directory / "constraints.txt")]
            what = f"resolving {', '.join(requirements)}"
            self._wheel(what, directory, args, _local_files(requirements), env, offline)
            return take_wheels(directory / "wheels", self._wheels(), requirements)

    def sync(self, python: str, requirements: str, *, env: Mapping[str, str], offline: bool) -> Completed:
        """Install exactly the pins in that file; nothing that is not among its wheels."""
        from hwb.isolation.pip import take_wheels
        from hwb.store import open_store

        path = os.path.dirname(os.path.dirname(python))
        with open(requirements, encoding="utf-8") as handle:
            pins = handle.read().splitlines()
        with open_store().temporary("wheels-") as directory:
            (directory / "pins.txt").write_text("\n".join(pins), encoding="utf-8")
            args = ["--no-deps", "-r", str(directory / "pins.txt")]
            self._wheel("pip wheel", directory, args, _local_files(pins), env, offline)
            take_wheels(directory / "wheels", self._wheels(), pins)
            return self._install(path, directory, env)

    def _wheel(
        self, what: str, place: Path, args: list[str], files: list[str], env: Mapping[str, str], offline: bool
    ) -> None:
        """`pip wheel` into `place`/wheels: from the index, or from what was kept when that does not answer."""
        from hwb.isolation.installing import settle

        (place / "wheels").mkdir()
        command = ["wheel", "--wheel-dir", str(place / "wheels"), "--find-links", str(self._wheels()), *args]
        settle(
            what,
            lambda: self._pip(command, [str(place)], files, env, network=True),
            lambda: self._pip([*command, "--no-index"], [str(place)], files, env, network=False),
            offline=offline,
        )

    def _install(self, path: str, place: Path, env: Mapping[str, str]) -> Completed:
        """Exactly the wheels in `place`, into the environment; its Python works inside, so pip does all of it."""
        from hwb.isolation.installing import settle

        wheels = sorted(str(wheel) for wheel in (place / "wheels").iterdir())
        command = ["--python", f"{path}/bin/python", "install", "--no-index", "--no-deps", "--no-compile", *wheels]
        outcome = self._pip(command, [path, str(place)], [], env, network=False)
        return settle("pip install", lambda: outcome, lambda: outcome, offline=False).done

    def _pip(
        self,
        args: Sequence[str],
        writable: Sequence[str],
        files: Sequence[str],
        env: Mapping[str, str],
        *,
        network: bool,
    ) -> Outcome:
        from hwb.isolation.container import Container
        from hwb.isolation.installing import execute
        from hwb.isolation.lockdown import ContainerOptions, Mount

        mounts = [Mount.same(path, writable=True) for path in writable]
        mounts += [Mount.same(path) for path in (str(self._wheels()), *files)]
        options = ContainerOptions(
            mounts=(*mounts, *(index_mounts(env) if network else ())),
            env=index_variables(env) if network else _QUIET,
            network="host" if network else "none",  # an index or a proxy may listen on this machine only
            launcher=self.image.launcher,
        )
        with Container(self.engine, self.image.id, options) as container:
            line, client = container.command([self.python.asked, "-I", "-m", "pip", *args])
            return execute(line, env=client, silent=True)

    def _wheels(self) -> Path:
        from hwb.store import fingerprint, open_store

        return open_store().wheels_path(f"of-image-{fingerprint(self.python.identity)}")


_QUIET = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_NO_INPUT": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_RETRIES": "1",
}
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")


def index_variables(env: Mapping[str, str]) -> dict[str, str]:
    """What tells a container's pip about indexes, proxies and certificates what this machine's pip is told.

    pip's effective settings as variables: its files, which may say other things too, stay outside.
    """
    from hwb.isolation.pipconf import read_pip_settings

    settings = read_pip_settings(env)
    told = {
        "PIP_INDEX_URL": settings.index_url,
        "PIP_EXTRA_INDEX_URL": " ".join(settings.extra_index_urls),
        "PIP_FIND_LINKS": " ".join(map(os.path.expanduser, settings.find_links)),
        "PIP_NO_INDEX": "1" if settings.no_index else "",
        "PIP_CERT": _certificates(env),
        "PIP_CLIENT_CERT": os.path.expanduser(settings.client_cert),
        "PIP_PROXY": settings.proxy,
        "PIP_TRUSTED_HOST": " ".join(settings.trusted_hosts),
        **{name: env.get(name, "") for name in _PROXIES},
    }
    return {**_QUIET, **{name: value for name, value in told.items() if value}}


def _certificates(env: Mapping[str, str]) -> str:
    from hwb.isolation.pipconf import read_pip_settings

    named = (env.get(name, "") for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"))
    found = read_pip_settings(env).cert or next(filter(None, named), "")
    return os.path.realpath(os.path.expanduser(found)) if found else ""


def index_mounts(env: Mapping[str, str]) -> Iterator[Mount]:
    """The files and directories that `index_variables` names, read-only; what is not there is left out."""
    from hwb.isolation.lockdown import Mount
    from hwb.isolation.pipconf import read_pip_settings

    settings = read_pip_settings(env)
    urls = (settings.index_url, *settings.extra_index_urls, *settings.find_links)
    places = [_certificates(env), os.path.expanduser(settings.client_cert)]
    places += [_local_path(os.path.expanduser(url)) for url in urls]
    yield from (Mount.same(place) for place in dict.fromkeys(places) if place and os.path.exists(place))


def _local_path(url: str) -> str:
    if url.startswith("file:"):
        from urllib.parse import urlsplit
        from urllib.request import url2pathname

        return url2pathname(urlsplit(url).path)
    return "" if "://" in url else url


def _local_files(requirements: Sequence[str]) -> list[str]:
    """Files and directories of this machine that requirements name (`name @ file:///...`)."""
    urls = (line.partition("@")[2].partition(";")[0].strip() for line in requirements if "@" in line)
    paths = (_local_path(url) for url in urls if url.startswith("file:"))
    return [path for path in dict.fromkeys(paths) if os.path.exists(path)]
