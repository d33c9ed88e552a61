"""Are the data files whole, and does every policy lead to an image or to a list of those there are?"""

from __future__ import annotations

import re

import pytest

from hwb.errors import ConfigError
from hwb.matrix.known import architectures, default_policy, groups, image, policies, pythons
from hwb.target import System, Target

LINUX = architectures(System.LINUX)


def test_every_identifier_is_a_target_of_its_system() -> None:
    counts = {}
    for system in System:
        for python in pythons(system):
            target = Target.of(python.identifier)
            assert (target.system, target.python, target.arch, target.version) == (
                system, python.python, python.arch, python.version,
            )  # fmt: skip
            assert python.group in ("", *groups())
        counts[system.value] = len(pythons(system))
    assert counts == {"linux": 142, "macos": 38, "windows": 33, "pyodide": 4, "android": 6, "ios": 9}


def test_every_default_has_an_image_by_digest() -> None:
    for arch in LINUX:
        for family in ("manylinux", "musllinux"):
            found = image(default_policy(family, arch), arch)
            assert re.fullmatch(r"quay\.io/pypa/\w+:[\d.-]+@sha256:[0-9a-f]{64}", found.reference)
            assert found.reference.startswith(f"quay.io/pypa/{default_policy(family, arch)}_{arch}:")
            assert not found.eol


def test_policies_are_listed_oldest_first() -> None:
    assert policies("x86_64") == (
        "manylinux2014", "manylinux_2_28", "manylinux_2_34", "musllinux_1_1", "musllinux_1_2",
    )  # fmt: skip
    assert policies("armv7l", "manylinux") == ("manylinux_2_31", "manylinux_2_35")
    assert policies("sparc") == ()


def test_2_35_is_made_in_the_newest_image_that_is_not_newer() -> None:
    made = image("manylinux_2_35", "x86_64")
    assert made.policy == "manylinux_2_35"
    assert made.reference == image("manylinux_2_34", "x86_64").reference
    assert "manylinux_2_35_armv7l:" in image("manylinux_2_35", "armv7l").reference


@pytest.mark.parametrize(
    ("policy", "arch"),
    [
        ("manylinux_2_35", "riscv64"),
        ("manylinux_2_28", "armv7l"),
        ("manylinux1", "x86_64"),
        ("musllinux_1_3", "x86_64"),
    ],
)
def test_an_image_that_does_not_exist_is_an_error_that_lists_those_that_do(policy: str, arch: str) -> None:
    with pytest.raises(ConfigError, match=f"no image for {policy} on {arch}") as caught:
        image(policy, arch, "pyproject.toml:3")
    assert "musllinux_1_2" in caught.value.remedy
    assert caught.value.where == "pyproject.toml:3"


def test_images_without_updates_are_marked() -> None:
    assert image("musllinux_1_1", "aarch64") == ("quay.io/pypa/musllinux_1_1_aarch64", "musllinux_1_1", True)


def test_an_image_of_ones_own_keeps_the_policy_in_its_name() -> None:
    assert image("ghcr.io/h5py/manylinux_2_28_x86_64-hdf5", "x86_64").policy == "manylinux_2_28"
    assert image("me/builder:1", "x86_64") == ("me/builder:1", "", False)
