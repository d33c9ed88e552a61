"""What does `hwb lock` say, write and refuse?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import hwb.builder.locking
from hwb.cli import invoke
from hwb.context import current
from hwb.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hwb.pythons import Interpreter

A = "a" * 64


def text(version: str = "1", more: str = "") -> str:
    files = f'{{ url = "https://h/six-{version}-py3-none-any.whl", hashes = {{ sha256 = "{A}" }} }}'
    return f'lock-version = "1.0"\n{more}[[packages]]\nname = "six"\nversion = "{version}"\nwheels = [{files}]\n'


class Locking:
    """Stands for the resolution: what it was asked, what it answers."""

    def __init__(self) -> None:
        self.answer = text()
        self.asked: list[tuple[list[str], str, bool, bool]] = []

    def lock_text(self, root: str, interpreters: Sequence[Interpreter], known: str, *, upgrade: bool) -> str:
        self.asked.append(([one.minor for one in interpreters], known, upgrade, current().offline))
        current().emit("message", level="warning", text="slow")
        current().emit("message", level="info", text="chatty")
        return self.answer


@pytest.fixture
def locking(monkeypatch: pytest.MonkeyPatch) -> Locking:
    fake = Locking()
    monkeypatch.setattr(hwb.builder.locking, "lock_text", fake.lock_text)
    return fake


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_lock_is_written_once(project: Path, locking: Locking, capfd: Any) -> None:
    assert invoke(["lock", "--build"]) == 0
    assert (project / "pylock.build.toml").read_text() == text()
    out, err = capfd.readouterr()
    assert out == "pylock.build.toml: six 1\n"
    assert err == "warning: slow\n"
    assert invoke(["lock", "--build"]) == 0
    assert capfd.readouterr().out == "pylock.build.toml is up to date\n"
    assert [one[1:] for one in locking.asked] == [("", False, False), (text(), False, False)]


def test_what_was_asked_for_is_handed_on(project: Path, locking: Locking, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (
        invoke(["--directory", str(project), "lock", "--build", "-p", f"{minor}, {minor}", "--upgrade", "--offline"])
        == 0
    )
    monkeypatch.setenv("HWB_OFFLINE", "1")
    assert invoke(["lock", "--build", str(project)]) == 0
    assert locking.asked[0] == ([minor], "", True, True)
    assert locking.asked[1][2:] == (False, True)


def test_the_configured_python_is_meant(project: Path, locking: Locking) -> None:
    import sys

    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    with open(project / "pyproject.toml", "a") as file:
        file.write(f'[tool.hwb]\npython = "{minor}"\n')
    assert invoke(["lock", "--build"]) == 0
    assert locking.asked[0][0] == [minor]


def test_a_check_writes_nothing_and_says_what_would_change(project: Path, locking: Locking, capfd: Any) -> None:
    assert invoke(["lock", "--build", "--check"]) == 5
    assert "is missing" in capfd.readouterr().err
    assert not (project / "pylock.build.toml").exists()
    (project / "pylock.build.toml").write_text(text("2"))
    assert invoke(["lock", "--build", "--check"]) == 5
    err = capfd.readouterr().err
    assert "would change" in err
    assert "+ six 1" in err
    assert "- six 2" in err
    assert (project / "pylock.build.toml").read_text() == text("2")
    (project / "pylock.build.toml").write_text(text(more='requires-python = ">=3"\n'))
    assert invoke(["lock", "--build", "--check"]) == 5
    assert "the same versions" in capfd.readouterr().err
    (project / "pylock.build.toml").write_text(text())
    assert invoke(["lock", "--build", "--check"]) == 0


def test_what_has_no_wheel_is_said(project: Path, locking: Locking, capfd: Any) -> None:
    sdist = f'sdist = {{ url = "https://h/six-1.tar.gz", hashes = {{ sha256 = "{A}" }} }}'
    locking.answer = f'lock-version = "1.0"\n[[packages]]\nname = "six"\nversion = "1"\n{sdist}\n'
    assert invoke(["lock", "--build"]) == 0
    assert "six 1 has no wheel" in capfd.readouterr().err


def test_nothing_to_lock(project: Path, locking: Locking, capfd: Any) -> None:
    locking.answer = 'lock-version = "1.0"\npackages = []\n'
    assert invoke(["lock", "--build"]) == 0
    assert capfd.readouterr().out == "pylock.build.toml: nothing\n"


@pytest.mark.parametrize(
    ("words", "told"), [(["lock"], "hwb lock --build"), (["lock", "--build", "gone.tar.gz"], "no directory")]
)
def test_mistakes(project: Path, words: list[str], told: str, capfd: Any) -> None:
    assert invoke(words) == 2
    assert told in capfd.readouterr().err


def test_a_malformed_lock_is_not_written_over(project: Path, locking: Locking, capfd: Any) -> None:
    (project / "pylock.build.toml").write_text("mine")
    assert invoke(["lock", "--build"]) == 2
    assert "pylock.build.toml:1" in capfd.readouterr().err
    assert (project / "pylock.build.toml").read_text() == "mine"


def test_a_failure_leaves_the_old_lock(project: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    def fail(*_: object, **__: object) -> str:
        raise DependencyError("nothing satisfies that")

    monkeypatch.setattr(hwb.builder.locking, "lock_text", fail)
    (project / "pylock.build.toml").write_text(text())
    assert invoke(["lock", "--build"]) == 1
    assert "nothing satisfies that" in capfd.readouterr().err
    assert (project / "pylock.build.toml").read_text() == text()
