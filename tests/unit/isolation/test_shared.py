"""Is a shared environment made once, from remembered pins, and discarded when somebody changes it?"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb import proc  # noqa: F401 - loaded before threads race for it
from hwb.context import Context, use
from hwb.errors import DependencyError, OfflineError
from hwb.isolation import shared
from hwb.isolation.environment import MARKER, Venv
from hwb.isolation.installing import NetworkDown
from hwb.isolation.venv import shared_environment, verify_unmodified
from hwb.store import open_store

if TYPE_CHECKING:
    from hwb.pythons import Interpreter


def age_pins(seconds: float) -> None:
    """Let the remembered pins be older."""
    for record in open_store().root.glob("pins/*.json"):
        value = open_store().read_json("pins", record.name)
        open_store().write_json("pins", record.name, value={**value, "at": value["at"] - seconds})


def test_it_is_made_once(installer: Any, here: Interpreter, listener: Any) -> None:
    first = shared_environment(here, ["six"], constraints=["six<2"])
    second = shared_environment(here, ["six"], constraints=["six<2"])
    assert first.path == second.path
    assert (first.reused, second.reused) == (False, True)
    assert Path(first.path).parent == open_store().root / "envs"
    assert [call[0] for call in installer.calls] == ["resolve", "create", "sync"]
    assert installer.calls[0][1:] == (("six",), ("six<2",), False)
    assert installer.calls[2][1:] == (first.python, ["six==1.17.0", ""], False)
    assert [event["reused"] for event in listener.of("environment")] == [False, True]


def test_what_makes_another_environment(installer: Any, here: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [shared_environment(here, ["six"]).path]
    installer.pins = ["six==1.16.0"]
    paths.append(shared_environment(here, ["six<1.17"]).path)
    installer.name = "another"
    paths.append(shared_environment(here, ["six<1.17"]).path)
    paths.append(shared_environment(here, ["six<1.17"], purpose="scripts").path)
    Path(here.path).write_text("upgraded in place")
    paths.append(shared_environment(here, ["six<1.17"]).path)
    assert len(set(paths)) == len(paths)
    resolved = installer.count("resolve")
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
    assert shared_environment(here, ["six<1.17"]).path == paths[-1], "the same pins"
    assert installer.count("resolve") == resolved + 1, "asked the other index"


def test_other_words_for_the_same_pins_share(installer: Any, here: Interpreter) -> None:
    assert shared_environment(here, ["six"]).path == shared_environment(here, ["six>=1"]).path
    assert installer.count("create") == 1


def test_without_requirements_nothing_is_resolved(installer: Any, here: Interpreter) -> None:
    shared_environment(here, [])
    assert [call[0] for call in installer.calls] == ["create"]


def test_hash_locked_requirements_are_pins_already(installer: Any, here: Interpreter) -> None:
    shared_environment(here, ["six==1.17.0 --hash=sha256:00"])
    assert [call[0] for call in installer.calls] == ["create", "sync"]
    assert installer.calls[1][2] == ["six==1.17.0 --hash=sha256:00", ""]


def test_pins_are_remembered_for_a_day(installer: Any, here: Interpreter) -> None:
    shared_environment(here, ["six"])
    age_pins(shared.PINS_SECONDS - 100)
    shared_environment(here, ["six"])
    assert installer.count("resolve") == 1
    age_pins(200)
    installer.pins = ["six==1.18.0"]
    assert not shared_environment(here, ["six"]).reused
    assert installer.count("resolve") == 2
    age_pins(-7200)
    shared_environment(here, ["six"])
    assert installer.count("resolve") == 3, "a record from the future is not trusted"


@pytest.mark.parametrize("problem", [NetworkDown("down"), OfflineError("lacks")])
def test_old_pins_serve_while_the_index_does_not(
    installer: Any, here: Interpreter, listener: Any, problem: Exception
) -> None:
    shared_environment(here, ["six"])
    age_pins(30 * 3600)
    installer.problems["resolve"] = problem
    assert shared_environment(here, ["six"]).reused
    [message] = listener.of("message")
    assert message["level"] == "warning"
    assert "six chosen 30 h ago" in message["text"]
    with pytest.raises(type(problem)):
        shared_environment(here, ["never-seen"])


def test_offline_the_age_of_pins_does_not_matter(installer: Any, here: Interpreter, listener: Any) -> None:
    shared_environment(here, ["six"])
    age_pins(1000 * 3600)
    listener.context.offline = True
    assert shared_environment(here, ["six"]).reused
    assert installer.count("resolve") == 1
    assert listener.of("message") == []
    shared_environment(here, ["other"])
    assert installer.calls[-1] == ("resolve", ("other",), (), True)


def test_a_conflict_is_not_hidden_by_old_pins(installer: Any, here: Interpreter) -> None:
    shared_environment(here, ["six"])
    age_pins(30 * 3600)
    installer.problems["resolve"] = DependencyError("conflict")
    with pytest.raises(DependencyError, match="conflict"):
        shared_environment(here, ["six"])


@pytest.mark.parametrize("value", ["text", [], {"at": "now", "pins": []}, {"at": 1, "pins": "six"}, {}])
def test_a_record_of_another_shape_counts_as_none(installer: Any, here: Interpreter, value: Any) -> None:
    shared_environment(here, ["six"])
    [record] = open_store().root.glob("pins/*.json")
    open_store().write_json("pins", record.name, value=value)
    shared_environment(here, ["six"])
    assert installer.count("resolve") == 2


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_local_requirement_is_what_it_contains(installer: Any, here: Interpreter, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "demo.whl" if kind == "file" else tmp_path / "demo" / "src.py"
    place.parent.mkdir(exist_ok=True)
    place.write_text("one")
    target = place if kind == "file" else place.parent
    wanted = [
        f"demo @ {target.as_uri()} ; python_version > '3'",
        "gone @ file:///gone",
        "far @ https://x.example/y.whl",
    ]
    first = shared_environment(here, wanted)
    assert shared_environment(here, wanted).reused
    place.write_text("three")
    assert shared_environment(here, wanted).path != first.path


@pytest.mark.parametrize("step", ["create", "sync"])
def test_an_incomplete_one_is_never_used(installer: Any, here: Interpreter, step: str) -> None:
    installer.problems[step] = DependencyError("no")
    with pytest.raises(DependencyError):
        shared_environment(here, ["six"])
    assert list((open_store().root / "envs").iterdir()) == []
    assert list(open_store().root.glob("tmp/*")) == []
    del installer.problems[step]
    venv = shared_environment(here, ["six"])
    os.unlink(os.path.join(venv.path, MARKER))
    left = Path(venv.path, "left by a killed process")
    left.write_text("")
    assert not shared_environment(here, ["six"]).reused
    assert not left.exists()


def test_one_without_its_python_is_made_anew(installer: Any, here: Interpreter) -> None:
    os.unlink(shared_environment(here, ["six"]).python)
    assert not shared_environment(here, ["six"]).reused


def test_two_at_once_make_one(installer: Any, here: Interpreter) -> None:
    shared_environment(here, ["warm"])
    events: list[str] = []
    made: list[Venv] = []
    installer.pins = ["slow==1"]
    installer.during_create = lambda path: time.sleep(0.2)

    def work() -> None:
        with use(Context(emit=lambda kind, **fields: events.append(fields.get("text", "")))):
            made.append(shared_environment(here, ["slow"]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert installer.count("create") == 2, "one for the warm-up"
    assert len({venv.path for venv in made}) == 1
    assert sorted(venv.reused for venv in made) == [False, True, True, True]
    assert sum("waiting for another process" in text for text in events) == 3


def test_byte_code_is_no_modification(installer: Any, here: Interpreter) -> None:
    venv = shared_environment(here, ["six"])
    cache = venv.site_packages / "__pycache__"
    cache.mkdir()
    (cache / "made.cpython-312.pyc").write_text("")
    (venv.site_packages / "legacy.pyc").write_text("")
    assert verify_unmodified(venv)
    assert shared_environment(here, ["six"]).reused


@pytest.mark.parametrize("how", ["added", "changed", "removed", "touched"])
def test_a_modified_one_is_discarded(installer: Any, here: Interpreter, how: str) -> None:
    venv = shared_environment(here, ["six"])
    made = venv.site_packages / "made.py"
    if how == "added":
        made.with_name("added.py").write_text("")
    elif how == "changed":
        made.write_text("longer")
    elif how == "removed":
        made.unlink()
    else:
        os.utime(made, ns=(1, 1))
    assert not verify_unmodified(venv)
    assert not verify_unmodified(venv), "it stays discarded"
    assert not shared_environment(here, ["six"]).reused
    assert verify_unmodified(venv)


def test_one_that_vanished_is_not_unmodified(
    installer: Any, here: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = shared_environment(here, ["six"])
    (venv.site_packages / "added.py").write_text("")
    unlink = os.unlink

    def racing(path: str) -> None:
        unlink(path)
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "unlink", racing)
    assert not verify_unmodified(venv)
    Path(venv.path, MARKER).write_text("{")
    assert not verify_unmodified(venv)
