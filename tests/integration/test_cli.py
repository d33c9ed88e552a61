"""The command line: listing, planning, selecting, running, its exit codes and its output for machines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HWBFILE = """
import hwb, sys

@hwb.recipe(venv_backend='none', tags=['fast'])
def a(session):
    'The first.'
    print('a was here')

@hwb.recipe(venv_backend='none', requires=['a'])
@hwb.parametrize('n', [1, 2])
def b(session, n):
    session.run(sys.executable, '-c', 'import sys; print(sys.argv[1:])', *session.posargs)

@hwb.recipe(venv_backend='none', default=False)
def bad(session):
    session.run(sys.executable, '-c', 'print("the reason"); raise SystemExit(9)')

@hwb.recipe(venv_backend='none', default=False, requires=['bad'], after=['a'])
def late(session): ...
"""


@pytest.fixture
def own(project: Any) -> Any:
    project.write(HWBFILE)
    return project


def test_version_and_help(project: Any) -> None:
    from hwb import __version__

    assert project.hwb("--version").out == f"hwb {__version__}\n"
    assert project.hwb("-h").out == project.hwb("--help").out
    assert project.hwb("--directory", ".", "--version").out == f"hwb {__version__}\n"
    listed = re.findall(r"^  (\w+) ", project.hwb("--help").out.partition("Commands:")[2], re.MULTILINE)
    names = ["run", "build", "check", "inspect", "matrix", "sessions", "recipes", "python", "lock", "cache", "demo"]
    assert listed == names
    for command in listed:
        assert project.hwb(command, "--help").code == 0


def test_no_command_and_wrong_commands(project: Any) -> None:
    assert project.hwb().code == 2
    recipe = project.hwb("publish")
    assert recipe.code == 2
    assert "to run the recipe 'publish': hwb run publish" in recipe.err
    for word, command in {"runn": "run", "biuld": "build"}.items():
        wrong = project.hwb(word)
        assert wrong.code == 2
        assert f"did you mean {command}?" in wrong.err
    assert project.hwb("run", "--no-such-option").code == 2


def test_the_list(own: Any) -> None:
    out = own.hwb("sessions", "--list").out

    assert re.search(r"^\* a +hwbfile +The first\.$", out, re.MULTILINE)
    assert re.search(r"^  bad +hwbfile$", out, re.MULTILINE)
    assert re.search(r"^  release +shipped +Build, check", out, re.MULTILINE)
    assert own.hwb("sessions").out == out


def test_the_list_as_json_carries_everything(own: Any) -> None:
    data = json.loads(own.hwb("sessions", "--list", "--json").out)
    rows = {row["session"]: row for row in data["sessions"]}

    assert data["schema"] == "hwb.sessions/1"
    assert rows["b(n=1)"]["requires"] == ["a"]
    assert rows["b(n=1)"]["parameters"] == {"n": "1"}
    assert rows["a"]["origins"] == [{"layer": "hwbfile", "where": f"{own.root / 'hwbfile.py'}:4"}]
    assert (rows["a"]["default"], rows["bad"]["default"], rows["release"]["default"]) == (True, False, False)
    assert (rows["a"]["isolation"], rows["test"]["isolation"]) == ("none", "auto")
    assert rows["a"]["tags"] == ["fast"]
    assert set(rows["release"]) >= {"python", "venv_backend", "timeout", "retries", "resources", "after", "process"}


def test_graphs(own: Any) -> None:
    mermaid = own.hwb("sessions", "--graph", "mermaid").out
    dot = own.hwb("sessions", "--graph", "dot").out

    assert mermaid.startswith("graph LR\n")
    assert "-.->" in mermaid
    assert '"a" -> "b(n=1)";' in dot
    assert '"a" -> "late" [style=dashed];' in dot


def test_a_bare_run_runs_the_defaults_and_never_releases(own: Any, project: Any) -> None:
    done = own.hwb("run")
    assert done.code == 0, done.both
    assert [s["session"] for s in own.report()["sessions"]] == ["a", "b(n=1)", "b(n=2)"]
    (own.root / "hwbfile.py").unlink()
    bare = own.hwb("run")

    assert bare.code == 2
    assert "no session is a default here" in bare.err
    assert "release" in bare.err


def test_configured_defaults(own: Any) -> None:
    own.write("[tool.hwb]\nsessions = ['bad']\n", "pyproject.toml")

    assert own.hwb("run").code == 1
    assert "* bad" in own.hwb("sessions").out


def test_the_dry_run_is_the_plan_that_runs(own: Any) -> None:
    dry = own.hwb("run", "b", "--dry-run").out
    rows = json.loads(own.hwb("run", "b", "-n", "--json").out)["sessions"]
    own.hwb("run", "b")

    assert not list(own.root.glob("must-not-exist"))
    assert [row["session"] for row in rows] == [s["session"] for s in own.report()["sessions"]]
    assert [line.split()[1] for line in dry.splitlines()] == [row["session"] for row in rows]
    assert rows[1]["requires"] == ["a"]


def test_arguments_after_the_dashes_and_for_one_session(own: Any) -> None:
    done = own.hwb("run", "b", "--args", "b(n=2)=x 'y z'", "-j1", "--", "-k", "one", "--", "two")
    logs = {p.name: p.read_text() for p in (own.runs()[-1] / "logs").iterdir()}
    text = "".join(logs.values())

    assert done.code == 0, done.both
    assert "['-k', 'one', '--', 'two']" in text
    assert "['x', 'y z']" in text
    assert "['-k', 'one', '--', 'two']" in done.out  # streamed
    for wrong in ("nobody=x", "b", "b='x"):
        refused = own.hwb("run", "b", "--args", wrong)
        assert refused.code == 2, refused.both


@pytest.mark.parametrize(
    ("arguments", "sessions", "code"),
    [
        (["-t", "fast"], ["a"], 0),
        (["-k", "1 and not bad"], ["a", "b(n=1)"], 0),
        (["-s", "a", "-s", "b(n=2)"], ["a", "b(n=2)"], 0),
        (["-t", "none"], None, 4),
        (["nothing"], None, 2),
        (["-k", "(("], None, 2),
        (["late"], ["bad", "late"], 1),
        (["late", "a", "-x", "-j1"], ["bad", "a", "late"], 1),
    ],
)
def test_selections_and_exit_codes(own: Any, arguments: list[str], sessions: list[str] | None, code: int) -> None:
    done = own.hwb("run", *arguments)

    assert done.code == code, done.both
    if sessions is not None:
        assert sorted(s["session"] for s in own.report()["sessions"]) == sorted(sessions)


def test_a_failure_is_told_with_its_tail_and_log(own: Any) -> None:
    done = own.hwb("run", "late", "-j2")
    log = own.runs()[-1] / "logs" / "bad.log"

    assert "the reason" in done.out
    assert str(log) in done.out
    assert "needs bad, which failed" in done.out
    assert own.report()["sessions"][0]["error"]["error_code"] == "COMMAND_FAILED"


def test_json_lines_on_standard_output_and_people_on_standard_error(own: Any) -> None:
    done = own.hwb("run", "a", "--json")
    events = [json.loads(line) for line in done.out.splitlines()]

    assert [e["event"] for e in events] == ["run-started", "session-started", "session-finished", "run-finished"]
    assert {e["schema"] for e in events} == {"hwb.event/1"}
    assert "a was here" in done.err
    assert events == own.events()


def test_quiet_verbose_and_colour(own: Any) -> None:
    assert len(own.hwb("run", "a", "-q").out.splitlines()) <= 2
    assert "the reason" in own.hwb("run", "bad", "-q").out
    assert "a was here" in own.hwb("run", "b", "-v", "-j2").out
    assert "run-started" in own.hwb("run", "a", "-vv").out
    assert "\x1b[" in own.hwb("run", "a", "--color").out
    assert "\x1b[" not in own.hwb("run", "a", FORCE_COLOR="1", NO_COLOR="1").out


def test_folds_and_annotations_in_ci(own: Any, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = own.hwb("run", "a", "bad", GITHUB_ACTIONS="true", CI="true", GITHUB_STEP_SUMMARY=str(summary))

    assert "::group::" in done.out
    assert "::error" in done.out
    assert "a was here" in done.out
    assert "bad" in summary.read_text()


def test_global_options_name_the_project(own: Any, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert own.hwb("--directory", str(own.root), "run", "a", cwd=other).code == 0
    assert own.hwb("-f", str(own.root / "hwbfile.py"), "run", "a", cwd=other).code == 0
    inner = own.root / "deep" / "inner"
    inner.mkdir(parents=True)
    assert "deep" not in own.hwb("run", "a", cwd=inner).out
    assert own.hwb("--directory", str(tmp_path / "missing"), "run", "a").code == 2
    assert own.hwb("-f", "missing.py", "run", "a").code == 2
    assert own.hwb("run", "a", HWB_ORG_FILE=str(tmp_path / "missing.py")).code == 2


def test_settings_from_variables_and_wrong_ones(own: Any) -> None:
    warned = own.hwb("run", "a", HWB_JOSB="2", HWB_TEST_X="1")
    assert warned.code == 0
    assert "HWB_JOSB" in warned.out
    assert "HWB_JOBS" in warned.out
    assert "HWB_TEST_X" not in warned.out
    assert own.hwb("run", "a", HWB_JOBS="many").code == 2
    for arguments, variables, place in (
        (["--default-venv-backend", "conda"], {}, "--default-venv-backend"),
        ([], {"HWB_DEFAULT_VENV_BACKEND": "wat"}, "HWB_DEFAULT_VENV_BACKEND"),
    ):
        backend = own.hwb("run", "a", *arguments, **variables)
        assert backend.code == 2, backend.both
        assert f"at: {place}" in backend.err
    assert own.hwb("run", "a", "--default-venv-backend", "virtualenv").code == 0
    own.write("[tool.hwb]\njosb = 2\n", "pyproject.toml")
    wrong = own.hwb("run", "a")
    assert wrong.code == 2
    assert "pyproject.toml:2" in wrong.err


# --- recipes -----------------------------------------------------------------------------------------------------------


def test_recipes_list_and_show(own: Any) -> None:
    out = own.hwb("recipes", "list").out
    rows = json.loads(own.hwb("recipes", "list", "--json").out)["recipes"]
    shown = own.hwb("recipes", "show", "build").out

    assert "a: The first." in out
    assert next(r for r in rows if r["recipe"] == "build")["origins"][0]["layer"] == "shipped"
    assert "def build(session: hwb.Session)" in shown
    assert own.hwb("recipes", "show", "biuld").code == 2


def test_eject_copies_a_recipe_that_then_overrides(own: Any) -> None:
    assert own.hwb("recipes", "eject", "test").code == 0
    assert own.hwb("recipes", "eject", "build").code == 0
    again = own.hwb("recipes", "eject", "test")
    text = (own.root / "hwbfile.py").read_text()
    rows = {r["recipe"]: r for r in json.loads(own.hwb("recipes", "list", "--json").out)["recipes"]}

    assert again.code == 2
    assert text.count("import hwb\n") == 1 or text.count("import hwb") >= 1
    assert "import shlex" in text
    assert [o["layer"] for o in rows["test"]["origins"]] == ["hwbfile", "shipped"]
    assert own.hwb("run", "a").code == 0


def test_eject_makes_the_file(project: Any) -> None:
    assert project.hwb("recipes", "eject", "check").code == 0
    assert project.hwb("sessions").code == 0
    assert (project.root / "hwbfile.py").read_text().startswith("from __future__ import annotations\n")


# --- pipes and PEP 723 ---------------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away(own: Any) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m hwb sessions | head -1"],
        cwd=own.root,
        env=own.env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.startswith("Sessions in")
    assert done.stderr == ""
    for command in ("run a --json", "run a -v"):
        script = f"'{sys.executable}' -m hwb {command} | head -1 >/dev/null; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=own.root, env=own.env, capture_output=True, text=True, check=False
        )
        assert done.stdout == "0\n", command
        assert "BrokenPipe" not in done.stderr
        assert "Traceback" not in done.stderr
        assert own.report()["status"] == "success"


BLOCK = "# /// script\n# dependencies = [{}]\n# ///\n"


@pytest.mark.pypi
def test_a_hwbfile_with_dependencies_of_its_own(project: Any) -> None:
    project.write(
        BLOCK.format('"iniconfig==2.0.0"')
        + "import hwb, iniconfig\n@hwb.recipe(venv_backend='none')\ndef r(session):\n"
        + "    session.log('from %s', iniconfig.__file__)\n    assert iniconfig.__file__.startswith(__import__('os').environ['HWB_CACHE_DIR'])\n"
    )
    done = project.hwb("run", "r", "--", "x")

    assert done.code == 0, done.both
    assert project.hwb("sessions", "--list").code == 0


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (BLOCK.format('"headless-wheel-builder"'), "a hwbfile is run by the hwb that loads it"),
        (BLOCK.format('"hwb>1"'), "a hwbfile is run by the hwb that loads it"),
        (BLOCK.format('"not a requirement"'), "is no requirement"),
        (BLOCK.format("1"), "no list of strings"),
        (BLOCK.format("'x"), "is no TOML"),
        ("# /// script\n# dependencies = []\n", "does not end"),
        (BLOCK.format("") + "\n" + BLOCK.format(""), "more than one"),
        (
            '# /// script\n# requires-python = "<3"\n# dependencies = ["iniconfig"]\n# ///\n',
            "the hwbfile wants Python <3",
        ),
        ('# /// script\n# requires-python = "x"\n# dependencies = ["iniconfig"]\n# ///\n', "no version specifier"),
    ],
)
def test_blocks_that_are_refused(project: Any, block: str, said: str) -> None:
    project.write(block + "import hwb\n")
    done = project.hwb("sessions")

    assert done.code == 2, done.both
    assert said in done.err
    assert "hwbfile.py" in done.err


def test_an_empty_block_changes_nothing(project: Any) -> None:
    project.write(BLOCK.format("") + "import hwb\n")
    assert project.hwb("sessions").code == 0


def test_a_repository_with_a_package_that_hwb_needs_itself(own: Any) -> None:
    for name in ("packaging", "pyproject_hooks", "virtualenv", "json"):
        own.write("raise RuntimeError('not this one')\n", f"{name}/__init__.py")
    own.write(
        "import hwb\n@hwb.recipe(venv_backend='none')\ndef r(session):\n"
        "    try:\n        session.artifacts.wheel\n    except hwb.HwbError as error:\n        session.log('said: %s', error)\n"
    )
    done = own.hwb("run", "r")

    assert done.code == 0, done.both
    assert "said: no artifact is a wheel" in done.out
    (own.root / "hwbfile.py").unlink()
    assert own.hwb("sessions", "--json").code == 0


def test_byte_code_stays_out_of_the_tree(own: Any) -> None:
    own.write("import hwb\n", "helper.py")
    own.write("import helper\n" + HWBFILE)
    own.hwb("run", "a", PYTHONDONTWRITEBYTECODE="")

    assert not list(own.root.glob("**/__pycache__"))
    assert os.listdir(own.root / ".hwb") != []
