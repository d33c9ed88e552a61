"""Does a real store come through pruning, damage and clearing, so that builds go on as if nothing had happened?"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Project

pytestmark = [pytest.mark.pypi]

PROJECTS = Path(__file__).parents[1] / "projects"


@pytest.fixture
def built(project: Project, tmp_path: Path) -> Project:
    project.root.rename(project.root.with_name("old"))
    shutil.copytree(PROJECTS / "dynamic-requires", project.root)
    project.env["HWB_CACHE_DIR"] = str(tmp_path / "store")
    assert project.hwb("build").code == 0
    return project


def info(built: Project) -> dict[str, Any]:
    return json.loads(built.hwb("cache", "info", "--json").out)  # type: ignore[no-any-return]


def age(store: Path, days: float) -> None:
    when = time.time() - days * 86400
    for path in sorted(store.rglob("*"), reverse=True):
        os.utime(path, (when, when), follow_symlinks=False)


def test_what_a_build_left_is_listed(built: Project) -> None:
    kinds = info(built)["kinds"]
    assert (kinds["environments"]["count"], kinds["results"]["count"], kinds["builds"]["count"]) == (2, 1, 0)
    listed = built.hwb("cache", "list").out
    assert "packaging==" in listed
    assert "dynamic_requires-1.0.tar.gz, dynamic_requires-1.0-py3-none-any.whl" in listed
    assert built.hwb("cache", "verify").code == 0
    assert built.hwb("cache", "prune", "--older-than", "0s").out.endswith("(0 removed)\n")


def test_a_build_after_pruning_makes_everything_again(built: Project, tmp_path: Path) -> None:
    age(tmp_path / "store", 31)
    done = built.hwb("cache", "prune")
    assert done.code == 0
    assert info(built)["kinds"]["environments"]["count"] == 0
    assert info(built)["kinds"]["results"]["count"] == 0
    assert built.hwb("build").code == 0
    assert info(built)["kinds"]["environments"]["count"] == 2


def test_damage_is_found_named_and_built_over(built: Project, tmp_path: Path) -> None:
    (kept, *_) = [path for path in (tmp_path / "store" / "files").rglob("*") if path.is_file()]
    kept.write_bytes(b"other")
    environment = next((tmp_path / "store" / "envs").glob("*/lib/*/site-packages/packaging"))
    (environment / "more.py").write_text("")
    done = built.hwb("cache", "verify")
    assert done.code == 5
    assert done.err.count("damaged: results") == 2
    assert "damaged: environments" in done.err
    assert not kept.exists()
    assert built.hwb("cache", "verify").code == 0
    shutil.rmtree(built.root / "dist")
    done = built.hwb("build")
    assert (done.code, "built" in done.out) == (0, True)


def test_clearing_leaves_a_store_that_works(built: Project) -> None:
    assert built.hwb("cache", "clear").code == 2
    assert built.hwb("cache", "clear", "--yes").code == 0
    assert sum(kind["count"] for kind in info(built)["kinds"].values()) <= 1  # what hwb knows of the running Python
    assert built.hwb("build").code == 0
