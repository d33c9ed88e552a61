"""Is the page of Pythons, images and systems what the data files and the code say?"""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from hwb.errors import ContainerError
from hwb.isolation import engine, lockdown
from hwb.isolation.images import official_images
from hwb.matrix import known
from hwb.target import System

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "images.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / ".ci" / "make_docs.py"))


def cells(first: str) -> list[str]:
    """The row of a table that begins with that cell."""
    (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{first}` |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_page_is_what_the_generator_makes(generator: dict[str, Any]) -> None:
    assert generator["page"]() == PAGE, "write it anew: nox -s data"


@pytest.mark.parametrize("system", System)
def test_every_identifier_is_there(generator: dict[str, Any], system: System) -> None:
    text = PAGE.split(f"### {generator['SYSTEMS'][system.value]}\n")[1].split("\n#")[0]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()]
    named = set()
    for row in rows:
        python = row[0].strip("`").removesuffix("-*")
        for platform, arches in zip(head[2:-1], row[2:-1]):
            family = platform.strip("`")
            named |= {(python, family, arch, row[-1].strip("`")) for arch in arches.split(", ") if arch}
    expected = {(one.python, generator["family"](one.identifier), one.arch, one.group) for one in known.pythons(system)}
    assert named == expected
    assert len(named) == len(known.pythons(system))


def test_every_image_is_there() -> None:
    for key, reference in official_images().items():
        _, name, digest, _ = cells(key)
        assert reference.startswith(name.strip("`"))
        assert digest == "not pinned" or digest.strip("`") in reference
    usual = {key for key in official_images() if cells(key)[3] == "the usual one"}
    arches = known.architectures(System.LINUX)
    families = ("manylinux", "musllinux")
    assert usual == {f"{known.default_policy(family, arch)}_{arch}" for family in families for arch in arches}


@pytest.mark.parametrize(
    ("releases", "least", "found"),
    [
        ({"1": "2.9", "2": "2.17", "3": "2.31"}, (2, 17), "2"),
        ({"1": "2.9", "2": "2.17"}, (2, 5), "1"),
        ({"1": "2.9"}, (2, 17), "–"),
    ],
)
def test_the_oldest_release(generator: dict[str, Any], releases: dict[str, str], least: Any, found: str) -> None:
    assert generator["oldest"](releases, least) == found


def test_releases_get_newer(generator: dict[str, Any]) -> None:
    for releases in generator["load"](".ci/distributions.toml").values():
        numbers = [tuple(map(int, glibc.split("."))) for glibc in releases.values()]
        assert numbers == sorted(numbers)


def test_every_policy_has_its_systems() -> None:
    policies = {one for arch in known.architectures(System.LINUX) for one in known.policies(arch, "manylinux")}
    for policy in policies:
        _, glibc, *oldest = cells(policy)
        assert re.fullmatch(r"2\.\d+", glibc)
        assert len(oldest) == 6
    assert cells("manylinux_2_28")[1:4] == ["2.28", "10", "20.04"]


def test_what_it_says_of_gpus_is_what_the_code_does() -> None:
    error = engine.failed("docker", "x", 125, "could not select device driver")
    assert isinstance(error, ContainerError)
    text = " ".join(PAGE.split())
    assert f'"{error.what.removeprefix("x: ")}"' in text
    assert f'remedy "{error.remedy}"' in text
    assert f"`{error.code}` (exit code {error.exit_code})" in text
    docker, podman = (engine.Engine(name, "", "") for name in ("docker", "podman"))
    for gpu in (lockdown.Gpu(), lockdown.Gpu(("0", "1"))):
        wanted = lockdown._gpu(docker, gpu)
        told = " ".join(word if '"' not in word else f"'{word}'" for word in wanted).removesuffix(" --runtime=nvidia")
        assert f"`{told}" in text
        assert f"`{' '.join(lockdown._gpu(podman, gpu))}`" in text
