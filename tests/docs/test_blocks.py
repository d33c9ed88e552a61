"""Does every line of the README and the docs do what it says, and can every page be found?

Blocks are run page by page, in order, in a temporary directory. A comment before a block says where and how::

    <!-- test: in=demo -->        the demo repository (the default); also demo-c, empty, checkout
    <!-- test: in=demo exit=2 --> that exit code is what the text promises
    <!-- test: needs=docker --> what the machine must have (markers of tests/conftest.py); without it the block is left out
    <!-- test: machine -->        installs on the machine and tests everything, as .ci/run does: a bootstrap line

`bash` and `console` (lines after `$ `) are executed; a `python` block that begins with `# hwbfile.py` becomes the
hwbfile of the directory, one that begins with `# script.py` is run there, a `toml` block that begins with `# pyproject.toml` replaces `[tool.hwb]` of its pyproject.toml,
and both must be accepted by `hwb sessions --list`.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(
    r"(?:<!-- test: (?P<how>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_OUR_TABLES = re.compile(r"^\[tool\.hwb\b.*?(?=^\[(?!tool\.hwb\b)|\Z)", re.MULTILINE | re.DOTALL)
_EXECUTED = ("bash", "console")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str
    how: dict[str, str]

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def script(self) -> str:
        if self.language == "bash":
            return self.text
        return "\n".join(line[2:] for line in self.text.splitlines() if line.startswith("$ "))

    @property
    def kind(self) -> str:
        """What is done with it: run, script, hwbfile, settings, or nothing."""
        if self.language in _EXECUTED:
            return "run"
        first = self.text.partition("\n")[0].strip()
        if (self.language, first) == ("python", "# script.py"):
            return "script"
        if (self.language, first) == ("python", "# hwbfile.py"):
            return "hwbfile"
        return "settings" if (self.language, first) == ("toml", "# pyproject.toml") else "nothing"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start("text")), match["language"], match["text"], directive(match["how"]))
        for match in _BLOCK.finditer(text)
    ]


def directive(how: str | None) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in (how or "").split())}


class Places:
    """The directories of one page, made when first used."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.programs = base / "bin"
        self.programs.mkdir()
        shim = self.programs / "hwb"
        shim.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m hwb "$@"\n')
        shim.chmod(shim.stat().st_mode | stat.S_IXUSR)

    def environ(self) -> dict[str, str]:
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "NO_COLOR": "1"}

    def get(self, name: str) -> Path:
        place = self.base / name
        if not place.exists():
            self._make(name, place)
        return place

    def _make(self, name: str, place: Path) -> None:
        if name in ("demo", "demo-c"):
            from hwb.demo import make_demo

            make_demo(str(place), c_extension=name == "demo-c")
        elif name == "checkout":
            unwanted = (".git", ".venv", ".nox", "__pycache__", ".*_cache", ".hypothesis", ".coverage*", ".hwb", "demo")
            shutil.copytree(ROOT, place, ignore=lambda folder, names: _unwanted(folder, names, unwanted))
        elif name == "empty":
            place.mkdir()
        else:
            raise ValueError(f"in={name}: no such place")


def _unwanted(folder: str, names: list[str], patterns: tuple[str, ...]) -> set[str]:
    """What a clone would not have; `demo` only at the top, where the README's line makes it."""
    found = {name for name in names for pattern in patterns if fnmatch(name, pattern)}
    return found if Path(folder) == ROOT else found - {"demo"}


def execute(block: Block, places: Places) -> None:
    if "machine" in block.how:
        assert re.match(r"python3 \.ci/bootstrap\.py", block.text), f"{block.where}: only a bootstrap line may say so"
        return
    directory = places.get(block.how.get("in", "demo"))
    if block.kind == "hwbfile":
        (directory / "hwbfile.py").write_text(block.text, encoding="utf-8")
    elif block.kind == "settings":
        project = directory / "pyproject.toml"
        rest = _OUR_TABLES.sub("", project.read_text(encoding="utf-8"))
        project.write_text(f"{rest}\n{block.text}", encoding="utf-8")
    elif block.kind == "script":
        (places.base / "script.py").write_text(block.text, encoding="utf-8")
    python = f'PYTHONPATH="{ROOT}" "{sys.executable}" "{places.base / "script.py"}"'
    script = {"run": block.script, "script": python}.get(block.kind, "hwb sessions --list")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=directory,
        env=places.environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    told = f"{block.where}: exit code {done.returncode}\n{script}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == int(block.how.get("exit", "0")), told


WITH_BLOCKS = [page for page in PAGES if any(block.kind != "nothing" for block in blocks(page))]


@pytest.mark.git
@pytest.mark.pypi
@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks(page, tmp_path, absent):
    if sys.platform == "win32":
        pytest.skip("the blocks are written for a POSIX shell")
    places = Places(tmp_path)
    for block in blocks(page):
        if block.kind != "nothing" and absent(*filter(None, block.how.get("needs", "").split(","))) is None:
            execute(block, places)


def test_directives_are_known():
    for page in PAGES:
        for block in blocks(page):
            assert block.how.keys() <= {"in", "exit", "machine", "needs"}, block.where
        text = page.read_text(encoding="utf-8")
        assert text.count("<!-- test:") == sum(bool(block.how) for block in blocks(page)), f"{page}: a stray directive"


def links(page: Path) -> list[Path]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\((?!\w+:)([^)#\s]+)[^)]*\)", text)
    return [Path(os.path.normpath(page.parent / target)) for target in targets]


def test_every_link_leads_somewhere():
    broken = [f"{page.relative_to(ROOT)}: {target}" for page in PAGES for target in links(page) if not target.exists()]
    assert not broken, "\n".join(broken)


def test_every_page_is_linked_from_the_index():
    reached, todo = set(), [ROOT / "docs" / "index.md"]
    while todo:
        page = todo.pop()
        if page not in reached and page.suffix == ".md" and page.exists():
            reached.add(page)
            todo += links(page)
    assert {page for page in PAGES if page.parent != ROOT} - reached == set()


def settings_rows() -> set[str]:
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([a-z.-]+)` ", text, re.MULTILINE))


def test_every_setting_is_documented_and_linked_to_its_variable():
    from hwb.config import KEYS

    assert settings_rows() == set(KEYS)
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert [key.env for key in KEYS.values() if key.env and f"`{key.env}`" not in text] == []


def test_every_error_class_and_exit_code_is_documented():
    from hwb import errors

    text = (ROOT / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    codes = {getattr(errors, name).code for name in errors.__all__ if name != "Cancelled"}
    assert [code for code in codes if f"`{code}`" not in text] == []


def test_every_event_is_documented():
    from hwb import events

    text = (ROOT / "docs" / "reference" / "events.md").read_text(encoding="utf-8")
    assert [kind for kind in events._KINDS if f"`{kind}`" not in text] == []
