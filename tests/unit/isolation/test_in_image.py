"""Does a container that installs see the requirements and the user's index, and nothing else?"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from hwb.errors import DependencyError, OfflineError
from hwb.isolation import in_image, installing
from hwb.isolation.images import LocalImage
from hwb.isolation.in_image import InImage, index_mounts, index_variables
from hwb.isolation.lockdown import ContainerOptions, Mount
from hwb.proc import Completed
from hwb.store import open_store

from .engines import FakeEngine
from .test_foreign import python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="containers are Linux's")


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(installing, "_silence", installing._Silence())


def env(**variables: str) -> dict[str, str]:
    return {"PIP_CONFIG_FILE": os.devnull, "HOME": "/no/home", **variables}


def test_the_index_settings_of_this_machine(tmp_path: Path) -> None:
    found = index_variables(
        env(
            PIP_INDEX_URL="https://u:p@index.example/simple",
            PIP_EXTRA_INDEX_URL="https://a.example https://b.example",
            PIP_FIND_LINKS="/wheels",
            PIP_NO_INDEX="1",
            PIP_TRUSTED_HOST="c.example",
            PIP_PROXY="http://proxy.example",
            HTTPS_PROXY="http://other.example",
            SECRET="x",
        )
    )
    assert found["PIP_INDEX_URL"] == "https://u:p@index.example/simple"
    assert found["PIP_EXTRA_INDEX_URL"] == "https://a.example https://b.example"
    assert (found["PIP_FIND_LINKS"], found["PIP_NO_INDEX"]) == ("/wheels", "1")
    assert (found["PIP_TRUSTED_HOST"], found["PIP_PROXY"]) == ("c.example", "http://proxy.example")
    assert found["HTTPS_PROXY"] == "http://other.example"
    assert found["PIP_CONFIG_FILE"] == os.devnull
    assert {"SECRET", "HOME", "PIP_CERT"}.isdisjoint(found)


def test_nothing_is_told_where_nothing_is_set() -> None:
    assert set(index_variables(env())) == set(in_image._QUIET)
    assert list(index_mounts(env())) == []


def test_certificates(tmp_path: Path) -> None:
    for name in ("a.pem", "b.pem"):
        (tmp_path / name).touch()
    a, b = str(tmp_path / "a.pem"), str(tmp_path / "b.pem")
    both = env(SSL_CERT_FILE=b, PIP_CERT=a, PIP_CLIENT_CERT=b)
    assert index_variables(both)["PIP_CERT"] == a
    assert list(index_mounts(both)) == [Mount.same(a), Mount.same(b)]
    assert index_variables(env(SSL_CERT_FILE=b))["PIP_CERT"] == b


def test_places_of_this_machine_are_mounted(tmp_path: Path) -> None:
    links, index = tmp_path / "links", tmp_path / "a b"
    for place in (links, index):
        place.mkdir()
    told = env(
        PIP_FIND_LINKS=f"{links} https://x.example/ /gone",
        PIP_EXTRA_INDEX_URL=f"{index.as_uri()} https://y.example",
    )
    assert list(index_mounts(told)) == [Mount.same(str(index)), Mount.same(str(links))]


# ------------------------------------------------------------------------------------------------------ containers


class Pip:
    """The pip of an image: it makes wheels and says what its container was allowed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []
        self.options: list[ContainerOptions] = []
        self.problems: list[tuple[int, str]] = []
        self.makes = ["six-1.17.0-py2.py3-none-any.whl"]
        pip = self

        class Container:
            def __init__(self, engine: Any, image: str, options: ContainerOptions) -> None:
                pip.options.append(options)
                assert image == "sha256:1"

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *exc: object) -> None:
                pass

            def command(self, argv: list[str]) -> tuple[list[str], dict[str, str]]:
                return argv, {}

        monkeypatch.setattr("hwb.isolation.container.Container", Container)
        monkeypatch.setattr(installing, "execute", self.execute)

    def execute(self, argv: list[str], **how: Any) -> installing.Outcome:
        self.calls.append(argv)
        code, text = self.problems.pop(0) if self.problems else (0, "")
        if not code and "--wheel-dir" in argv:
            for name in self.makes:
                Path(argv[argv.index("--wheel-dir") + 1], name).write_text("wheel")
        return installing.Outcome(Completed(tuple(argv), code, 0.0), text)


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Pip:
    return Pip(monkeypatch)


@pytest.fixture
def inside(tmp_path: Path) -> InImage:
    return InImage(FakeEngine(tmp_path / "engine").engine, LocalImage("x", "sha256:1", "i686"), python())


def test_requirements_become_pins_and_wheels_are_kept(pip: Pip, inside: InImage, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.mkdir()
    wanted = [
        "six",
        f"demo @ {local.as_uri()} ; python_version>'3'",
        "gone @ file:///gone",
        "far @ https://x.example/y",
    ]
    pip.makes.append("demo-1-py3-none-any.whl")
    pins = inside.resolve(python(), wanted, ["six<2"], env=env(PIP_INDEX_URL="https://x.example"), offline=False)
    assert sorted(pins) == sorted([*wanted[1:], "six==1.17.0"])
    [call] = pip.calls
    assert call[:5] == [python().asked, "-I", "-m", "pip", "wheel"]
    [options] = pip.options
    assert (options.network, options.launcher) == ("host", ("linux32",))
    assert options.env["PIP_INDEX_URL"] == "https://x.example"
    writable = [mount.target for mount in options.mounts if mount.writable]
    assert len(writable) == 1
    assert str(local) in [mount.source for mount in options.mounts]
    assert [path.name for path in open_store().root.glob("wheels/*/*.whl")] == ["six-1.17.0-py2.py3-none-any.whl"]
    assert list(open_store().root.glob("tmp/*")) == []


def test_offline_only_what_was_kept(pip: Pip, inside: InImage) -> None:
    inside.resolve(python(), ["six"], [], env=env(), offline=True)
    assert pip.calls[0][-1] == "--no-index"
    assert pip.options[0].network == "none"
    pip.problems = [(1, "ERROR: No matching distribution found for other")]
    with pytest.raises(OfflineError, match="the cache lacks other"):
        inside.resolve(python(), ["other"], [], env=env(), offline=True)


def test_what_cannot_be_installed(pip: Pip, inside: InImage) -> None:
    pip.problems = [(1, "error: subprocess-exited-with-error")]
    with pytest.raises(DependencyError) as caught:
        inside.resolve(python(), ["six"], [], env=env(), offline=False)
    assert "subprocess-exited" in caught.value.detail


def test_an_environment_is_filled_without_a_network(pip: Pip, inside: InImage, tmp_path: Path) -> None:
    home = tmp_path / "env"
    inside.create(str(home), python(), ())
    pins = tmp_path / "pins.txt"
    pins.write_text("six==1.17.0\n")
    assert inside.sync(str(home / "bin" / "python"), str(pins), env=env(), offline=False).return_code == 0
    fetched, installed = pip.calls
    assert "--no-deps" in fetched
    assert installed[4:7] == ["--python", f"{home}/bin/python", "install"]
    assert {"--no-index", "--no-deps", "--no-compile"} <= set(installed)
    assert installed[-1].endswith("six-1.17.0-py2.py3-none-any.whl")
    assert [options.network for options in pip.options] == ["host", "none"]
    assert Mount.same(str(home), writable=True) in pip.options[1].mounts
    pip.problems = [(0, ""), (1, "broken wheel")]
    with pytest.raises(DependencyError, match="pip install failed"):
        inside.sync(str(home / "bin" / "python"), str(pins), env=env(), offline=False)


def test_no_pins_no_wheels(pip: Pip, inside: InImage, tmp_path: Path) -> None:
    pip.makes = []
    assert inside.resolve(python(), ["six"], [], env=env(), offline=False) == []
