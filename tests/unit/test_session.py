"""A session by itself: what it does without a run around it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb import config
from hwb.artifacts import Artifact, Ledger
from hwb.context import Context, use
from hwb.declare import Recipe
from hwb.errors import Cancelled, CommandFailed, ConflictError, DependencyError, HwbError, ProgramNotFound
from hwb.loader import Catalog, Entry
from hwb.redact import Redactor
from hwb.runner.log import SessionLog
from hwb.session import Session
from hwb.spec import ProcessEnv, Services, SessionSpec, safe_name

if TYPE_CHECKING:
    from collections.abc import Iterator


class Notifier:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def notify(self, target: str, posargs: Any, by: str) -> bool:
        self.asked.append((target, posargs, by))
        return True


class Stage:
    """A session with everything it needs, and what came out of it."""

    def __init__(self, root: Path, **spec: Any) -> None:
        self.root = root
        run = root / ".hwb" / "runs" / "1"
        run.mkdir(parents=True)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.spec = replace(SessionSpec("r", "r", 1, "1", str(root), str(run), str(run / "r.log")), **spec)
        self.log = SessionLog(self.spec.log, Redactor())
        self.notifier = Notifier()
        self.catalog = Catalog({})
        self.settings = config.load(str(root), environ={})
        services = Services(self.catalog, self.settings, Ledger(None), self.notifier)
        self.context = Context(
            log=self.log, cwd=str(root), emit=lambda kind, **values: self.events.append((kind, values))
        )
        self.session = Session(self.spec, services, self.context)

    @property
    def text(self) -> str:
        with open(self.spec.log) as handle:
            return handle.read()

    def messages(self, level: str) -> list[str]:
        return [values["text"] for kind, values in self.events if kind == "message" and values["level"] == level]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    own = Stage(tmp_path)
    with use(own.context):
        yield own
    own.log.close()


def sandboxed(stage: Stage, tmp_path: Path, backend: str = "venv", **options: Any) -> Path:
    """An environment of which only the folder for programs exists."""
    folder = tmp_path / "environment" / "bin"
    folder.mkdir(parents=True)
    stage.session._virtualenv = ProcessEnv(str(folder.parent), [str(folder)], backend, **options)
    return folder


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


PYTHON = sys.executable


# --- plain data ----------------------------------------------------------------------------------------------------------


def test_names_that_are_no_file_names_get_a_hash_and_stay_apart() -> None:
    names = [
        "a",
        "a.",
        "a ",
        ".a",
        "..",
        "a/b",
        "a\\b",
        "ä",
        "\ud800",
        "\udc00",
        "x" * 200,
        "x" * 201,
        "a\0b",
        "test-3.12",
    ]
    safe = [safe_name(name) for name in names]

    assert len(set(safe)) == len(names)
    assert safe[0] == "a"
    assert safe[-1] == "test-3.12"
    assert all(name and len(name) < 80 and name.isascii() and not set(name) & set('/\\ \0:*?"<>|') for name in safe)
    assert not any(name.startswith((".", "-")) or name.endswith((".", " ")) for name in safe)


def test_an_environment_without_programs_has_no_bin() -> None:
    with pytest.raises(ValueError, match="does not have a bin directory"):
        ProcessEnv("x", None, "none").bin  # noqa: B018 - the access is the test
    assert ProcessEnv("x", ["a", "b"], "venv").bin == "a"


def test_a_session_shows_what_its_specification_says(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path, posargs=("a",), python="3.12", interactive=True, parallel=True, invoked_from="/here", id="r-3.12"
    )
    session = stage.session

    assert (session.name, session.posargs, session.python) == ("r-3.12", ["a"], "3.12")
    assert (session.interactive, session.parallel, session.invoked_from) == (True, True, "/here")
    session.posargs.append("b")
    assert session.posargs == ["a"]
    stage.log.close()


def test_the_project_is_read_and_not_run(stage: Stage) -> None:
    (stage.root / "pyproject.toml").write_text("[project]\nname = 'x-y'\nversion = '1.2'\n")

    assert stage.session.project.name == "x-y"
    assert stage.session.config.get("jobs") == "auto"
    assert stage.session.output_dir == os.path.join(str(stage.root), "dist")
    assert stage.session.index_url.startswith("file://")


# --- commands ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for a program")
def test_the_environments_own_program_comes_first(stage: Stage, tmp_path: Path) -> None:
    folder = sandboxed(stage, tmp_path)
    program(folder, "git", "echo own git")

    assert stage.session.run("git", silent=True) == "own git\n"
    assert stage.messages("warning") == []


def test_a_program_from_outside_is_a_warning_allowed_or_an_error(stage: Stage, tmp_path: Path) -> None:
    sandboxed(stage, tmp_path)
    path = os.pathsep.join([os.path.dirname(PYTHON), os.environ["PATH"]])
    name = os.path.basename(PYTHON)
    arguments = (name, "-c", "print(1)")

    assert stage.session.run(*arguments, env={"PATH": path}, external=True)
    assert stage.messages("warning") == []
    assert stage.session.run(*arguments, env={"PATH": path})
    assert "Pass external=True if that is meant" in stage.messages("warning")[0]
    with pytest.raises(CommandFailed, match="is not installed in the session's environment"):
        stage.session.run(*arguments, env={"PATH": path}, external="error")
    stage.session._services.settings = config.load(str(stage.root), options={"error-on-external-run": True}, environ={})
    with pytest.raises(CommandFailed, match="is not installed in the session's environment"):
        stage.session.run(*arguments, env={"PATH": path})


def test_uv_is_part_of_an_environment_that_uv_made(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandboxed(stage, tmp_path, "uv")
    monkeypatch.setattr("hwb.isolation.backends.find_uv", lambda: "/somewhere/uv")

    assert stage.session._program("uv", {"PATH": ""}, None) == "/somewhere/uv"
    assert stage.session._program("uvx", {"PATH": ""}, None) == os.path.join("/somewhere", "uvx")
    monkeypatch.setattr("hwb.isolation.backends.find_uv", lambda: None)
    with pytest.raises(ProgramNotFound, match="program 'uv' was not found"):
        stage.session._program("uv", {"PATH": ""}, None)


def test_a_command_may_stay_out_of_the_log(stage: Stage) -> None:
    stage.session.run(PYTHON, "-c", "pass", log=False)
    assert stage.text == ""
    stage.session.run(PYTHON, "-c", "pass")
    assert stage.text.startswith("$ ")


def test_the_path_of_the_environment_is_first(stage: Stage, tmp_path: Path) -> None:
    folder = sandboxed(stage, tmp_path)

    assert stage.session._environment({}, True)["PATH"].split(os.pathsep)[0] == str(folder)
    assert stage.session._environment({}, False)["PATH"].split(os.pathsep)[0] == str(folder)
    assert stage.session._environment({"PATH": "given"}, False)["PATH"] == os.pathsep.join([str(folder), "given"])


def test_finally_after_a_cancellation_may_run_commands_for_a_while(stage: Stage) -> None:
    stage.context.token.cancel("SIGINT")
    with pytest.raises(Cancelled):
        stage.session.run(PYTHON, "-c", "pass")

    assert stage.session.run(PYTHON, "-c", "print('cleaned up')", silent=True) == "cleaned up\n"
    assert stage.context.deadline is not None


def test_notify_is_handed_on(stage: Stage) -> None:
    stage.session.notify("a")
    stage.session.notify("b", iter(["x", "y"]))

    assert stage.notifier.asked == [("a", None, "r"), ("b", ["x", "y"], "r")]


def test_messages_without_arguments(stage: Stage) -> None:
    stage.session.log()
    stage.session.log("100%")
    stage.session.warn("%d%%", 7)

    assert stage.messages("info") == ["", "100%"]
    assert stage.messages("warning") == ["7%"]


# --- installing ----------------------------------------------------------------------------------------------------------


class Installed:
    """Stands for `hwb.isolation.venv.install`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[list[str], bool]] = []
        self.error: DependencyError | None = None
        monkeypatch.setattr("hwb.isolation.venv.install", self._install)

    def _install(self, _venv: Any, arguments: list[str], *, env: Any, silent: bool) -> None:
        self.calls.append((arguments, silent))
        if self.error is not None:
            raise self.error


@pytest.fixture
def installed(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    sandboxed(stage, tmp_path)
    stage.session._venv = SimpleNamespace(interpreter=SimpleNamespace(minor="3.12"))  # type: ignore[assignment]
    return Installed(monkeypatch)


def test_install_is_noted_and_quiet_unless_asked(stage: Stage, installed: Installed) -> None:
    stage.session.install("a b", "c")
    stage.session.install("d", silent=False, log=False)

    assert installed.calls == [(["a b", "c"], True), (["d"], False)]
    assert stage.text.splitlines() == ["install 'a b' c"] or sys.platform == "win32"


def test_no_install_means_only_what_is_there_already(stage: Stage, installed: Installed) -> None:
    stage.session._spec = replace(stage.spec, no_install=True)
    stage.session.install("a")
    stage.session._virtualenv.reused = True
    stage.session.install("b")

    assert installed.calls == [(["a"], True)]
    assert stage.session.run_install("no-such-program") is None


def test_install_takes_success_codes_and_one_stream(stage: Stage, installed: Installed) -> None:
    installed.error = DependencyError("no")
    installed.error.return_code = 3
    stage.session.install("a", success_codes=[0, 3])
    with pytest.raises(DependencyError):
        stage.session.install("a", success_codes=[0])
    with pytest.raises(ValueError, match="one stream"):
        stage.session.install("a", stderr=1)
    with pytest.raises(ValueError, match="At least one argument"):
        stage.session.install()


def test_a_script_brings_its_requirements(stage: Stage, installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(Session, "run", lambda _self, *args, **_options: ran.append(args))
    (stage.root / "with.py").write_text('# /// script\n# dependencies = ["rich"]\n# ///\n')
    (stage.root / "without.py").write_text("print()\n")
    stage.session.install_and_run_script("with.py", "-x")
    stage.session.install_and_run_script("without.py")

    assert [arguments for arguments, _ in installed.calls] == [["rich"]]
    assert ran == [("python", "with.py", "-x"), ("python", "without.py")]


# --- artifacts -----------------------------------------------------------------------------------------------------------


def file(stage: Stage, name: str, data: bytes = b"x") -> Artifact:
    (stage.root / name).write_bytes(data)
    return stage.session.emit(name)


def test_build_records_what_was_asked_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "_default_interpreter", lambda _self: SimpleNamespace(minor="3.12"))
    dist = stage.root / "dist"
    dist.mkdir()
    paths = [str(dist / name) for name in ("x-1.tar.gz", "x-1-py3-none-any.whl")]
    for path in paths:
        Path(path).write_text(path)
    made = SimpleNamespace(sdist=paths[0], wheels=(paths[1],), why="built: for a test", facts={"isolated": True})
    asked: list[Any] = []

    def build(source: Any, out_dir: str, options: Any) -> Any:
        asked.append((source.root, out_dir, options))
        return made

    monkeypatch.setattr("hwb.builder.engine.build_project", build)
    sdist, wheel = stage.session.build(config_settings={"a": "b"}, release=True)
    assert wheel.parent == sdist.sha256
    assert "built: for a test" in stage.messages("info")
    root, out_dir, options = asked[-1]
    assert (root, out_dir) == (str(stage.root), str(dist))
    assert (options.sdist, options.wheel, options.config_settings, options.release) == (True, True, {"a": "b"}, True)
    made.wheels = ()
    assert [a.name for a in stage.session.build(wheel=False)] == ["x-1.tar.gz"]
    assert not asked[-1][2].wheel
    made.sdist, made.wheels = None, (paths[1],)
    (alone,) = stage.session.build(sdist=False)

    assert alone.parent == ""
    assert os.path.isfile(os.path.join(stage.session.output_dir, ".hwb", "manifest.json"))


def test_check_warns_of_what_is_no_error_and_records_the_verdict(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = SimpleNamespace(member="METADATA", message="odd")
    monkeypatch.setattr("hwb.wheel.require_valid", lambda _path: [finding])
    artifact = file(stage, "x-1-py3-none-any.whl")
    stage.session.check(artifact)

    assert stage.messages("warning") == ["x-1-py3-none-any.whl: METADATA: odd"]
    assert [v["verdict"] for kind, v in stage.events if kind == "verdict"] == ["checked"]


def test_a_wheel_without_modules_imports_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwb.wheel.import_names", lambda _path: [])

    assert stage.session.import_modules(file(stage, "x-1-py3-none-any.whl")) == []
    assert [kind for kind, _ in stage.events] == ["artifact"]


@pytest.mark.parametrize("served", [None, b"other"])
def test_what_the_index_does_not_serve_is_not_installed(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: bytes | None
) -> None:
    path = None
    if served is not None:
        path = tmp_path / "served"
        path.write_bytes(served)
    monkeypatch.setattr(Session, "_index", lambda _self: SimpleNamespace(file=lambda _name: path))
    monkeypatch.setattr(Session, "install", lambda *_args, **_options: pytest.fail("installed"))
    with pytest.raises(ConflictError, match="the index serves " + ("nothing" if served is None else "[0-9a-f]{64}")):
        stage.session.install_published(file(stage, "x-1-py3-none-any.whl"))


def test_every_published_file_is_compared(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = file(stage, "x-1-py3-none-any.whl"), file(stage, "x-1.tar.gz")
    served = {right.name: right.path, wrong.name: None}
    monkeypatch.setattr(Session, "_index", lambda _self: SimpleNamespace(file=served.get))
    stage.session.compare_published(right)
    ((_, said),) = [event for event in stage.events if event[0] == "verdict"]
    assert (said["name"], said["verdict"], said["detail"]) == (right.name, "verified", "same bytes")
    with pytest.raises(ConflictError, match=r"the index serves nothing for x-1\.tar\.gz"):
        stage.session.compare_published(right, wrong)


def test_the_published_wheel_comes_from_the_index_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[tuple[str, ...], dict[str, Any]]] = []
    monkeypatch.setattr(Session, "install", lambda _self, *args, **options: calls.append((args, options)))
    required: list[str] = []
    monkeypatch.setattr("hwb.wheel.read_metadata", lambda _path: SimpleNamespace(get_all=lambda _key: required or None))
    for name in ("PIP_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_CONSTRAINT", "PIP_PROXY"):
        monkeypatch.setenv(name, "x")
    artifact = file(stage, "x_y-1.0-py3-none-any.whl")
    stage.session._install_from("file:///index/", artifact)
    (arguments, options), *more = calls

    assert more == []
    assert arguments == ("--no-deps", "--no-cache-dir", "--index-url", "file:///index/", "x-y==1.0")
    assert {options["env"][n] for n in ("PIP_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_CONSTRAINT")} == {
        None
    }
    assert "PIP_PROXY" not in options["env"]
    required.append("rich>=1")
    stage.session._install_from("file:///index/", artifact)
    assert calls[-1] == (("rich>=1",), {})


def test_the_index_may_be_elsewhere(stage: Stage) -> None:
    (stage.root / "pyproject.toml").write_text("[tool.hwb.publish]\npath = 'shelf'\n")
    stage.session._services.settings = config.load(str(stage.root), environ={})

    assert str(stage.root / "shelf") in str(stage.session._index().url).replace("%20", " ") or sys.platform == "win32"


# --- layers --------------------------------------------------------------------------------------------------------------


def test_parents_go_down_one_layer_at_a_time(stage: Stage) -> None:
    def lowest(session: Session) -> str:
        return "lowest"

    def middle(session: Session) -> str:
        return f"middle {session.parent()}"

    def top(session: Session) -> None: ...

    chain = tuple(Recipe("r", function, {}, "f.py", n) for n, function in enumerate((top, middle, lowest)))
    stage.session._services.catalog = Catalog({"r": Entry(chain)})

    assert [stage.session.parent(), stage.session.parent()] == ["middle lowest"] * 2
    stage.session._services.catalog = Catalog({"r": Entry(chain[:1])})
    with pytest.raises(HwbError, match="overrides nothing"):
        stage.session.parent()
