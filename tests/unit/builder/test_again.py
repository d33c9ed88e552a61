"""Are the same words answered at once only if nothing at all has changed?"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hwb.artifacts import Artifact, Ledger, write_manifest
from hwb.builder import again
from hwb.builder.again import build_again, note_path, signature
from hwb.builder.note import write_note
from hwb.builder.options import Source
from hwb.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = ["-o", "dist"]
SDIST, WHEEL = "dynamic_requires-1.0.tar.gz", "dynamic_requires-1.0-py3-none-any.whl"


@pytest.fixture
def out(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project / "dist"


def manifest(out: Path, built: Any) -> None:
    ledger = Ledger(None)
    for path in built.files:
        ledger.add(Artifact.of_file(path, "build", "build"))
    write_manifest(out, ledger)


@pytest.fixture
def noted(project: Path, out: Path, build: Any) -> Callable[..., Any]:
    """Build and write the note that `hwb build` writes; the build."""

    def run(*, quiet: bool = False, lines: tuple[str, ...] = ("a line",), **options: Any) -> Any:
        built = build(project, out, **options)
        manifest(out, built)
        write_note(WORDS, os.getcwd(), str(out), built.depends, lines, quiet=quiet)
        return built

    return run


@pytest.fixture(params=["git", "plain"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "git":
        request.getfixturevalue("git")
    return str(request.param)


def old(project: Path) -> None:
    """Files as old as they are in life: what was written this instant is read again."""
    for path in project.rglob("*"):
        os.utime(path, (1_500_000_000, 1_500_000_000))


def clear(out: Path) -> None:
    for path in out.iterdir():
        if path.is_file():
            path.unlink()


def test_nothing_changed(
    project: Path, out: Path, kind: str, noted: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    built = noted()
    before = {path: Path(path).read_bytes() for path in built.files}
    manifest = (out / ".hwb" / "manifest.json").read_bytes()
    clear(out)
    assert build_again(WORDS)
    assert {path: Path(path).read_bytes() for path in built.files} == before
    assert (out / ".hwb" / "manifest.json").read_bytes() == manifest
    assert sorted(os.listdir(out)) == [".hwb", WHEEL, SDIST]
    first, second = capsys.readouterr().out.splitlines()
    assert first == "a line"
    assert second.startswith("nothing changed since it was built; taken from the store (")


def test_an_output_directory_that_was_removed_is_made(
    project: Path, out: Path, noted: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    noted(quiet=True)
    shutil.rmtree(out)
    assert build_again(WORDS)
    assert sorted(os.listdir(out)) == [".hwb", WHEEL, SDIST]
    assert sorted(os.listdir(out / ".hwb")) == ["SHA256SUMS", "manifest.json"]
    assert capsys.readouterr().out == ""


def test_other_words_another_directory_another_variable(
    project: Path, out: Path, noted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    noted()
    assert not build_again([])
    assert not build_again([*WORDS, "-v"])
    assert not build_again(list(reversed(WORDS)))
    with monkeypatch.context() as patch:
        patch.setenv("CFLAGS", "-O0")
        assert not build_again(WORDS)
    with monkeypatch.context() as patch:
        patch.setenv("TERM", "another terminal")
        assert build_again(WORDS)
    monkeypatch.chdir(tmp_path)
    assert not build_again(WORDS)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "src" / "dynamic_requires" / "__init__.py").write_text("A = 1\n"),
        lambda root: (root / "src" / "dynamic_requires" / "new.py").write_text(""),
        lambda root: (root / "src" / "dynamic_requires" / "__init__.py").unlink(),
        lambda root: (root / "backend" / "tiny_backend.py").chmod(0o755),
        lambda root: (root / "hwb.toml").write_text(""),
    ],
    ids=["changed", "new", "removed", "mode", "settings"],
)
def test_a_change_is_seen(
    project: Path, out: Path, kind: str, noted: Callable[..., Any], change: Callable[[Path], object]
) -> None:
    old(project)
    noted()
    assert build_again(WORDS)
    change(project)
    assert not build_again(WORDS)


def test_what_git_said_is_kept_for_the_build_that_follows(
    project: Path, out: Path, git: Callable[..., str], noted: Callable[..., Any]
) -> None:
    old(project)
    noted()
    assert build_again(WORDS)
    (project / "new.py").write_text("")
    assert not build_again(WORDS)
    assert ["new.py" in state.untracked for state in again.seen] == [True]
    assert not build_again(["other", "words"])
    assert again.seen == [], "an answer of an earlier moment is never handed on"


def test_a_change_is_seen_even_in_the_instant_of_the_build(
    project: Path, out: Path, kind: str, noted: Callable[..., Any]
) -> None:
    source = project / "src" / "dynamic_requires" / "__init__.py"
    for number in range(5):
        source.write_text(f"A = {number}\n")
        noted()
        assert build_again(WORDS)
        source.write_text(f"A = {number + 5}\n")
        assert not build_again(WORDS)


def test_a_commit_a_tag_and_a_branch_are_seen(
    project: Path, out: Path, git: Callable[..., str], noted: Callable[..., Any]
) -> None:
    for words in (["commit", "-q", "--allow-empty", "-m", "y"], ["tag", "v1"], ["checkout", "-q", "-b", "other"]):
        noted()
        assert build_again(WORDS)
        git(*words)
        assert not build_again(WORDS), words


def test_a_repository_that_is_damaged_is_seen(
    project: Path, out: Path, git: Callable[..., str], noted: Callable[..., Any]
) -> None:
    noted()
    (project / ".git" / "HEAD").write_text("garbage")
    assert not build_again(WORDS)


@pytest.mark.git
@pytest.mark.parametrize("above", [False, True])
def test_a_tree_that_becomes_a_repository_is_seen(
    project: Path, out: Path, noted: Callable[..., Any], above: bool
) -> None:
    """What is a source (.gitignore) and the time of the sources are told by git from then on."""
    noted()
    assert build_again(WORDS)
    subprocess.run(["git", "init", "-q", project.parent if above else project], check=True)
    assert not build_again(WORDS)


def test_a_repository_of_the_projects_own_is_seen(
    project: Path, out: Path, git: Callable[..., str], build: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (project / "member").mkdir()
    for name in ("backend", "pyproject.toml", "src"):
        git("mv", name, f"member/{name}")
    git("commit", "-qm", "member")
    member = project / "member"
    monkeypatch.chdir(member)
    built = build(member, member / "dist")
    manifest(member / "dist", built)
    write_note(WORDS, os.getcwd(), str(member / "dist"), built.depends, [], quiet=True)
    assert build_again(WORDS)
    (member / ".git").mkdir()
    assert not build_again(WORDS)


def test_an_interpreter_a_program_a_time(
    project: Path, out: Path, noted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    noted()
    with monkeypatch.context() as patch:
        patch.setattr("hwb.which.which", lambda _program, _path: "/another/git")
        assert not build_again(WORDS)
    with monkeypatch.context() as patch:
        real = again.signature
        patch.setattr(again, "signature", lambda path: "x" if "python" in os.path.basename(path) else real(path))
        assert not build_again(WORDS)
    monkeypatch.setattr(time, "time", lambda: 4e9 + 1)
    assert not build_again(WORDS), "the pins are too old"


def test_another_content_of_the_output_directory_is_not_answered_for(
    project: Path, out: Path, noted: Callable[..., Any]
) -> None:
    noted()
    manifest = out / ".hwb" / "manifest.json"
    data = json.loads(manifest.read_text())
    data["artifacts"].append({**data["artifacts"][0], "name": "other-1.0.tar.gz"})
    manifest.write_text(json.dumps(data))
    assert not build_again(WORDS)


@pytest.mark.parametrize("damage", ["truncated", "other bytes", "gone"])
def test_a_damaged_store_hands_nothing_out(project: Path, out: Path, noted: Callable[..., Any], damage: str) -> None:
    built = noted()
    kept = Path(built.depends.kept[-1].path)
    if damage == "gone":
        kept.unlink()
    else:
        kept.write_bytes(kept.read_bytes()[:100] if damage == "truncated" else b"x" * kept.stat().st_size)
    clear(out)
    assert not build_again(WORDS)
    assert not (out / kept.name).exists()
    assert WHEEL not in os.listdir(out)
    assert [name for name in os.listdir(out) if name.endswith(".part")] == []


@pytest.mark.parametrize("text", ["", "garbage", "[]", "{}", "null", '{"until": 9e9}', '{"until": "x"}'])
def test_a_damaged_note_is_none(project: Path, out: Path, noted: Callable[..., Any], text: str) -> None:
    noted()
    Path(note_path(WORDS, os.getcwd(), os.environ)).write_text(text)
    assert not build_again(WORDS)


def test_an_output_directory_that_cannot_be_written(project: Path, out: Path, noted: Callable[..., Any]) -> None:
    import shutil

    noted()
    shutil.rmtree(out)
    out.write_text("a file")
    assert not build_again(WORDS)


@pytest.mark.parametrize(
    "options", [{"cache": False}, {"isolated": False}, {"include": ("x",)}, {"local": {"a": "/a.whl"}}]
)
def test_no_note_of_what_is_not_plain(
    project: Path, out: Path, noted: Callable[..., Any], options: dict[str, Any]
) -> None:
    noted(**options)
    assert not (open_store().root / "again").exists()


def test_no_note_of_what_came_from_elsewhere(project: Path, out: Path, build: Any) -> None:
    built = build(project, out, source=Source(str(project), "https://example.org/x.tar.gz", vcs=False))
    write_note(WORDS, os.getcwd(), str(out), built.depends, [], quiet=True)
    assert not (open_store().root / "again").exists()


def test_no_note_beside_files_of_other_builds(project: Path, out: Path, noted: Callable[..., Any], build: Any) -> None:
    noted(wheel=False)
    assert build_again(WORDS)
    clear(out)
    (out / "other-1.0.tar.gz").write_text("x")
    rows = [{"name": "other-1.0.tar.gz"}]
    (out / ".hwb" / "manifest.json").write_text(json.dumps({"artifacts": rows}))
    built = build(project, out, wheel=False)
    Path(note_path(WORDS, os.getcwd(), os.environ)).unlink()
    write_note(WORDS, os.getcwd(), str(out), built.depends, [], quiet=True)
    assert not Path(note_path(WORDS, os.getcwd(), os.environ)).exists()


def test_a_signature_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert signature(str(path)) == ""
    path.write_text("1")
    first = signature(str(path))
    assert first == signature(str(path)) != ""
    os.utime(path, ns=(1, 1))
    assert signature(str(path)) != first
