"""Is an interpreter downloaded once, only when somebody wants that, and into hwb's own directory?"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from hwb import pydownload, pyprobe, pythons
from hwb.config import Settings, Value
from hwb.context import Context, use
from hwb.errors import InterpreterNotFound, OfflineError, ToolNotFound
from hwb.pydownload import UvDownloads, permitted, possible, way
from hwb.pythons import downloading, find

from .machines import environ

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="the fake uv is a script")

FAKE = """#!{python}
import json, os, sys, time
with open({calls!r}, "a") as handle:
    handle.write(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]) + "\\n")
time.sleep(float(os.environ.get("FAKE_SECONDS", 0)))
if os.environ.get("FAKE_FAILURE"):
    print(os.environ["FAKE_FAILURE"], file=sys.stderr)
    sys.exit(2)
home = os.path.join(os.environ["UV_PYTHON_INSTALL_DIR"], "cpython-3.14.2-linux-x86_64-gnu", "bin")
os.makedirs(home, exist_ok=True)
with open(os.path.join(home, "python3.14"), "wb") as handle:
    handle.write(b"\\x7fELF")
os.chmod(handle.name, 0o755)
"""


class Fake:
    def __init__(self, directory: Path) -> None:
        self._calls = directory / "calls"
        self.path = directory / "fake-uv"
        self.path.write_text(FAKE.format(python=sys.executable, calls=str(self._calls)))
        self.path.chmod(0o755)

    @property
    def calls(self) -> list[Any]:
        return [json.loads(line) for line in self._calls.read_text().splitlines()] if self._calls.exists() else []


@pytest.fixture
def fake(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake(machine)
    for name in list(os.environ):
        if name.startswith(("UV_", "PIP_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(pydownload, "find_uv", lambda: str(made.path))
    monkeypatch.setattr(pydownload, "_failed", {})
    monkeypatch.setattr(pyprobe, "_probe", lambda real: ["3.14.2", "cpython", "", real, "/b", "/b", ""])
    return made


def get(machine: Path, spec: str = "3.14") -> pythons.Interpreter:
    with downloading(UvDownloads()):
        return find(spec, environ=environ(machine))


@posix
def test_uv_puts_it_into_the_store_and_nowhere_else(machine: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", "file:///mirror")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_PYTHON_PREFERENCE", "only-system")
    found = get(machine)
    assert (found.version, found.source) == ("3.14.2", "hwb")
    assert found.path.startswith(str(machine / "cache" / "interpreters"))
    [(arguments, variables, cwd)] = fake.calls
    assert arguments == ["python", "install", "--no-progress", "3.14"]
    assert cwd == variables["UV_PYTHON_INSTALL_DIR"] == str(machine / "cache" / "interpreters")
    assert variables["UV_PYTHON_INSTALL_MIRROR"] == "file:///mirror"
    assert (variables["UV_PYTHON_INSTALL_BIN"], variables["UV_PYTHON_INSTALL_REGISTRY"]) == ("0", "0")
    assert variables["UV_PYTHON_DOWNLOADS"] == "manual"
    assert "UV_PYTHON_PREFERENCE" not in variables
    assert get(machine) == find("3.14", environ=environ(machine)) == found
    assert len(fake.calls) == 1


@posix
def test_without_leave_nothing_is_started(machine: Path, fake: Fake) -> None:
    with pytest.raises(InterpreterNotFound):
        find("3.14", environ=environ(machine))
    assert fake.calls == []


@posix
def test_what_requires_python_asks_for_is_asked_of_uv(machine: Path, fake: Fake) -> None:
    with downloading(UvDownloads()):
        find(requires_python=">=3.14", environ=environ(machine))
    assert fake.calls[0][0][-1] == ">=3.14"


@posix
def test_whoever_comes_second_waits_and_finds_it(machine: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "0.3")
    found: list[pythons.Interpreter] = []
    said: list[str] = []
    context = Context(emit=lambda kind, **fields: said.append(fields["text"]))

    def work() -> None:
        with use(context.but()):
            found.append(get(machine))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert len(fake.calls) == 1
    waiting = "waiting: somebody else is downloading Python 3.14"
    assert [text for text in said if text != waiting] == ["downloading Python 3.14 (uv python install)"]


@posix
def test_a_failure_is_told_once_and_not_tried_again(machine: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAILURE", "error: No download found")
    for _ in range(2):
        with pytest.raises(
            InterpreterNotFound, match=r"no Python 3\.14 on this machine, and it cannot be downloaded"
        ) as caught:
            get(machine)
        assert "No download found" in caught.value.detail
        assert "UV_PYTHON_INSTALL_MIRROR" in caught.value.remedy
    assert len(fake.calls) == 1


@posix
def test_a_download_ends_in_time(machine: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "60")
    monkeypatch.setattr(pydownload, "SECONDS", 0.3)
    with pytest.raises(InterpreterNotFound, match=r"took more than 0\.3 s"):
        get(machine)


@posix
def test_offline_nothing_is_downloaded_but_what_is_there_is_found(machine: Path, fake: Fake) -> None:
    with use(Context(offline=True)):
        with pytest.raises(OfflineError, match="the network must not be used"):
            get(machine)
        assert fake.calls == []
    get(machine)
    with use(Context(offline=True)):
        assert get(machine).source == "hwb"


def test_without_uv_there_is_a_remedy(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydownload, "find_uv", lambda: None)
    with pytest.raises(ToolNotFound, match="there is no uv") as caught:
        get(machine)
    assert "install uv" in caught.value.remedy


@pytest.mark.parametrize(
    ("given", "word", "meant"),
    [
        (None, None, None),
        (None, "never", None),
        (None, "auto", UvDownloads()),
        (None, "always", UvDownloads(always=True)),
        (True, None, UvDownloads()),
        (True, "never", UvDownloads()),
        (False, "always", None),
    ],
)
def test_the_users_choice_counts_before_the_recipes_word(
    given: bool | None, word: str | None, meant: UvDownloads | None
) -> None:
    assert way(given, word) == meant


def chosen(value: bool) -> Settings:
    return Settings({"download-python": Value(value, "pyproject.toml:3")})


def test_settings_and_words_permit_it_for_a_block() -> None:
    for settings, word, meant in (
        (Settings(), None, None),
        (Settings(), "auto", UvDownloads()),
        (chosen(True), None, UvDownloads()),
        (chosen(False), "always", None),
    ):
        with permitted(settings, word):
            assert pythons.downloads() == meant
    with downloading(UvDownloads()), permitted(chosen(False)):
        assert pythons.downloads() == UvDownloads(), "an option of the command line counts before a file"
    assert pythons.downloads() is None


def test_when_a_download_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydownload, "find_uv", lambda: "/uv")
    assert possible(chosen(True))
    assert not possible(Settings())
    with use(Context(offline=True)):
        assert not possible(chosen(True))
    monkeypatch.setattr(pydownload, "find_uv", lambda: None)
    assert not possible(chosen(True))
