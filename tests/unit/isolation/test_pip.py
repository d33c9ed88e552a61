"""What goes through wheels in the store, what does not, and how are environments made without uv?"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb import proc, pythons
from hwb.errors import DependencyError, IsolationError, OfflineError
from hwb.isolation import installing, pip
from hwb.isolation.installing import Outcome
from hwb.isolation.pip import PipInstaller, split_arguments
from hwb.proc import Completed
from hwb.pythons import Interpreter
from hwb.store import open_store

PYTHON = Interpreter("/opt/python3.12/bin/python3.12", "3.12.1", "cpython", "pyenv")


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(installing, "_silence", installing._Silence())


@pytest.mark.parametrize(
    ("args", "wheel", "install"),
    [
        (["six"], ["six"], ["six"]),
        (["six<2", "a[b]==1; python_version<'4'"], None, None),
        (["-U", "six"], ["six"], ["-U", "six"]),
        (["--upgrade-strategy", "eager", "six"], ["six"], ["--upgrade-strategy", "eager", "six"]),
        (["-i", "https://i.example", "six"], ["-i", "https://i.example", "six"], ["six"]),
        (["--index-url=https://i.example", "six"], ["--index-url=https://i.example", "six"], ["six"]),
        (["--no-binary", ":all:", "six"], ["--no-binary", ":all:", "six"], ["six"]),
        (["-q", "--no-deps", "six"], None, None),
        (["dist/demo-1.0-py3-none-any.whl", "dist/x-1-py3-none-any.whl[extra]"], None, None),
    ],
)
def test_two_steps(args: list[str], wheel: list[str] | None, install: list[str] | None) -> None:
    assert split_arguments(args) == (args if wheel is None else wheel, args if install is None else install)


@pytest.mark.parametrize(
    "args",
    [
        ["."],
        ["-e", "."],
        ["--editable=."],
        ["./dist/demo-1.0.tar.gz"],
        ["demo @ https://x.example/demo.whl"],
        ["https://x.example/demo-1-py3-none-any.whl"],
        ["git+https://x.example/demo"],
        ["--target", "x", "six"],
        ["--no-index", "six"],
        ["--group", "dev"],
        ["six", "-r"],
        ["-r", "missing.txt"],
        [],
        ["-i", "https://i.example"],
    ],
)
def test_one_step(args: list[str]) -> None:
    assert split_arguments(args) is None


def test_a_name_that_is_also_a_directory_here_is_meant_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert split_arguments(["demo"]) is not None
    (tmp_path / "demo").mkdir()
    assert split_arguments(["demo"]) is None


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        ("# tools\nsix==1.17\n\npluggy>=1 --hash=sha256:00\n  --hash=sha256:11\n", True),
        ("-e .\n", False),
        ("-r other.txt\n", False),
        ("demo @ file:///x\n", False),
        ("./demo\n", False),
    ],
)
def test_requirements_files(tmp_path: Path, content: str, plain: bool) -> None:
    (tmp_path / "r.txt").write_text(content)
    assert (split_arguments(["-r", "r.txt"], str(tmp_path)) is not None) is plain
    (tmp_path / "r.txt").write_bytes(b"\xff\xfe")
    assert split_arguments(["-r", "r.txt"], str(tmp_path)) is None


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_arguments_are_either_split_or_left(args: list[str]) -> None:
    split = split_arguments(args)
    if split is not None:
        assert set(split[0]) | set(split[1]) == set(args), "nothing is lost"


@pytest.mark.parametrize(
    ("config", "library", "key"),
    [
        ("version = 3.12.1\n", "python3.12", "cp312"),
        ("home = x\nversion_info = 3.13.0.final.0\n", None, "cp313"),
        ("implementation = CPython\nversion_info = 3.13.5\n", "python3.13t", "cp313t"),
        ("implementation = PyPy\nversion_info = 3.9.16\n", "pypy3.9", "pp39"),
        ("version = 3.11.9\n", "pypy3.11", "pp311"),
        ("implementation = GraalVM\nversion_info = 3.12.8\n", "python3.12", "gp312"),
        ("", "python3.12", "any"),
        (None, None, "any"),
    ],
)
def test_wheels_are_kept_per_python(tmp_path: Path, config: str | None, library: str | None, key: str) -> None:
    if config is not None:
        (tmp_path / "pyvenv.cfg").write_text(config)
    if library is not None:
        (tmp_path / "lib" / library).mkdir(parents=True)
    directory = pip._wheels(str(tmp_path / "bin" / "python"))
    assert directory.name.startswith(f"{key}-{sys.platform}-")
    assert directory.is_dir()


class Pip:
    """A pip whose runs are recorded: what it does is given by the first word, and whether the index is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []
        self.fails: dict[str, str] = {}
        self.makes: list[str] = ["six-1.17.0-py2.py3-none-any.whl", "My_Dep-2.0-py3-none-any.whl"]
        self.envs: list[dict[str, str]] = []
        monkeypatch.setattr(pip, "execute", self.execute)

    def execute(self, argv: list[str], *, env: dict[str, str], **options: Any) -> Outcome:
        assert argv[1:4] == ["-I", "-m", "pip"]
        args = argv[4:]
        self.calls.append(args)
        self.envs.append(env)
        kind = args[0] + (" offline" if "--no-index" in args else "")
        if kind in self.fails:
            return Outcome(Completed(tuple(argv), 1, 0.1, b"said"), self.fails[kind])
        if args[0] == "wheel":
            directory = Path(args[args.index("--wheel-dir") + 1])
            directory.mkdir(exist_ok=True)
            for name in self.makes:
                (directory / name).write_text("wheel")
        return Outcome(Completed(tuple(argv), 0, 0.1, b""), "")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Pip:
    return Pip(monkeypatch)


def kept() -> list[str]:
    return sorted(path.name for path in open_store().root.glob("wheels/*/*"))


def test_wheels_from_an_index_are_kept_and_installed_alone(fake: Pip) -> None:
    PipInstaller().install("/e/bin/python", ["-U", "six"], env={}, offline=False)
    [wheel, install] = fake.calls
    directory = wheel[2]
    assert wheel[:2] == ["wheel", "--wheel-dir"]
    assert wheel[-1] == "six"
    assert install == ["install", "--no-index", "--find-links", directory, "-U", "six"]
    assert kept() == ["My_Dep-2.0-py3-none-any.whl", "six-1.17.0-py2.py3-none-any.whl"]
    assert not os.path.exists(directory)


def test_a_local_wheel_is_not_kept(fake: Pip) -> None:
    fake.makes.append("demo-1.0-py3-none-any.whl")
    PipInstaller().install("/e/bin/python", ["dist/demo-1.0-py3-none-any.whl"], env={}, offline=False)
    assert "demo-1.0-py3-none-any.whl" not in kept()
    assert len(kept()) == 2


def test_what_cannot_go_through_wheels_goes_straight(fake: Pip) -> None:
    PipInstaller().install("/e/bin/python", ["-e", "."], env={}, offline=False)
    [install] = fake.calls
    assert install[:2] == ["install", "--find-links"]
    assert install[-2:] == ["-e", "."]


def test_offline_only_the_store_is_asked(fake: Pip) -> None:
    PipInstaller().install("/e/bin/python", ["six"], env={}, offline=True)
    [install] = fake.calls
    assert install[:3] == ["install", "--no-index", "--find-links"]
    fake.fails["install offline"] = "ERROR: No matching distribution found for six"
    with pytest.raises(OfflineError, match="the cache lacks six"):
        PipInstaller().install("/e/bin/python", ["six"], env={}, offline=True)


def test_without_a_network_the_store_serves(fake: Pip) -> None:
    fake.fails["wheel"] = "WARNING: Retrying after connection broken by 'ProxyError(...)'"
    PipInstaller().install("/e/bin/python", ["six"], env={}, offline=False)
    assert [call[0] for call in fake.calls] == ["wheel", "install"]
    assert "--no-index" in fake.calls[1]


def test_pins_in_the_store_need_no_index(fake: Pip, tmp_path: Path) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text("six==1.17.0\n")
    PipInstaller().sync("/e/bin/python", str(pins), env={}, offline=False)
    [install] = fake.calls
    assert install[:2] == ["install", "--no-index"]
    fake.fails["install offline"] = "ERROR: No matching distribution found for six"
    with pytest.raises(DependencyError):
        PipInstaller().sync("/e/bin/python", str(pins), env={}, offline=False)
    with pytest.raises(OfflineError):
        PipInstaller().sync("/e/bin/python", str(pins), env={}, offline=True)


def test_pins_are_what_pip_chose(fake: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(PipInstaller, "create", lambda self, path, interpreter, params: made.append(path))
    fake.makes.append("demo-1.0-py3-none-any.whl")
    wanted = ["six", "Demo[x] @ file:///demo"]
    pins = PipInstaller().resolve(PYTHON, wanted, ["six<2"], env={}, offline=False)
    assert pins == ["Demo[x] @ file:///demo", "my-dep==2.0", "six==1.17.0"]
    assert "demo-1.0-py3-none-any.whl" not in kept()
    assert len(kept()) == 2
    assert not os.path.exists(made[0])


def test_a_store_without_room_is_no_error(fake: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("hwb.fs.copy_file", full)
    PipInstaller().install("/e/bin/python", ["six"], env={}, offline=False)
    assert kept() == []


def test_check(fake: Pip) -> None:
    PipInstaller().check("/e/bin/python", env={})
    fake.fails["check"] = ""
    with pytest.raises(DependencyError, match="do not fit together") as caught:
        PipInstaller().check("/e/bin/python", env={})
    assert caught.value.detail == "said"


def test_what_pip_is_told(fake: Pip) -> None:
    env = {
        "PIP_TARGET": "/x",
        "PIP_USER": "1",
        "PIP_RETRIES": "9",
        "PIP_INDEX_URL": "https://i.example",
        "PYTHONHOME": "/x",
    }
    PipInstaller().install("/e/bin/python", ["-e", "."], env=env, offline=False)
    assert fake.envs == [
        {
            "PIP_RETRIES": "9",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_INDEX_URL": "https://i.example",
            "PIP_NO_INPUT": "1",
            "PIP_USER": "0",
        }
    ]


# -------------------------------------------------------------------------------------------------- environments


class Venvs:
    """Records the commands of `python -m venv`, and can let them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []
        self.code = 0
        monkeypatch.setattr(proc, "run", self.run)

    def run(self, argv: list[str], **options: Any) -> Completed:
        self.calls.append(argv)
        return Completed(tuple(argv), self.code, 0.1, b"ensurepip is not available")


@pytest.fixture
def venvs(monkeypatch: pytest.MonkeyPatch) -> Venvs:
    return Venvs(monkeypatch)


def test_the_venv_module(venvs: Venvs, tmp_path: Path) -> None:
    PipInstaller("venv").create(str(tmp_path / "e"), PYTHON, ["--copies"])
    assert venvs.calls == [[PYTHON.path, "-I", "-m", "venv", "--copies", str(tmp_path / "e")]]
    venvs.code = 1
    with pytest.raises(IsolationError, match="cannot make a virtual environment") as caught:
        PipInstaller("venv").create(str(tmp_path / "e"), PYTHON, [])
    assert "ensurepip" in caught.value.detail
    assert "python3-venv" in caught.value.remedy


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (RuntimeError("too old"), "RuntimeError: too old"),
        (SystemExit(2), "does not understand --odd"),
        (ImportError(), "cannot be imported"),
    ],
)
def test_what_virtualenv_cannot_serve_the_venv_module_makes(
    venvs: Venvs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: BaseException, said: str
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        (tmp_path / "e").mkdir(exist_ok=True)
        (tmp_path / "e" / "half").write_text("")
        raise problem

    if isinstance(problem, ImportError):
        monkeypatch.setitem(sys.modules, "virtualenv", None)
    else:
        monkeypatch.setattr("virtualenv.cli_run", refuse)
    PipInstaller().create(str(tmp_path / "e"), PYTHON, ["--odd"])
    assert len(venvs.calls) == 1
    assert not (tmp_path / "e" / "half").exists(), "what virtualenv left is gone"
    venvs.code = 1
    with pytest.raises(IsolationError, match="neither virtualenv nor venv") as caught:
        PipInstaller().create(str(tmp_path / "e"), PYTHON, ["--odd"])
    assert said in caught.value.detail
    assert "ensurepip" in caught.value.detail


def test_virtualenv_makes_environments_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], dict[str, Any]]] = []
    monkeypatch.setattr("virtualenv.cli_run", lambda args, **options: calls.append((args, options)))
    PipInstaller().create(str(tmp_path / "e"), PYTHON, ["--system-site-packages"])
    [(args, options)] = calls
    assert args[:2] == ["--python", PYTHON.path]
    assert args[-2:] == ["--system-site-packages", str(tmp_path / "e")]
    assert "--no-download" in args
    assert args[args.index("--app-data") + 1] == str(open_store().root / "virtualenv")
    assert options["setup_logging"] is False
    assert pip.virtualenv_installed()


def test_virtualenv_really(tmp_path: Path) -> None:
    here = pythons.running()
    PipInstaller().create(str(tmp_path / "e"), here, [])
    python = tmp_path / "e" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if (here.implementation, here.flags) == ("cpython", ""):
        assert pip._python_tag(str(python)) == f"cp{here.minor.replace('.', '')}"
    PipInstaller().check(str(python), env=dict(os.environ))
