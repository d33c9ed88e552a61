"""Does the engine ask backends for what makes their output the same every time, and explain what they answer?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hwb.builder.backend import _steady, phase
from hwb.errors import BuildError, ProgramNotFound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_meson_gets_a_build_directory_of_fixed_name() -> None:
    assert _steady("mesonpy", None) == {"builddir": ".mesonpy-build"}
    assert _steady("mesonpy", {"setup-args": ["-Dx=1"]}) == {"setup-args": ["-Dx=1"], "builddir": ".mesonpy-build"}


def test_a_users_own_choice_stays() -> None:
    for name in ("builddir", "build-dir"):
        assert _steady("mesonpy", {name: "mine"}) == {name: "mine"}


def test_other_backends_get_what_the_user_gave() -> None:
    assert _steady("setuptools.build_meta", None) is None
    assert _steady("setuptools.build_meta", {}) is None
    assert _steady("hatchling.build", {"a": "b"}) == {"a": "b"}


def test_a_phase_says_how_it_ended(events: list[dict[str, Any]]) -> None:
    with phase("build", "sdist"):
        pass
    with pytest.raises(KeyboardInterrupt), phase("validate"):
        raise KeyboardInterrupt
    assert [(e["name"], e["state"], e["detail"]) for e in events] == [
        ("build", "started", "sdist"),
        ("build", "done", "sdist"),
        ("validate", "started", ""),
        ("validate", "failed", ""),
    ]
    assert events[1]["seconds"] >= 0
    assert "seconds" not in events[0]


def test_what_get_requires_adds_makes_another_environment(
    project: Path, build: Any, environments: Any, change: Callable[[str, str], None]
) -> None:
    (project / "pyproject.toml").write_text((project / "pyproject.toml").read_text().replace("[]", '["six"]', 1))
    change('return ["packaging"]', 'return ["six", "packaging", "packaging", "idna"]')
    build(project)
    assert environments.asked == [("six",), ("six",), ("six", "packaging", "idna")], "each once, the static ones first"
    assert environments.verified == 2, "the first environment is looked at, too"


def test_what_a_backend_asked_for_is_offered_the_next_time(
    project: Path, build: Any, environments: Any, change: Callable[[str, str], None]
) -> None:
    build(project, sdist=False)
    assert environments.asked == [(), (), ("packaging",)]
    environments.asked.clear()
    build(project, sdist=False, cache=False)
    assert environments.asked == [(), ("packaging",)], "the wheel is asked for and built in one go"


def test_another_answer_than_the_last_time_counts(
    project: Path, build: Any, environments: Any, change: Callable[[str, str], None]
) -> None:
    build(project, sdist=False)
    change('return ["packaging"]', 'return ["idna"]')
    environments.asked.clear()
    build(project, sdist=False)
    assert environments.asked == [(), ("packaging",), (), ("idna",)]
    environments.asked.clear()
    build(project, sdist=False, cache=False)
    assert environments.asked == [(), (), ("idna",)], "who changes its mind is not guessed at any more"


def test_a_backend_that_finds_what_it_would_ask_for_is_asked_without_it(
    project: Path, build: Any, environments: Any, change: Callable[[str, str], None]
) -> None:
    """scikit-build-core looks for a cmake that works, and asks for one only where it finds none."""
    marker = project.parent / "cmake"
    change('return ["packaging"]', f"return [] if os.path.exists({str(marker)!r}) else ['cmake']")
    build(project, sdist=False)
    marker.touch()
    environments.asked.clear()
    build(project, sdist=False, cache=False)
    assert environments.asked == [(), ("cmake",), ()]


def test_a_hook_that_is_not_there(project: Path, build: Any, change: Callable[[str, str], None]) -> None:
    change("def build_wheel(", "def build_something(")
    with pytest.raises(BuildError, match="tiny_backend has no hook build_wheel, which PEP 517 demands") as caught:
        build(project)
    assert "report it to the build backend" in caught.value.remedy


def test_a_backend_that_cannot_make_an_sdist(project: Path, build: Any, change: Callable[[str, str], None]) -> None:
    change("def build_sdist(", "class UnsupportedOperation(Exception): pass\n\ndef build_sdist(")
    change("    warnings.warn(", '    raise UnsupportedOperation("not here")\n    warnings.warn(')
    with pytest.raises(BuildError, match="tiny_backend: build_sdist is not supported here") as caught:
        build(project)
    assert "UnsupportedOperation: not here" in caught.value.detail


def test_a_backend_that_lies_about_its_file(project: Path, build: Any, change: Callable[[str, str], None]) -> None:
    change("    return name\n\n\ndef build_wheel", "    return 'other.tar.gz'\n\n\ndef build_wheel")
    with pytest.raises(BuildError, match=r"tiny_backend says it built 'other\.tar\.gz', but there is no such file"):
        build(project)


@pytest.mark.parametrize("answer", ["None", "7", "'../tmp'", "''"])
def test_a_backend_that_returns_no_name(
    project: Path, build: Any, change: Callable[[str, str], None], answer: str
) -> None:
    change("    return name\n\n\ndef build_wheel", f"    return {answer}\n\n\ndef build_wheel")
    with pytest.raises(BuildError, match=r"says it built .*, but there is no such file"):
        build(project)


def test_a_path_as_the_answer_counts_by_its_name(project: Path, build: Any, change: Callable[[str, str], None]) -> None:
    change("    return name\n\n\ndef build_wheel", "    return './' + name\n\n\ndef build_wheel")
    assert build(project).sdist.endswith("dynamic_requires-1.0.tar.gz")


@pytest.mark.parametrize("answer", ["None", "'packaging'", "[1]", "{}"])
def test_requirements_that_are_no_list_of_texts(
    project: Path, build: Any, change: Callable[[str, str], None], answer: str
) -> None:
    change('    return ["packaging"]', f"    return {answer}")
    with pytest.raises(BuildError, match="get_requires_for_build_wheel"):
        build(project)


def test_a_backend_that_cannot_be_imported_names_what_is_missing(
    project: Path, build: Any, change: Callable[[str, str], None]
) -> None:
    change("import base64", "import no_such_helper, base64")
    with pytest.raises(BuildError, match="the build backend 'tiny_backend' cannot be imported") as caught:
        build(project)
    assert "'no_such_helper'" in caught.value.remedy


def test_an_environment_without_its_python(project: Path, build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = SimpleNamespace(python="/gone/python", bin="/gone", path="/gone")
    monkeypatch.setattr("hwb.isolation.shared.environment_of_pins", lambda *_args: gone)
    with pytest.raises(ProgramNotFound, match="/gone/python"):
        build(project)
