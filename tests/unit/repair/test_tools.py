"""Are the locked sets whole, and does a tool on this machine see what it needs and nothing else?"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from hwb.isolation.environment import Venv
from hwb.locks import requirement_lines
from hwb.pythons import running
from hwb.repair.tools import HostTool, host_tool

if TYPE_CHECKING:
    from pathlib import Path

SETS = ("auditwheel", "delocate", "delvewheel", "abi3audit")


@pytest.mark.parametrize("name", SETS)
def test_every_requirement_is_pinned_with_hashes(name: str) -> None:
    from packaging.requirements import Requirement

    lines = requirement_lines(name)
    assert any(line.startswith(f"{name}==") for line in lines)
    for line in lines:
        assert re.search(r"( --hash=sha256:[0-9a-f]{64})+$", line), line
        wanted = Requirement(line.partition(" --hash=")[0])
        assert [one.operator for one in wanted.specifier] == ["=="]


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.14"])
@pytest.mark.parametrize("name", SETS)
def test_a_set_has_one_version_of_each_for_every_python(name: str, version: str) -> None:
    from packaging.requirements import Requirement

    found = []
    for line in requirement_lines(name):
        wanted = Requirement(line.partition(" --hash=")[0])
        if wanted.marker is None or wanted.marker.evaluate(
            {"python_full_version": f"{version}.1", "python_version": version}
        ):
            found.append(wanted.name)
    assert len(found) == len(set(found))
    assert name in found


def test_a_set_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(LookupError, match="no locked set 'nothing'"):
        requirement_lines("nothing")


def test_a_tool_sees_its_own_programs_first_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "secret")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/x")
    venv = Venv(str(tmp_path), sys.executable, str(tmp_path / "bin"), "uv", running(), reused=True)
    tool = HostTool(venv)
    assert tool.python == sys.executable
    code = "import os; print(os.environ['PATH'].split(os.pathsep)[0], os.environ.get('MY_TOKEN'), os.environ['LD_LIBRARY_PATH'], os.environ['A'])"
    done = tool.run([sys.executable, "-c", code], {"A": "b"})
    assert done.text.split() == [str(tmp_path / "bin"), "None", "/opt/x", "b"]
    assert tool.run([sys.executable, "-c", "raise SystemExit(3)"], {}).return_code == 3


def test_the_environment_is_that_of_the_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    venv = Venv(str(tmp_path), sys.executable, os.path.dirname(sys.executable), "uv", running(), reused=True)

    def shared(interpreter, requirements):  # type: ignore[no-untyped-def]
        asked.append((interpreter, requirements))
        return venv

    monkeypatch.setattr("hwb.isolation.venv.shared_environment", shared)
    assert host_tool("auditwheel").python == sys.executable
    assert asked == [(running(), requirement_lines("auditwheel"))]
