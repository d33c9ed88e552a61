"""Is a module that is imported by another name the same one, and is everything else left to others?"""

from __future__ import annotations

import importlib
import runpy
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hwb
from hwb import errors
from hwb.compat.alias import Alias, install

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with the alias `other_name_of_it`, each gone afterwards."""
    name, folder = "package_of_the_test", tmp_path / "package_of_the_test"
    (folder / "inner").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "__main__.py": "if __name__ == '__main__':\n    print('it runs')\n",
        "plain.py": "number = []\nfrom . import inner\n",
        "lost.py": "import a_module_that_is_not_there\n",
        "inner/__init__.py": "",
        "inner/deep.py": "from ..plain import number\n",
    }
    for path, text in files.items():
        (folder / path).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = list(sys.meta_path)
    install("other_name_of_it", name)
    yield name
    sys.meta_path[:] = before
    for known in [module for module in sys.modules if module.startswith((name, "other_name_of_it"))]:
        del sys.modules[known]


def test_every_module_is_there_once(package: str) -> None:
    alias = importlib.import_module("other_name_of_it")
    deep = importlib.import_module("other_name_of_it.inner.deep")
    plain = importlib.import_module(f"{package}.plain")
    assert alias is importlib.import_module(package)
    assert deep is importlib.import_module(f"{package}.inner.deep")
    assert deep.number is plain.number
    assert alias.inner.deep is deep


def test_a_module_keeps_its_own_name(package: str) -> None:
    inner = importlib.import_module("other_name_of_it.inner")
    assert (inner.__name__, inner.__spec__ and inner.__spec__.name) == (f"{package}.inner",) * 2
    assert importlib.reload(inner) is inner


def test_what_there_is_not(package: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"other_name_of_it\.nothing"):
        importlib.import_module("other_name_of_it.nothing")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        importlib.import_module("other_name_of_it.lost")
    assert Alias("other_name_of_it", package).find_spec("somebody.elses") is None
    assert Alias("other_name_of_it", package).find_spec("other_name_of_it_too") is None


def test_it_can_be_executed(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("other_name_of_it", run_name="__main__", alter_sys=True)
    assert capsys.readouterr().out == "it runs\n"
    with pytest.raises(ImportError, match="is a package and cannot be directly executed"):
        runpy.run_module("other_name_of_it.inner")


def test_a_module_without_code() -> None:
    sys.modules["package_of_nothing.x"] = type(sys)("x")
    try:
        assert Alias("alias_of_nothing", "package_of_nothing").get_code("alias_of_nothing.x") is None
    finally:
        del sys.modules["package_of_nothing.x"]


def test_the_shipped_file_as_a_package_is_hwb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    folder = tmp_path / "headless_wheel_builder"
    folder.mkdir()
    shutil.copy(Path(hwb.__file__).parent / "compat" / "headless_wheel_builder.py", folder / "__init__.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert importlib.import_module("headless_wheel_builder") is hwb
        assert importlib.import_module("headless_wheel_builder.errors") is errors
    finally:
        for known in [module for module in sys.modules if module.startswith("headless_wheel_builder")]:
            del sys.modules[known]
    assert errors.__spec__ is not None
    assert errors.__spec__.name == "hwb.errors"


def test_in_the_checkout_the_shipped_file_does_nothing() -> None:
    before = list(sys.meta_path)
    importlib.import_module("hwb.compat.headless_wheel_builder")
    assert sys.meta_path == before
