"""Is uv called with an absolute interpreter, the user's settings, and no secret in its arguments?"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from hwb.context import Context, use
from hwb.errors import DependencyError, IsolationError, OfflineError
from hwb.isolation import installing
from hwb.isolation.uv import UvInstaller
from hwb.pythons import Interpreter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake uv is a script")

PYTHON = Interpreter("/opt/python3.12/bin/python3.12", "3.12.1", "cpython", "pyenv")
FAKE = """#!{python}
import json, os, sys
with open({calls!r}, "a") as handle:
    handle.write(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]) + "\\n")
if sys.argv[1:3] == ["pip", "compile"]:
    with open(sys.argv[-1 if sys.argv[-1] == "in.txt" else -2]) as handle:
        print("# a comment\\n" + handle.read() + "==1.0\\n")
code, _, text = os.environ.get("FAKE_" + ("OFFLINE" if "--offline" in sys.argv else "ONLINE"), "0").partition(" ")
print(text, file=sys.stderr)
sys.exit(int(code))
"""


class Fake:
    def __init__(self, directory: Path) -> None:
        self._calls = directory / "calls"
        script = directory / "uv"
        script.write_text(FAKE.format(python=sys.executable, calls=str(self._calls)))
        script.chmod(0o755)
        self.uv = UvInstaller(str(script))
        self.path = str(script)

    @property
    def calls(self) -> list[Any]:
        return [json.loads(line) for line in self._calls.read_text().splitlines()] if self._calls.exists() else []

    @property
    def arguments(self) -> list[list[str]]:
        return [call[0] for call in self.calls]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setattr(installing, "_silence", installing._Silence())
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return Fake(tmp_path)


def env(**variables: str) -> dict[str, str]:
    return {"PIP_CONFIG_FILE": os.devnull, "PATH": os.environ["PATH"], **variables}


def test_an_environment_is_made_with_that_interpreter_and_nothing_else(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PYTHON", "3.9")
    fake.uv.create("/some/where", PYTHON, ["--system-site-packages"])
    [(argv, environ, _)] = fake.calls
    common = ["--python", PYTHON.path, "--system-site-packages", "/some/where"]
    assert argv == ["venv", "--no-project", "--no-config", "-q", *common]
    assert environ["UV_PYTHON_DOWNLOADS"] == "never"
    assert "UV_PYTHON" not in environ


def test_seed_packages_come_from_the_users_index(fake: Fake) -> None:
    fake.uv.create("/some/where", PYTHON, ["--seed"])
    assert "--no-config" not in fake.arguments[0]


def test_an_environment_that_cannot_be_made(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ONLINE", "2 no such option")
    with pytest.raises(IsolationError, match=r"cannot make an environment with /opt/python3\.12") as caught:
        fake.uv.create("/some/where", PYTHON, ["--nonsense"])
    assert "no such option" in caught.value.detail


def test_arguments_are_handed_on_as_they_are(fake: Fake) -> None:
    done = fake.uv.install("/env/bin/python", ["-e", ".", "six<2"], env=env(), offline=False)
    assert done.return_code == 0
    assert fake.arguments == [["pip", "install", "--python", "/env/bin/python", "-e", ".", "six<2"]]


def test_offline(fake: Fake) -> None:
    fake.uv.install("/env/bin/python", ["six"], env=env(), offline=True)
    assert fake.arguments == [["pip", "install", "--python", "/env/bin/python", "six", "--offline"]]
    lacking = "2 Because six was not found in the cache"
    with pytest.raises(OfflineError, match="the cache lacks six"):
        fake.uv.install("/env/bin/python", ["six"], env=env(FAKE_OFFLINE=lacking), offline=True)


def test_a_dead_network(fake: Fake) -> None:
    messages: list[str] = []
    with use(Context(emit=lambda kind, **fields: messages.append(fields.get("text", "")))):
        fake.uv.install("/e/python", ["six"], env=env(FAKE_ONLINE="2 dns error"), offline=False, silent=True)
    assert [argv[-1] for argv in fake.arguments] == ["six", "--offline"]
    assert [text for text in messages if text] == [
        "uv pip install: the network does not answer; taken from the cache, where versions may be older"
    ]


def test_a_failure_carries_what_uv_says(fake: Fake) -> None:
    with pytest.raises(DependencyError) as caught:
        fake.uv.install("/e/python", ["six"], env=env(FAKE_ONLINE="1 error: No solution found"), offline=False)
    assert caught.value.detail.strip() == "error: No solution found"
    assert "names and versions" in caught.value.remedy


def test_settings_of_the_user_reach_uv_by_environment(fake: Fake) -> None:
    index = "https://me:secret@index.example/simple"
    mine = {"UV_HTTP_RETRIES": "7", "HTTPS_PROXY": "http://p.example", "UV_SYSTEM_PYTHON": "1", "PYTHONHOME": "/x"}
    fake.uv.install("/e/python", ["six"], env=env(PIP_INDEX_URL=index, **mine), offline=False)
    [(argv, environ, _)] = fake.calls
    assert environ["UV_DEFAULT_INDEX"] == index
    assert "secret" not in " ".join(argv)
    assert (environ["UV_HTTP_RETRIES"], environ["UV_HTTP_CONNECT_TIMEOUT"]) == ("7", "5")
    assert environ["HTTPS_PROXY"] == "http://p.example"
    assert {"UV_SYSTEM_PYTHON", "PYTHONHOME"}.isdisjoint(environ)
    fake.uv.install("/e/python", ["six"], env=env(PIP_NO_INDEX="1"), offline=False)
    assert fake.arguments[-1] == ["pip", "install", "--python", "/e/python", "--no-index", "six"]


def test_resolving_happens_outside_of_any_project(fake: Fake) -> None:
    pins = fake.uv.resolve(PYTHON, ["six"], ["six<2"], env=env(), offline=False)
    assert pins == ["six==1.0"]
    [(argv, _, cwd)] = fake.calls
    assert argv[:2] == ["pip", "compile"]
    assert argv[argv.index("--python") + 1] == PYTHON.path
    assert cwd != str(Path.cwd())
    assert not os.path.exists(cwd), "temporary files are removed"


def test_pins_are_installed_exactly(fake: Fake, tmp_path: Path) -> None:
    fake.uv.sync("/e/python", str(tmp_path / "pins.txt"), env=env(), offline=False)
    [(argv, _, cwd)] = fake.calls
    assert argv[-3:] == ["--no-deps", "-r", str(tmp_path / "pins.txt")]
    assert tmp_path.samefile(cwd)


def test_check(fake: Fake) -> None:
    fake.uv.check("/e/python", env=env())
    assert fake.arguments == [["pip", "check", "--python", "/e/python"]]
    with pytest.raises(DependencyError, match="do not fit together") as caught:
        fake.uv.check("/e/python", env=env(FAKE_ONLINE="1 a requires b"))
    assert "a requires b" in caught.value.detail
