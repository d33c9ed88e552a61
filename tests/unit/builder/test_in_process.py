"""Do hooks behave as PEP 517 and pyproject-hooks have them, as programs and as forks, on every Python that is here?

Each case is one small in-tree backend; each way to run it must give the same answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from hwb import context, pythons
from hwb.builder.hooks import HookRunner
from hwb.builder.zygote import IN_PROCESS, Zygotes
from hwb.errors import CommandFailed, InterpreterNotFound

from .rooms import HostRoom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Ask = Callable[..., tuple[str, Any]]

MINORS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
WAYS = [
    "pyproject-hooks",
    "program",
    "zygote",
    "room",
    *(f"{way}-{minor}" for way in ("program", "zygote") for minor in MINORS),
]


def by_pyproject_hooks(folder: Path, job: dict[str, Any]) -> tuple[str, Any]:
    hooks = pytest.importorskip("pyproject_hooks")
    caller = hooks.BuildBackendHookCaller(
        str(folder), job["backend"], backend_path=job["backend_path"], runner=hooks.quiet_subprocess_runner
    )
    try:
        return "value", getattr(caller, job["hook"])(*job["arguments"], job["config_settings"])
    except hooks.BackendUnavailable as error:
        return "unavailable", error.traceback
    except hooks.HookMissing:
        return "missing", job["hook"]
    except hooks.UnsupportedOperation as error:
        return "unsupported", error.traceback
    except subprocess.CalledProcessError as error:
        return "failed", error.returncode


def by_hwb(folder: Path, job: dict[str, Any], python: str, name: str, room: HostRoom | None = None) -> tuple[str, Any]:
    runner = HookRunner(python, name, dict(os.environ), str(folder.parent / "place"), room=room)
    try:
        answer = runner.run({**job, "source_dir": str(folder)}, in_tree=bool(job["backend_path"]))
    except CommandFailed as error:
        return "failed", error.return_code
    answer.pop("modules", None)
    ((kind, value),) = answer.items()
    return kind, value


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    with ExitStack() as stack:
        mine = context.Context()
        if request.param.startswith(("zygote", "room")):
            if sys.platform != "linux":
                pytest.skip("forks on Linux only")
            mine.shared = {"zygotes": stack.enter_context(Zygotes())}
        stack.enter_context(context.use(mine))
        yield request.param


@pytest.fixture
def ask(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Call a hook of a backend whose code is given; what came of it as one word and its content."""
    name, _, minor = way.partition("-")
    if name == "pyproject":  # CPython takes byte code of the same second and size for the file's: the peer as well
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    try:
        python = pythons.find(minor).path if minor and name != "pyproject" else sys.executable
    except InterpreterNotFound:
        pytest.skip(f"there is no Python {minor}")

    def call(code: str, hook: str = "get_requires_for_build_wheel", *arguments: str, **job: Any) -> tuple[str, Any]:
        folder = tmp_path / "project"
        for path, text in {"backend/be.py": code, **job.pop("files", {})}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        whole = {
            "hook": hook,
            "backend": "be",
            "backend_path": ["backend"],
            "arguments": list(arguments),
            "config_settings": None,
            **job,
        }
        if name == "pyproject":
            return by_pyproject_hooks(folder, whole)
        shared = "an-environment" if name in ("zygote", "room") else ""
        return by_hwb(folder, whole, python, shared, room if name == "room" else None)

    room = HostRoom()
    return call


HEAD = "import os, sys\n"
REQUIRES = HEAD + "def get_requires_for_build_wheel(config_settings=None):\n    return "


def test_a_hook_returns_its_value(ask: Ask) -> None:
    assert ask(REQUIRES + "['a', 'b>=1']") == ("value", ["a", "b>=1"])


@pytest.mark.parametrize("settings", [None, {"flag": "x", "many": ["a", "b"]}])
def test_config_settings_arrive_as_they_are(ask: Ask, settings: Any) -> None:
    assert ask(REQUIRES + "[repr(config_settings)]", config_settings=settings) == ("value", [repr(settings)])


def test_arguments_arrive(ask: Ask, tmp_path: Path) -> None:
    code = HEAD + "def build_sdist(directory, config_settings=None):\n    return directory + '!'\n"
    assert ask(code, "build_sdist", str(tmp_path)) == ("value", f"{tmp_path}!")


@pytest.mark.parametrize("hook", ["get_requires_for_build_wheel", "get_requires_for_build_sdist"])
def test_an_optional_hook_that_is_missing_is_an_empty_list(ask: Ask, hook: str) -> None:
    assert ask("", hook) == ("value", [])


def test_the_backend_may_be_an_object_in_a_module(ask: Ask) -> None:
    code = (
        "class A:\n    class B:\n        @staticmethod\n"
        "        def get_requires_for_build_wheel(config_settings=None): return ['x']\n"
    )
    assert ask(code, backend="be:A.B") == ("value", ["x"])
    assert ask(code, "get_requires_for_build_sdist", backend="be:A") == ("value", [])
    kind, text = ask(code, backend="be:A.C")
    assert kind in ("unavailable", "failed"), "pyproject-hooks lets the AttributeError end the process"
    assert kind == "failed" or "AttributeError" in text


def test_a_backend_in_a_package(ask: Ask) -> None:
    files = {"backend/pkg/__init__.py": "", "backend/pkg/inner.py": REQUIRES + "['from the package']"}
    assert ask("", backend="pkg.inner", files=files) == ("value", ["from the package"])


def test_a_backend_that_is_not_there(ask: Ask) -> None:
    kind, text = ask("", backend="no_such_backend", backend_path=[])
    assert (kind, text.strip().splitlines()[-1]) == (
        "unavailable",
        "ModuleNotFoundError: No module named 'no_such_backend'",
    )


def test_a_backend_that_is_not_in_its_path(ask: Ask) -> None:
    kind, text = ask("", backend="colorsys")  # the standard library has one, but PEP 517 wants the in-tree one
    assert kind == "unavailable"
    assert "colorsys" in text or text == "", "pyproject-hooks says it in another attribute"


def test_a_backend_that_cannot_import_something(ask: Ask) -> None:
    kind, text = ask("import no_such_helper\n")
    assert kind == "unavailable"
    assert "No module named 'no_such_helper'" in text


def test_an_unsupported_operation(ask: Ask) -> None:
    code = (
        "class UnsupportedOperation(Exception): pass\n"
        "def build_sdist(directory, config_settings=None): raise UnsupportedOperation('not here')\n"
    )
    kind, text = ask(code, "build_sdist", "/nowhere")
    assert kind == "unsupported"
    assert text.rstrip().endswith("UnsupportedOperation: not here")


def test_a_missing_hook_that_must_be_there_is_a_failure(ask: Ask) -> None:
    kind, _ = ask("", "build_sdist", "/nowhere")
    assert kind in ("missing", "failed"), "pyproject-hooks lets the AttributeError end the process"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("raise SystemExit('a sentence')", 1),
        ("sys.exit(True)", 1),
        ("raise ValueError('x')", 1),
        ("raise KeyboardInterrupt", None),
        ("os.kill(os.getpid(), 9)", -9),
        ("os.kill(os.getpid(), 15)", -15),
        ("os._exit(3)", 3),
    ],
)
def test_a_hook_that_ends_badly(ask: Ask, body: str, code: int | None) -> None:
    kind, how = ask(HEAD + f"def get_requires_for_build_wheel(config_settings=None):\n    {body}\n")
    assert kind == "failed"
    assert how == code or (code is None and how != 0)


def test_output_is_no_answer(ask: Ask) -> None:
    code = "def get_requires_for_build_wheel(config_settings=None):\n    print('{}'); return ['x']\n"
    assert ask("print('[1]')\n" + code) == ("value", ["x"])


def test_one_hook_does_not_see_what_another_changed(ask: Ask) -> None:
    change = "os.environ['LEFT'] = 'x'; os.chdir('/'); os.umask(0); sys.path.append('/left'); sys.modules['left'] = sys"
    body = (
        "seen = [os.environ.get('LEFT'), os.path.basename(os.getcwd()), '/left' in sys.path, 'left' in sys.modules]\n"
        f"    {change}\n    return seen\n"
    )
    code = HEAD + f"def get_requires_for_build_wheel(config_settings=None):\n    {body}"
    first = ask(code)
    assert first == ask(code) == ("value", [None, "project", False, False])


def test_the_project_is_not_on_the_path(ask: Ask) -> None:
    code = REQUIRES + "[p for p in sys.path if not p or p == os.getcwd()]"
    assert ask(code) == ("value", [])
    assert ask("import wave_like_module\n", files={"wave_like_module.py": ""})[0] == "unavailable"


def test_a_module_of_the_backend_path_that_changes_is_read_anew(ask: Ask) -> None:
    for number in range(3):
        assert ask(REQUIRES + f"['{number}']") == ("value", [str(number)])
        os_time = {"files": {"backend/helper.py": f"VALUE = '{number}'"}}
        code = HEAD + "import helper\n" + REQUIRES + "[helper.VALUE]"
        assert ask(code, **os_time) == ("value", [str(number)])


# --- as a program ----------------------------------------------------------------------------------------------------


def test_the_file_is_a_program_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "be.py").write_text(REQUIRES + "['IN' + str(os.path.basename(sys.path[0]))]")
    job = {
        "hook": "get_requires_for_build_wheel",
        "backend": "be",
        "backend_path": ["."],
        "source_dir": str(tmp_path),
        "arguments": [],
        "config_settings": None,
        "answer": str(tmp_path / "answer.json"),
        "code_cache": str(tmp_path / "cache"),
        "learn": True,
    }
    (tmp_path / "cache").mkdir()
    (tmp_path / "job.json").write_text(json.dumps(job))
    done = subprocess.run([sys.executable, IN_PROCESS, tmp_path / "job.json"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["value"] == ["IN."]
    assert "json" in answer["modules"]
    assert "be" not in answer["modules"], "a module of the project is nobody else's"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []
    assert not (tmp_path / "__pycache__").exists() or os.environ.get("PYTHONDONTWRITEBYTECODE") is None


def test_byte_code_of_the_project_lies_outside_of_it(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "be.py").write_text(
        "def get_requires_for_build_sdist(config_settings=None): return ['1']\n"
    )
    job = {
        "hook": "get_requires_for_build_sdist",
        "backend": "be",
        "backend_path": ["."],
        "source_dir": str(tmp_path / "project"),
        "arguments": [],
        "config_settings": None,
        "answer": str(tmp_path / "answer.json"),
        "code_cache": str(tmp_path / "cache"),
    }
    (tmp_path / "cache").mkdir()
    (tmp_path / "job.json").write_text(json.dumps(job))
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    for content in (None, b"", b"garbage"):
        for kept in (tmp_path / "cache").iterdir() if content is not None else ():
            kept.write_bytes(content)
        subprocess.run([sys.executable, IN_PROCESS, tmp_path / "job.json"], cwd=tmp_path, check=True, env=env)
        assert json.loads((tmp_path / "answer.json").read_text())["value"] == ["1"]
        assert len(list((tmp_path / "cache").iterdir())) == 1
    assert os.listdir(tmp_path / "project") == ["be.py"]
    (tmp_path / "cache").rename(tmp_path / "gone")
    subprocess.run([sys.executable, IN_PROCESS, tmp_path / "job.json"], cwd=tmp_path, check=True, env=env)
