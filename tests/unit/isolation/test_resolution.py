"""Is an installer asked for the oldest of what a wheel asks for, and for the newest of what only its tests need?"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwb.errors import CommandFailed, HwbError, ToolNotFound, ValidationError
from hwb.isolation.resolution import is_lowest, named, own_requirements, pinned, require_uv, requirements_in

if TYPE_CHECKING:
    from pathlib import Path


def wheel(folder: Path, *requires: str, name: str = "The.Thing") -> str:
    path = folder / "the_thing-1.0-py3-none-any.whl"
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {one}" for one in requires)]
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("the_thing-1.0.dist-info/METADATA", "\n".join(lines) + "\n")
    return str(path)


def test_what_is_lowest() -> None:
    assert [word for word in ("", "highest", "lowest", "lowest-direct") if is_lowest(word)] == [
        "lowest",
        "lowest-direct",
    ]


def test_only_uv_finds_old_versions() -> None:
    require_uv("lowest", "uv")
    require_uv("lowest-direct", "uv for images, lowest-direct")
    require_uv("highest", "virtualenv")
    with pytest.raises(ToolNotFound, match="only uv finds versions by the word lowest, and here venv installs") as told:
        require_uv("lowest", "venv")
    assert "resolutions" in told.value.remedy


def test_errors_say_with_which_versions() -> None:
    with pytest.raises(CommandFailed) as told, named("lowest"):
        raise CommandFailed("python ended with 7", 7, remedy="look")
    error = told.value
    assert error.what == str(error) == "with the lowest versions of its dependencies: python ended with 7"
    assert (error.return_code, error.remedy) == (7, "look")
    with pytest.raises(HwbError) as told_plain, named(""):
        raise HwbError("no")
    assert told_plain.value.what == "no"
    with pytest.raises(KeyError, match="key"), named("lowest"):
        raise KeyError("key")


def test_dependencies_without_extras(tmp_path: Path) -> None:
    found = own_requirements(
        wheel(
            tmp_path,
            "a>=1",
            'b[x]>=2; python_version < "3.12"',
            'c; extra == "docs"',
            'd; extra != "docs"',
            'e @ https://host/e;1.whl ; "docs" == extra',
        ),
        (),
    )
    assert found == ["a>=1", 'b[x]>=2 ; python_version < "3.12"', "d"]


def test_dependencies_of_chosen_extras(tmp_path: Path) -> None:
    path = wheel(
        tmp_path,
        'a>=1; extra == "some-docs"',
        'b; sys_platform == "linux" and extra == "some-docs"',
        'c; extra == "other"',
        'd @ https://host/d.whl ; extra == "some-docs"',
        'e; extra != "Some_Docs"',
    )
    assert [text.replace(" ", "") for text in own_requirements(path, ["Some.Docs"])] == [
        "a>=1",
        'b;sys_platform=="linux"andpython_version>="3"',
        "d@https://host/d.whl",
    ]


def test_extras_that_stand_for_others(tmp_path: Path) -> None:
    path = wheel(
        tmp_path,
        'the-thing[one,two]; extra == "all"',
        'The_Thing[three]; extra == "two"',
        'a; extra == "one"',
        'b; extra == "three"',
        'c; extra == "four"',
    )
    assert own_requirements(path, ["all"]) == ["a", "b"]
    assert own_requirements(path, ["one"]) == ["a"]
    assert own_requirements(path, []) == []


def test_an_extra_of_its_own_that_everybody_gets(tmp_path: Path) -> None:
    assert own_requirements(wheel(tmp_path, "the-thing[one]", 'a; extra == "one"'), []) == ["a"]


def test_what_is_no_requirement_is_left_to_the_installer(tmp_path: Path) -> None:
    assert own_requirements(wheel(tmp_path, "a (1.0", "b"), ()) == ["b"]


def test_a_wheel_without_metadata(tmp_path: Path) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.py", "")
    with pytest.raises(ValidationError):
        own_requirements(str(path), ())


def test_pinned() -> None:
    pins = ["pytest==8.4.2", "zope-interface==7.0", "six @ file:///six.whl"]
    asked = ["PyTest >= 7", "zope.interface[b,a]", "six", "gone; python_version < '3'", "-r", "more.txt", "./tool"]
    asked.append("pytest @ https://host/pytest.whl")
    assert pinned(asked, pins) == ["PyTest==8.4.2", "zope.interface[a,b]==7.0", *asked[2:]]


def test_paths_and_options_are_no_requirements() -> None:
    words = ["six>=1", "-r", "more.txt", "--pre=yes", "a", "./six", "a b", "b; python_version > '3'"]
    assert requirements_in(words) == ["six>=1", "a", "b; python_version > '3'"]


@given(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), unique=True), st.data())
def test_every_requirement_keeps_its_place(names: list[str], data: st.DataObject) -> None:
    known = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    found = pinned([f"{name}>=1" for name in names], [f"{name}==2" for name in known])
    assert found == [f"{name}==2" if name in known else f"{name}>=1" for name in names]
