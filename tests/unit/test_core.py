"""Does the documented facade have the names that it promises?"""

from __future__ import annotations

import importlib

import pytest

from hwb import core


def test_every_name_is_that_of_its_home() -> None:
    assert dir(core) == core.__all__ == sorted(core._HOME)
    for name, home in core._HOME.items():
        assert getattr(core, name) is getattr(importlib.import_module(home), name)


def test_no_other_name() -> None:
    with pytest.raises(AttributeError, match=r"'hwb\.core' has no attribute 'Nothing'"):
        core.Nothing  # noqa: B018
