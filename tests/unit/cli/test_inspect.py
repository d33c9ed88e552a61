"""Does `hwb inspect` show all that is known, in every form, and does --check fail for what matters only?"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from hwb.cli.inspect import as_data, command, rows
from hwb.project import analyze_project

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECTS = Path(__file__).parents[2] / "projects"


def inspect(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)


def test_text() -> None:
    done = inspect(PROJECTS / "setup-py-variables")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["name", "setup-py-variables"]
    assert "version from          attr: varpkg/__init__.py:1" in "\n".join(lines) or any(
        line.split() == ["version", "from", "attr:", "varpkg/__init__.py:1"] for line in lines
    )
    assert "error: dependency_links is used [dependency-links]" in lines
    assert "  at: setup.py:20" in lines
    assert done.return_value == 0


def test_b3_json_has_backend_and_languages() -> None:
    data = json.loads(inspect("--json", PROJECTS / "c-extension").stdout)
    assert (data["schema"], data["name"]) == ("hwb.inspect/1", "c-extension")
    assert data["backend"] == {
        "module": "setuptools.build_meta",
        "requirements": ["setuptools>=70"],
        "name": "setuptools",
    }
    assert (data["has_extension_modules"], data["extension_languages"]) == (True, ["c"])
    assert str(PROJECTS) not in json.dumps({key: value for key, value in data.items() if key != "source"})
    assert data == json.loads(inspect("-f", "json", PROJECTS / "c-extension").stdout)


def test_table_is_markdown() -> None:
    done = inspect("--format", "table", PROJECTS / "workspace" / "pyproject.toml")
    lines = done.stdout.splitlines()
    assert lines[1] == "|---|---|"
    assert "| member demo-app | packages/app (needs demo-core) |" in lines


def test_two_forms_contradict() -> None:
    done = inspect("--json", "-f", "text", PROJECTS / "flit")
    assert "contradicts" in str(done.exception)


@pytest.mark.parametrize(("name", "code"), [("pure-hatchling", 0), ("setup-py-only", 5)])
def test_b3_check_looks_at_the_advice(name: str, code: int) -> None:
    done = inspect("--check", PROJECTS / name)
    assert done.return_value == code
    assert ("warning: " in done.stdout) == bool(code)


def test_information_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "b"\n[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.9"\n'
    )
    assert inspect("--check", tmp_path).return_value == 0


def test_what_is_not_decided_says_by_whom(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("setup(install_requires=f(), **g())\n")
    shown = dict(rows(analyze_project(tmp_path)))
    assert shown["name"] == "? (decided by setuptools (computed by setup.py))"
    assert shown["dependencies"] == "? (decided by setuptools (computed by setup.py))"
    assert shown["version"].startswith("? (decided by ")


def test_everything_that_is_there_is_shown() -> None:
    shown = dict(rows(analyze_project(PROJECTS / "setup-cfg")))
    assert shown["extra fast"] == "orjson"
    assert shown["script old"] == "old_pkg:main"
    assert dict(rows(analyze_project(PROJECTS / "rust-maturin")))["limited API"] == "cp39"


def test_other_sources_are_resolved_and_cleaned_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import contextlib
    import sys

    log: list[Any] = []

    @contextlib.contextmanager
    def resolve(spec: str) -> Iterator[SimpleNamespace]:
        log.append(spec)
        yield SimpleNamespace(local_path=PROJECTS / "flit")
        log.append("gone")

    monkeypatch.setitem(sys.modules, "hwb.source", SimpleNamespace(parse_source=str.upper, resolve_source=resolve))
    assert "flit-pkg" in inspect("git+https://example.invalid/x").stdout
    assert log == ["GIT+HTTPS://EXAMPLE.INVALID/X", "gone"]


def test_the_source_is_what_the_user_wrote() -> None:
    assert as_data(analyze_project(PROJECTS / "flit"), "there")["source"] == "there"
