"""Layers: who overrides whom, what is inherited, and every mistake in a hwbfile with file and line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hwb import loader, places
from hwb.errors import HwbfileError, UsageError
from hwb.loader import Catalog, find_hwbfile, load_catalog, one_edit_apart

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = ["build", "check", "matrix", "publish", "release", "repair", "sdist", "test", "verify"]


@pytest.fixture(autouse=True)
def _clean_imports(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hwbfile changes sys.path and sys.modules; tests must not see each other's."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "path_hooks", list(sys.path_hooks))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name in ("hwbfile", "hwb_organisation_recipes", "helper_of_mine", "plugin_of_mine", "broken_plugin"):
            del sys.modules[name]


def load(tmp_path: Path, text: str, organisation: str | None = None) -> Catalog:
    path = tmp_path / "hwbfile.py"
    path.write_text(text)
    return load_catalog(str(path), organisation)


def test_the_shipped_recipes_are_there_without_any_file() -> None:
    catalog = load_catalog(None)

    assert sorted(catalog.entries) == SHIPPED
    assert {entry.top.layer for entry in catalog} == {"shipped"}
    assert not any(entry.is_default for entry in catalog)
    assert all(entry.doc for entry in catalog)


def test_a_later_layer_overrides_and_inherits(tmp_path: Path) -> None:
    organisation = tmp_path / "org" / "recipes.py"
    organisation.parent.mkdir()
    organisation.write_text(
        "import hwb\n@hwb.recipe(tags=['org'])\ndef test(session): ...\n@hwb.recipe\ndef house(session):\n    'Ours.'\n"
    )
    catalog = load(tmp_path, "import hwb\n\n@hwb.recipe(timeout=5)\ndef test(session): ...\n", str(organisation))
    entry = catalog["test"]

    assert [recipe.layer for recipe in entry.chain] == ["hwbfile", "organisation", "shipped"]
    assert entry.top.where == f"{tmp_path / 'hwbfile.py'}:3"
    assert (entry.option("timeout"), entry.option("tags"), entry.option("requires")) == (5.0, ("org",), ("build",))
    assert entry.option("retries", 3) == 3
    assert entry.doc.startswith("Install the wheel")
    assert not entry.is_default
    assert catalog["house"].is_default
    assert catalog["house"].doc == "Ours."


def test_override_is_an_assertion_and_not_inherited(tmp_path: Path) -> None:
    catalog = load(tmp_path, "import hwb\n@hwb.recipe(override=True)\ndef build(session): ...\n")
    assert catalog["build"].option("override") is True

    with pytest.raises(HwbfileError, match="nothing below has that name") as caught:
        load(tmp_path, "import hwb\n@hwb.recipe(override=True)\ndef biuld(session): ...\n")
    assert "did you mean build?" in caught.value.remedy


def test_a_near_miss_is_a_warning(tmp_path: Path) -> None:
    catalog = load(
        tmp_path, "import hwb\n@hwb.recipe\ndef biuld(session): ...\n@hwb.recipe\ndef tests_of(session): ...\n"
    )

    assert len(catalog.warnings) == 1
    assert "'biuld' is new; did you mean to override 'build'?" in catalog.warnings[0]


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("build", "biuld", True),
        ("build", "buid", True),
        ("build", "builds", True),
        ("build", "guild", True),
        ("build", "build", False),
        ("build", "bidlu", False),
        ("build", "rebuild", False),
        ("ab", "ac", False),
    ],
)
def test_one_edit(one: str, other: str, near: bool) -> None:
    assert one_edit_apart(one, other) is near
    assert one_edit_apart(other, one) is near


def test_parametrize_above_or_below_the_decorator(tmp_path: Path) -> None:
    catalog = load(
        tmp_path,
        "import hwb\n"
        "@hwb.parametrize('a', [1, 2])\n@hwb.recipe\ndef above(session, a): ...\n"
        "@hwb.recipe\n@hwb.parametrize('a', [1])\ndef below(session, a): ...\n",
    )

    assert [p.text for p in catalog["above"].top.params or ()] == ["a=1", "a=2"]
    assert [p.text for p in catalog["below"].top.params or ()] == ["a=1"]


def test_recipes_of_a_helper_module_count_and_its_byte_code_stays_out_of_the_tree(tmp_path: Path) -> None:
    (tmp_path / "helper_of_mine.py").write_text(
        "import hwb\n@hwb.recipe\ndef shared(session): ...\n@hwb.recipe\ndef unused(session): ...\n"
    )
    text = "from helper_of_mine import shared\nimport hwb\n@hwb.recipe\ndef own(session): ...\n"
    first = load(tmp_path, text)
    del sys.modules["helper_of_mine"]
    second = load(tmp_path, text)

    for catalog in (first, second):
        assert {"shared", "own"} <= set(catalog.entries)
        assert "unused" not in catalog.entries
    assert sorted(os.listdir(tmp_path)) == ["helper_of_mine.py", "hwbfile.py"]


def test_the_repositorys_own_packages_never_stand_in_for_hwbs(tmp_path: Path) -> None:
    """A repository of `packaging` itself, say: after loading, its directory is the last that is asked."""
    (tmp_path / "helper_of_mine.py").write_text("VALUE = 7\n")
    load(tmp_path, "import hwb, helper_of_mine\n")
    load(tmp_path, "import hwb, helper_of_mine\n")

    assert sys.path[-1] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1


def test_byte_code_is_kept_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "store"
    monkeypatch.setenv("HWB_CACHE_DIR", str(store))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    load(tmp_path, "import hwb\n")
    (cached,) = (store / "bytecode").iterdir()
    stamp = cached.stat().st_mtime_ns
    load(tmp_path, "import hwb\n")
    assert cached.stat().st_mtime_ns == stamp
    cached.write_bytes(b"torn")
    load(tmp_path, "import hwb\n")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    load(tmp_path, "import hwb # changed\n")

    assert len(list((store / "bytecode").iterdir())) == 1


def test_a_store_that_cannot_be_written_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)

    assert sorted(load(tmp_path, "import hwb\n").entries) == SHIPPED


MISTAKES = {
    "syntax-error": ("import hwb\ndef build(session)\n", 2, "syntax error"),
    "import-error": ("import hwb\nimport no_such_module_here\n", 2, "No module named 'no_such_module_here'"),
    "wrong-signature": ("import hwb\n\n@hwb.recipe\ndef build(): ...\n", 3, "takes no session"),
    "duplicate": (
        "import hwb\n@hwb.recipe\ndef a(session): ...\n@hwb.recipe\ndef a(session): ...\n",
        4,
        "declared twice; the first one is at",
    ),
    "bad-python": ("import hwb\n@hwb.recipe(python='4.x')\ndef a(session): ...\n", 2, "4.x"),
    "unknown-option": ("import hwb\n@hwb.recipe(tag=['x'])\ndef a(session): ...\n", 2, "no keyword 'tag'"),
    "parameters": ("import hwb\n@hwb.recipe\ndef a(session, b): ...\n", 2, "nothing gives b"),
    "parametrize-unknown": (
        "import hwb\n@hwb.recipe\n@hwb.parametrize('b', [1])\ndef a(session): ...\n",
        2,
        "parametrize gives b",
    ),
    "raises": ("import hwb\ndef f():\n    raise ValueError('no')\nf()\n", 3, "ValueError: no"),
    "exits": ("import hwb, sys\nsys.exit(0)\n", 2, "SystemExit: 0"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_name_the_line(tmp_path: Path, name: str) -> None:
    text, line, said = MISTAKES[name]
    with pytest.raises(HwbfileError) as caught:
        load(tmp_path, text)

    assert said in caught.value.what
    assert caught.value.where == f"{tmp_path / 'hwbfile.py'}:{line}"
    assert caught.value.remedy or name in ("duplicate", "unknown-option")


def test_a_nul_byte_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(HwbfileError, match="null bytes") as caught:
        load(tmp_path, "import hwb\0\n")

    assert caught.value.where.startswith(str(tmp_path / "hwbfile.py"))


def test_a_missing_module_is_answered_with_the_block_that_declares_it(tmp_path: Path) -> None:
    with pytest.raises(HwbfileError) as caught:
        load(tmp_path, "import no_such_module_here\n")

    assert 'dependencies = ["no_such_module_here"]' in caught.value.remedy


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(HwbfileError, match="cannot be read"):
        load_catalog(str(tmp_path / "missing.py"))


def test_unknown_recipe_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_catalog(None)["biuld"]
    assert "build" in caught.value.remedy


# --- plugins ---------------------------------------------------------------------------------------------------------


def plugin(tmp_path: Path, entry_points: str, name: str, source: str) -> None:
    info = tmp_path / "site" / "plugin-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "entry_points.txt").write_text(entry_points)
    (tmp_path / "site" / f"{name}.py").write_text(source)
    sys.path.insert(0, str(tmp_path / "site"))


def test_plugins_lie_between_shipped_and_the_organisation(tmp_path: Path) -> None:
    plugin(
        tmp_path,
        "[console_scripts]\nx = y:z\n[hwb.recipes]\nmine = plugin_of_mine\n[other]\nq = r\n",
        "plugin_of_mine",
        "import hwb\n@hwb.recipe\ndef test(session): ...\n@hwb.recipe\ndef scan(session): ...\n",
    )
    catalog = load(tmp_path, "import hwb\n")

    assert [recipe.layer for recipe in catalog["test"].chain] == ["plugin", "shipped"]
    assert not catalog["scan"].is_default


def test_a_broken_plugin_is_named(tmp_path: Path) -> None:
    plugin(tmp_path, "[hwb.recipes]\nmine = broken_plugin\n", "broken_plugin", "raise RuntimeError('no')\n")
    with pytest.raises(HwbfileError, match=r"plugin 'mine' \(broken_plugin\) cannot be imported: RuntimeError: no"):
        load(tmp_path, "import hwb\n")


def test_directories_and_files_that_cannot_be_read_are_no_plugins(tmp_path: Path) -> None:
    (tmp_path / "site" / "x-1.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "x-1.dist-info" / "entry_points.txt").write_bytes(b"\xff[hwb.recipes]")
    (tmp_path / "site" / "y-1.dist-info").mkdir()
    sys.path[:0] = [str(tmp_path / "site"), str(tmp_path / "missing")]

    assert sorted(load_catalog(None).entries) == SHIPPED


# --- where -----------------------------------------------------------------------------------------------------------


def test_the_hwbfile_is_found_by_walking_up_to_the_top_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "hwbfile.py").write_text("")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_hwbfile(str(inner)) == str(tmp_path / "hwbfile.py")
    (tmp_path / "a" / ".git").mkdir()
    assert find_hwbfile(str(inner)) is None
    assert find_hwbfile(os.path.abspath(os.sep)) is None


def test_a_shipped_recipe_that_breaks_is_not_half_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_here.py").write_text("raise RuntimeError('x')")
    (tmp_path / "_private.py").write_text("raise RuntimeError('y')")
    monkeypatch.setattr(places, "recipes_dir", lambda: str(tmp_path))
    with pytest.raises(RuntimeError, match="x"):
        list(loader._shipped())
    assert "hwb.recipes.broken_here" not in sys.modules
