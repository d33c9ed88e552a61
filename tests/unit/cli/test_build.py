"""Do the words of `hwb build` become the right request, and is the result told in every form?"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hwb import pythons
from hwb.cli import invoke
from hwb.cli.build import _config_settings, _constraints, _lines, _request
from hwb.cli.output import size_text
from hwb.errors import UsageError

PROJECTS = Path(__file__).parents[2] / "projects"
SDIST, WHEEL = "waiting-1.0.tar.gz", "waiting-1.0-py3-none-any.whl"
USUAL: dict[str, Any] = {
    "source": ".", "output": None, "sdist": None, "wheel": None, "pythons": (), "config": (), "config_json": None,
    "from_tree": False, "no_isolation": False, "constraints": (), "locked": False, "clean": False, "no_cache": False,
    "why": False, "reproduce": False, "release": False, "frontend": None, "isolation": None, "manylinux": None,
    "musllinux": None, "platform": None, "dockerfile": None, "gpu": False,
}  # fmt: skip


def request(**options: Any) -> Any:
    return _request({**USUAL, **options}, "")


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWB_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(shutil.copytree(PROJECTS / "waiting", tmp_path / "project"))
    monkeypatch.chdir(folder)
    return folder


def build(*words: str) -> int:
    return invoke(["build", *words])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "docker"),
    [
        ({}, {}),
        ({"manylinux": "2_28", "gpu": True}, {"manylinux": "2_28", "gpu": True}),
        ({"dockerfile": "x/Dockerfile"}, {"dockerfile": os.path.abspath("x/Dockerfile")}),
        ({"platform": "linux/arm64"}, {"architecture": "aarch64"}),
        ({"platform": "musllinux"}, {"platform": "musllinux"}),
        ({"platform": "manylinux_2_28_aarch64"}, {"architecture": "aarch64", "manylinux": "manylinux_2_28"}),
        ({"platform": "linux"}, {}),
    ],
)
def test_what_the_words_say_of_a_container(given: dict[str, Any], docker: dict[str, Any]) -> None:
    assert request(**given).docker == docker


@pytest.mark.parametrize("text", ["linux,windows", "macosx-11.0-universal2", "win_amd64"])
def test_platforms_that_no_container_is_for(text: str) -> None:
    with pytest.raises(UsageError, match="makes wheels for this machine"):
        request(platform=text)


def test_no_isolation_has_two_spellings() -> None:
    assert not request(isolation="none").isolated
    assert not request(no_isolation=True).isolated
    assert request(isolation="venv").isolated


def test_pythons_may_be_repeated_and_listed() -> None:
    assert request(pythons=("3.11,3.12", "3.13", " 3.10 ,")).pythons == ("3.11", "3.12", "3.13", "3.10")


def test_config_settings_as_pip_build_and_uv_take_them() -> None:
    assert _config_settings(["a=1", "b=x=y", "c=", "d", "a=2", "a=3"], None) == {
        "a": ["1", "2", "3"], "b": "x=y", "c": "", "d": "",
    }  # fmt: skip
    assert _config_settings(["a=2", "--build-option=--compiler=msvc"], '{"a": ["1"], "z": "q"}') == {
        "a": ["1", "2"], "z": "q", "--build-option": "--compiler=msvc",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "[", "[]", '"x"', '{"a": 1}', '{"a": [1]}', '{"a": null}', '{"a": {"b": "c"}}'])
def test_config_json_of_another_shape(root: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert build("--config-json", text) == 2
    assert "--config-json: " in capsys.readouterr().err


def test_a_setting_without_a_name(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("-C", "=x") == 2
    assert "write -C KEY=VALUE" in capsys.readouterr().err


def test_constraints_files(tmp_path: Path) -> None:
    path = tmp_path / "limits.txt"
    path.write_text("# comment\na<2 # why\n\nb==1 \\\n  --hash=sha256:00\n  c\n")
    assert [" ".join(line.split()) for line in _constraints([str(path)])] == ["a<2", "b==1 --hash=sha256:00", "c"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_constraints_that_cannot_be_read(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "limits.txt"
    if content is not None:
        path.write_bytes(content)
    assert build("-b", str(path)) == 2
    assert f"--build-constraint {path}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_345_678, "2.3 MB"), (5_000_000_000, "5.0 GB")]
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


# --- results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ([], [WHEEL, SDIST]),
        (["--sdist"], [SDIST]),
        (["-s"], [SDIST]),
        (["--wheel"], [WHEEL]),
        (["-w"], [WHEEL]),
        (["-s", "-w"], [WHEEL, SDIST]),
        (["--from-tree"], [WHEEL, SDIST]),
        (["--no-isolation"], [WHEEL, SDIST]),
    ],
)
def test_what_is_made(root: Path, words: list[str], made: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert build(*words) == 0
    assert names(root / "dist") == made
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [
        os.path.join("dist", name) for name in sorted(made, reverse=True)
    ]
    assert lines[-1].startswith("built: ")
    assert f"sha256:{hashlib.sha256((root / 'dist' / made[0]).read_bytes()).hexdigest()}" in lines[-2]


@pytest.mark.parametrize("option", ["-o", "--output", "--outdir", "--out-dir"])
def test_another_output_directory(root: Path, tmp_path: Path, option: str) -> None:
    assert build(option, "../else where/deep") == 0
    assert names(tmp_path / "else where" / "deep") == [WHEEL, SDIST]
    assert not (root / "dist").exists()


def test_a_project_elsewhere_gets_its_own_dist(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert build("project") == 0
    assert names(root / "dist") == [WHEEL, SDIST]
    shutil.rmtree(root / "dist")
    assert invoke(["--directory", "project", "build"]) == 0
    assert names(root / "dist") == [WHEEL, SDIST]


def test_an_sdist_as_the_source(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert build() == 0
    moved = shutil.move(root / "dist" / SDIST, tmp_path)
    first = (root / "dist" / WHEEL).read_bytes()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert build(str(moved)) == 0
    assert names(tmp_path / "empty" / "dist") == [WHEEL]
    assert (tmp_path / "empty" / "dist" / WHEEL).read_bytes() == first
    capsys.readouterr()
    assert build("--sdist", str(moved)) == 2
    assert "the source is an sdist already" in capsys.readouterr().err


def test_json_of_a_success(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--json", "--no-cache") == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert shown.err == ""
    assert (told["schema"], told["success"], told["cached"], told["isolated"]) == ("hwb.build/1", True, False, True)
    assert [(row["name"], row["kind"]) for row in told["artifacts"]] == [(SDIST, "sdist"), (WHEEL, "wheel")]
    for row in told["artifacts"]:
        data = Path(row["path"]).read_bytes()
        assert (row["size"], row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    phases = [phase["name"] for phase in told["phases"]]
    assert {"resolve", "analyze", "isolation", "build", "validate", "metadata"} <= set(phases)
    assert all(phase["ok"] and phase["seconds"] >= 0 for phase in told["phases"])
    assert build("--json") == 0
    assert json.loads(capsys.readouterr().out)["cached"]


BROKEN = {
    "SOURCE_RESOLVE_FAILED": lambda root: (root / "link").symlink_to("/etc/passwd"),
    "ANALYZE_FAILED": lambda root: (root / "pyproject.toml").write_text("[build-system]\nrequires = 1\n"),
    "BACKEND_FAILED": lambda root: (root / "backend" / "waiting_backend.py").write_text("raise SystemExit(3)\n"),
    "VALIDATION_FAILED": lambda root: _replace(root / "backend" / "waiting_backend.py", "sha256={", "sha256=x{"),
    "INTERPRETER_NOT_FOUND": lambda root: _replace(root / "pyproject.toml", "[tool.hwb.build]", '[tool.hwb]\npython = "3.77"\n[tool.hwb.build]'),
    "CONFIG_INVALID": lambda root: _replace(root / "pyproject.toml", "env-pass = ", "env-pass = 1 #"),
}  # fmt: skip


def _replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize("code", BROKEN)
def test_json_of_a_failure(root: Path, capsys: pytest.CaptureFixture[str], code: str) -> None:
    BROKEN[code](root)
    exit_code = build("--json")
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert (told["schema"], told["success"], told["error_code"]) == ("hwb.build/1", False, code)
    assert told["error"]["error_code"] == code
    assert told["error"]["exit_code"] == exit_code != 0
    assert shown.err.startswith("error: ")
    assert not (root / "dist").exists()


def test_requirements_that_contradict(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _replace(root / "pyproject.toml", "requires = []", 'requires = ["no-such-distribution-for-hwb-tests"]')
    assert build("--json", "--offline") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["error_code"] in ("DEPENDENCY_FAILED", "OFFLINE")


def test_a_source_that_is_none(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--json", "no-such-thing") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["error_code"] == "SOURCE_RESOLVE_FAILED"
    assert "no-such-thing" in told["error"]["message" if "message" in told["error"] else "what"]


def test_quiet_and_verbose(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _replace(
        root / "backend" / "waiting_backend.py",
        "def build_sdist(",
        "def build_sdist(sdist_directory, config_settings=None):\n    print('the backend speaks')\n    return _sdist(sdist_directory)\n\n\ndef _sdist(",
    )
    assert build("-q", "--no-cache") == 0
    assert capsys.readouterr() == ("", "")
    assert build("--no-cache") == 0
    assert "the backend speaks" not in capsys.readouterr().err
    assert build("-v", "--no-cache") == 0
    err = capsys.readouterr().err
    assert "the backend speaks\n" in err
    assert "build sdist: done in " in err
    assert build("-vv", "--no-cache") == 0
    assert "\n$ " in capsys.readouterr().err


def test_settings_reach_the_backend(root: Path) -> None:
    _replace(
        root / "backend" / "waiting_backend.py",
        "code = source.read()",
        "code = source.read() + repr(sorted((config_settings or {}).items())).encode()",
    )
    assert build("-C", "a=1", "-C", "a=2", "--config-json", '{"b": "c"}') == 0
    with zipfile.ZipFile(root / "dist" / WHEEL) as archive:
        assert archive.read("waiting.py").endswith(b"[('a', ['1', '2']), ('b', 'c')]")


def test_two_pythons_one_pure_wheel(root: Path) -> None:
    minor = pythons.running().minor
    assert build("--python", f"{minor},{sys.executable}", "-p", minor) == 0
    assert names(root / "dist") == [WHEEL, SDIST]


def test_why(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--why") == 0
    assert capsys.readouterr().out.splitlines()[0] == "first build"
    assert not (root / "dist").exists()
    assert build() == 0
    capsys.readouterr()
    (root / "waiting.py").write_text("VALUE = 2\n")
    (root / "more.py").write_text("")
    assert build("--why", "-C", "a=b") == 0
    said = capsys.readouterr().out.splitlines()
    assert {"changed: waiting.py", "new: more.py", 'config settings: {} -> {"a": "b"}'} <= set(said)
    assert build("--why", "--json") == 0
    assert "changed: waiting.py" in json.loads(capsys.readouterr().out)["changes"]


def test_no_cache_builds(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build() == 0
    assert build() == 0
    assert "nothing changed since it was built; taken from the store" in capsys.readouterr().out
    assert build("--no-cache") == 0
    assert "taken from the store" not in capsys.readouterr().out


def test_clean(root: Path) -> None:
    (root / "dist").mkdir()
    for name in ("old-1.whl", "old-1.tar.gz", "notes.txt"):
        (root / "dist" / name).write_text("x")
    assert build("--clean") == 0
    assert names(root / "dist") == ["notes.txt", WHEEL, SDIST]


@pytest.mark.parametrize("place", [".", "..", "/"])
def test_clean_refuses(root: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    (root / "precious.whl").write_text("x")
    assert build("--clean", "-o", place) == 2
    assert "it is not cleaned" in capsys.readouterr().err
    assert (root / "precious.whl").exists()


def test_reproduce(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--reproduce") == 0
    assert "the same bytes" in capsys.readouterr().err
    _replace(
        root / "backend" / "waiting_backend.py",
        "code = source.read()",
        "code = source.read() + os.urandom(8).hex().encode()",
    )
    assert build("--reproduce") == 5
    assert f"{WHEEL} is not reproducible: waiting.py differs in line " in capsys.readouterr().err


@pytest.mark.git
def test_release_refuses_untracked_files(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import subprocess

    who = ["-c", "user.name=x", "-c", "user.email=x@y"]
    for words in (["init", "-q"], ["add", "pyproject.toml", "backend"], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    assert build("--release") == 5
    assert "ships files that git does not track: waiting.py" in capsys.readouterr().err
    assert not (root / "dist").exists()
    assert build() == 0
    assert "warning: waiting-1.0.tar.gz ships files that git does not track: waiting.py" in capsys.readouterr().err


def test_frontend_is_one_of_three(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--frontend", "make") == 2
    err = capsys.readouterr().err
    assert "make" in err
    assert "uv" in err
    assert not (root / "dist").exists()


@pytest.mark.uv
def test_uv_as_the_frontend(root: Path) -> None:
    assert build("--frontend", "uv", "--offline") == 0
    assert names(root / "dist") == [WHEEL, SDIST]


def test_a_lock_that_is_not_there(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--locked") == 2
    assert "pylock.build.toml" in capsys.readouterr().err


def test_the_manifest_says_what_was_built_from_what(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    assert build("--no-isolation") == 0
    data = json.loads((root / "dist" / ".hwb" / "manifest.json").read_text())
    sdist = next(row for row in data["artifacts"] if row["kind"] == "sdist")
    wheel = next(row for row in data["artifacts"] if row["kind"] == "wheel")
    assert wheel["parent"] == sdist["sha256"]
    assert (wheel["isolated"], wheel["source-date-epoch"], wheel["commit"]) == (False, 1_600_000_000, None)
    with tarfile.open(root / "dist" / SDIST) as archive:
        assert {member.mtime for member in archive} == {1_600_000_000}


def test_lines_of_no_artifact() -> None:
    from hwb.builder.api import BuildResult

    assert _lines(BuildResult(success=True, changes=("a", "b"))) == ["a", "b"]
    assert _lines(BuildResult(success=True, why="because", duration_seconds=1.234)) == ["because (1.23 s)"]


# --- from Python -----------------------------------------------------------------------------------------------------


def test_from_python(root: Path, tmp_path: Path) -> None:
    import hwb

    result = hwb.build(root, tmp_path / "out", config_settings={"a": "b"}, python=[sys.executable])
    assert result.success
    assert (result.wheel_path, result.sdist_path) == (tmp_path / "out" / WHEEL, tmp_path / "out" / SDIST)
    assert (result.error, result.error_code, result.isolated, result.changes) == (None, "", True, ())
    assert result.duration_seconds > 0
    assert [artifact.name for artifact in result.artifacts] == [SDIST, WHEEL]
    assert {phase.name for phase in result.phases} >= {"build", "validate"}
    only = hwb.build(sdist=True, cache=False)
    assert (only.wheel_path, only.sdist_path) == (None, root / "dist" / SDIST)
    assert hwb.build(str(root), wheel=True, python=sys.executable).sdist_path is None


@pytest.mark.parametrize("code", ["SOURCE_RESOLVE_FAILED", "ANALYZE_FAILED", "BACKEND_FAILED", "VALIDATION_FAILED"])
def test_from_python_errors_are_typed(root: Path, code: str) -> None:
    import hwb
    from hwb.errors import HwbError

    BROKEN[code](root)
    with pytest.raises(HwbError) as caught:
        hwb.build(root)
    assert caught.value.code == code
    assert not (root / "dist").exists()


def test_from_python_an_unknown_word_is_an_error(root: Path) -> None:
    import hwb

    with pytest.raises(TypeError):
        hwb.build(root, no_such_option=True)
