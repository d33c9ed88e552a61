"""Do other front ends get the same copy, variables and words, and are their failures told alike?"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import hwb.isolation.backends
import hwb.isolation.venv
from hwb import context, pythons
from hwb.builder.frontends import run_frontend, takes_uv_build
from hwb.builder.options import BuildOptions
from hwb.errors import BuildError, ToolNotFound

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")

SCRIPT = """#!/bin/sh
printf '%s\\n' "$@" > {folder}/words
env > {folder}/environ
pwd > {folder}/cwd
while [ $# -gt 0 ]; do case "$1" in --out-dir|--outdir) out=$2;; esac; shift; done
mkdir -p "$out"
{body}
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for uv (or for the Python that has `build`)."""

    def make(body: str = 'touch "$out/x-1.tar.gz" "$out/x-1-py3-none-any.whl" "$out/.gitignore"') -> Path:
        path = tmp_path / "uv"
        path.write_text(SCRIPT.format(folder=tmp_path, body=body))
        path.chmod(0o755)
        monkeypatch.setattr(hwb.isolation.backends, "find_uv", lambda: str(path))

        def shared(interpreter: pythons.Interpreter, *_a: object, **_k: object) -> SimpleNamespace:
            with (tmp_path / "interpreters").open("a") as handle:
                handle.write(f"{interpreter.path}\n")
            return SimpleNamespace(python=str(path))

        monkeypatch.setattr(hwb.isolation.venv, "shared_environment", shared)
        return path

    return make


def run(tmp_path: Path, **options: Any) -> list[str]:
    (tmp_path / "place" / "source").mkdir(parents=True, exist_ok=True)
    chosen = BuildOptions(**{"pythons": (pythons.running(),), "frontend": "uv", **options})
    outer = {"PATH": os.environ["PATH"], "HOME": "/home/me", "UV_INDEX_URL": "https://i", "UV_PUBLISH_TOKEN": "t",
             "PIP_INDEX_URL": "https://p", "HTTPS_PROXY": "http://x", "SSL_CERT_FILE": "/c", "TWINE_PASSWORD": "p"}  # fmt: skip
    with context.use(context.Context(outer_env=outer, offline=options.get("elsewhere") == "offline")):
        return run_frontend(str(tmp_path / "place" / "source"), str(tmp_path / "place"), 7, chosen)


def words(tmp_path: Path) -> list[str]:
    return (tmp_path / "words").read_text().splitlines()


def test_uv(tmp_path: Path, tool: Any) -> None:
    tool()
    made = run(tmp_path, config_settings={"a": "b", "c": ["d", "e"]})
    assert [os.path.basename(path) for path in made] == ["x-1.tar.gz", "x-1-py3-none-any.whl"]
    place = tmp_path / "place"
    assert words(tmp_path) == [
        "build", "--no-python-downloads", "--python", pythons.running().path, "--out-dir", str(place / "out-0"),
        "--config-setting=a=b", "--config-setting=c=d", "--config-setting=c=e", str(place / "source"),
    ]  # fmt: skip
    environ = dict(line.split("=", 1) for line in (tmp_path / "environ").read_text().splitlines() if "=" in line)
    assert (environ["HOME"], environ["SOURCE_DATE_EPOCH"]) == ("/home/me", "7")
    assert {"UV_INDEX_URL", "PIP_INDEX_URL", "HTTPS_PROXY", "SSL_CERT_FILE"} <= set(environ)
    assert not {"UV_PUBLISH_TOKEN", "TWINE_PASSWORD"} & set(environ)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"wheel": False}, ["--sdist"]),
        ({"sdist": False}, ["--wheel"]),
        ({"from_tree": True}, ["--sdist", "--wheel"]),
        ({"isolated": False}, ["--no-build-isolation"]),
        ({"elsewhere": "offline"}, ["--offline"]),
    ],
)
def test_options_of_uv(tmp_path: Path, tool: Any, options: dict[str, Any], expected: list[str]) -> None:
    tool()
    run(tmp_path, **options)
    assert [word for word in words(tmp_path)[4:] if word.startswith("--") and word != "--out-dir"] == expected


@pytest.mark.parametrize(
    ("uv", "options", "expected"),
    [
        (True, {}, ["--installer", "uv"]),
        (False, {}, []),
        (True, {"isolated": False}, ["--no-isolation"]),
        (True, {"sdist": False}, ["--wheel", "--installer", "uv"]),
    ],
)
def test_build(
    tmp_path: Path, tool: Any, monkeypatch: pytest.MonkeyPatch, uv: bool, options: dict[str, Any], expected: list[str]
) -> None:
    itself = replace(pythons.running(), path=str(tool()))
    if not uv:
        monkeypatch.setattr(hwb.isolation.backends, "find_uv", lambda: None)
    # without isolation it is the `build` of the environment that was named
    run(tmp_path, frontend="build", pythons=(itself,), **options)
    found = words(tmp_path)
    assert found[:2] == ["-m", "build"]
    assert [word for word in found[2:] if (word.startswith("--") and word != "--outdir") or word == "uv"] == expected


def test_build_runs_on_the_interpreter_that_it_builds_for(tmp_path: Path, tool: Any) -> None:
    tool()
    other = replace(pythons.running(), path="/another/python")
    run(tmp_path, frontend="build", pythons=(pythons.running(), other))
    assert (tmp_path / "interpreters").read_text().split() == [pythons.running().path, "/another/python"]


def test_no_network_is_told_to_build_and_its_installers(tmp_path: Path, tool: Any) -> None:
    tool()
    run(tmp_path, frontend="build", elsewhere="offline")
    assert {"UV_OFFLINE=1", "PIP_NO_INDEX=1"} <= set((tmp_path / "environ").read_text().splitlines())


def test_each_interpreter_gets_a_run_and_the_sdist_comes_from_the_first(tmp_path: Path, tool: Any) -> None:
    tool('touch "$out/x-$(basename $out)-py3-none-any.whl"')
    running = pythons.running()
    made = run(tmp_path, pythons=(running, running), sdist=False)
    assert [os.path.basename(path) for path in made] == ["x-out-0-py3-none-any.whl", "x-out-1-py3-none-any.whl"]
    assert "--wheel" in words(tmp_path)


def test_a_failure_shows_what_the_tool_said(tmp_path: Path, tool: Any) -> None:
    tool("echo \"ModuleNotFoundError: No module named 'cffi'\" >&2; exit 3")
    with pytest.raises(BuildError, match="uv ended with exit code 3") as caught:
        run(tmp_path)
    assert "No module named 'cffi'" in caught.value.detail
    assert "'cffi'" in caught.value.remedy


def test_a_tool_that_makes_nothing_is_a_failure(tmp_path: Path, tool: Any) -> None:
    tool("rmdir $out")
    with pytest.raises(BuildError):
        run(tmp_path)
    tool("true")
    with pytest.raises(BuildError):
        run(tmp_path)


def test_without_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hwb.isolation.backends, "find_uv", lambda: None)
    with pytest.raises(ToolNotFound, match="frontend is uv, and there is no uv"):
        run(tmp_path)
    assert not takes_uv_build("uv_build")


def test_uvs_own_backend_is_left_to_uv(tool: Any) -> None:
    tool()
    assert takes_uv_build("uv_build")
    assert not takes_uv_build("hatchling.build")
