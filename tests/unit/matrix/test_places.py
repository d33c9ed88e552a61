"""Does every option have a line?"""

from __future__ import annotations

from hwb.matrix.places import Places

TEXT = """[tool.cibuildwheel]
skip = "x"
environment = { A = "1" }

[[tool.cibuildwheel.overrides]]
select = "a"
before-all = "x"
[[ tool . "cibuildwheel" . overrides ]]
select = "b"
inherit.skip = "append"

[tool.other]
before-all = "y"
"""
PLACES = Places("pyproject.toml", TEXT, ("tool", "cibuildwheel"))


def test_keys_and_tables() -> None:
    assert PLACES.of("skip") == "pyproject.toml:2"
    assert PLACES.of("environment", "A") == "pyproject.toml:3"
    assert PLACES.of("environment", "B") == "pyproject.toml:3"
    assert PLACES.of("nothing") == "pyproject.toml:1"


def test_entries_of_arrays() -> None:
    assert PLACES.in_array("overrides", 0, "before-all") == "pyproject.toml:7"
    assert PLACES.in_array("overrides", 1, "inherit") == "pyproject.toml:10"
    assert PLACES.in_array("overrides", 1, "before-all") == "pyproject.toml:8"
    assert PLACES.in_array("overrides", 1) == "pyproject.toml:8"
    assert PLACES.in_array("overrides", 2, "select") == "pyproject.toml:5"


def test_without_toml_there_is_the_file() -> None:
    assert Places("matrix.yaml", "", ()).of("skip") == "matrix.yaml"
