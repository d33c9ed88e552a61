"""Is anything published halfway, or where it cannot run?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwb.errors import RefusedError
from hwb.registry.gate import admit
from hwb.registry.local import LocalIndex

if TYPE_CHECKING:
    from pathlib import Path

    from hwb.registry.gate import Publisher

WHEEL = "demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
HERE = "demo-1.0-cp312-cp312-linux_x86_64.whl"
MISSING = [("cp312-win_amd64", "use windows-latest")]


@pytest.fixture
def shared(tmp_path: Path) -> Publisher:
    """An index that others install from."""
    index = LocalIndex(tmp_path)
    index.private = False
    return index


def test_the_local_index_takes_everything(tmp_path: Path) -> None:
    index: Publisher = LocalIndex(tmp_path)
    admit(index, [HERE, "demo-1.0.tar.gz"], MISSING, partial=False)


def test_others_take_what_is_whole(shared: Publisher) -> None:
    admit(shared, [WHEEL, "demo-1.0.tar.gz", "demo-1.0-py3-none-any.whl"], [], partial=False)


def test_others_take_less_only_on_demand(shared: Publisher) -> None:
    with pytest.raises(RefusedError, match="wheels of this release that were not made here: 1") as caught:
        admit(shared, [WHEEL], MISSING, partial=False)
    assert "--partial" in caught.value.remedy
    assert caught.value.detail == "cp312-win_amd64: use windows-latest"
    admit(shared, [WHEEL], MISSING, partial=True)


@pytest.mark.parametrize("name", [HERE, "demo-1.0-cp312-cp312-manylinux_2_28_x86_64.linux_x86_64.whl"])
def test_others_take_no_wheel_for_this_machine(name: str, shared: Publisher) -> None:
    with pytest.raises(RefusedError, match="runs on this machine only"):
        admit(shared, [WHEEL, name], [], partial=True)
