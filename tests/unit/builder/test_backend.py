"""Does the engine ask backends for what makes their output the same every time, and leave the user's settings alone?"""

from __future__ import annotations

from hwb.builder.backend import _steady


def test_meson_gets_a_build_directory_of_fixed_name() -> None:
    assert _steady("mesonpy", None) == {"builddir": ".mesonpy-build"}
    assert _steady("mesonpy", {"setup-args": ["-Dx=1"]}) == {"setup-args": ["-Dx=1"], "builddir": ".mesonpy-build"}


def test_a_users_own_choice_stays() -> None:
    for name in ("builddir", "build-dir"):
        assert _steady("mesonpy", {name: "mine"}) == {name: "mine"}


def test_other_backends_get_what_the_user_gave() -> None:
    assert _steady("setuptools.build_meta", None) is None
    assert _steady("hatchling.build", {"a": "b"}) == {"a": "b"}
