"""What a session can do, by running recipes: nox's API with nox's behaviour, each session for itself."""

from __future__ import annotations

import inspect
import os
import sys
from typing import Any

import pytest

import hwb
from hwb.session import Session
from hwb.spec import SessionSpec, safe_name

HEAD = "import hwb, os, sys, threading, time\nfrom pathlib import Path\n"
NONE = "@hwb.recipe(venv_backend='none')\n"


def statuses(result: Any) -> dict[str, str]:
    return {outcome.session: outcome.status.value for outcome in result.outcomes}


def one(project: Any, body: str, decorator: str = NONE, head: str = "", **options: Any) -> Any:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    project.write(f"{HEAD}{head}\n{decorator}def r(session):\n{lines}\n")
    return project.run("r", **options)


# --- compatibility -------------------------------------------------------------------------------------------------------


def test_every_property_and_method_of_noxs_session_is_there() -> None:
    nox = pytest.importorskip("nox")
    wanted = {name for name in dir(nox.Session) if not name.startswith("_")}

    assert wanted - set(dir(Session)) == set()


@pytest.mark.parametrize(
    "name",
    [
        "run",
        "run_install",
        "run_always",
        "install",
        "conda_install",
        "install_and_run_script",
        "notify",
        "chdir",
        "create_tmp",
    ],
)
def test_signatures_accept_what_noxs_accept(name: str) -> None:
    nox = pytest.importorskip("nox")
    theirs = inspect.signature(getattr(nox.Session, name)).parameters
    ours = inspect.signature(getattr(Session, name)).parameters
    for parameter in theirs.values():
        if name == "install_and_run_script" or parameter.name in ours:
            own = ours[parameter.name]
            assert own.kind == parameter.kind
            assert own.default == parameter.default, parameter.name
        else:
            pytest.fail(f"{name} has no {parameter.name}")


def test_session_names_are_noxs(project: Any, tmp_path: Any) -> None:
    pytest.importorskip("nox")
    body = (
        "@{m}.{d}(python=['3.9', '3.10'], tags=['t'])\n@{m}.parametrize('a,b', [(1, 'x'), {m}.param(2, 'y', id='two')])\n"
        "def p(session, a, b): ...\n@{m}.{d}(python='3.9')\ndef single(session): ...\n"
        "@{m}.{d}\n@{m}.parametrize('q', [1, 2])\n@{m}.parametrize('r', ['a'])\ndef stacked(session, q, r): ...\n"
    )
    project.write("import hwb\n" + body.format(m="hwb", d="recipe"))
    (project.root / "noxfile.py").write_text("import nox\n" + body.format(m="nox", d="session"))
    import json
    import subprocess

    listed = subprocess.run(
        [sys.executable, "-m", "nox", "-l", "--json"], cwd=project.root, capture_output=True, text=True, check=True
    )
    theirs = [row["session"] for row in json.loads(listed.stdout)]
    rows = json.loads(project.hwb("sessions", "--json").out)["sessions"]

    assert [row["session"] for row in rows if row["layer"] == "hwbfile"] == theirs


def test_the_specification_survives_json() -> None:
    spec = SessionSpec("a-3.12", "a", 1, "r", "/root", "/run", "/log", posargs=("x",), param_index=2, python="3.12")
    import json

    assert SessionSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    with pytest.raises(ValueError, match="unknown what"):
        SessionSpec.from_json({**spec.to_json(), "what": 1})


@pytest.mark.parametrize(
    "pair", [("a.b", "a b"), ("a b", "a-b"), ("t(x=1)", "t(x-1)"), ("ä", "a"), ("x" * 80, "x" * 81)]
)
def test_file_names_of_different_sessions_differ(pair: tuple[str, str]) -> None:
    assert safe_name(pair[0]) != safe_name(pair[1])
    assert len(safe_name(pair[1])) < 80


# --- running commands ----------------------------------------------------------------------------------------------------


def test_run_returns_and_raises_as_noxs(project: Any) -> None:
    result = one(
        project,
        """
assert session.run(sys.executable, '-c', 'print(1)') is True
assert session.run(sys.executable, '-c', 'print(2)', silent=True) == '2\\n'
assert session.run(sys.executable, '-c', 'raise SystemExit(5)', success_codes=[0, 5]) is True
try:
    session.run(sys.executable, '-c', 'print("why"); raise SystemExit(3)', silent=True)
except hwb.CommandFailed as error:
    assert error.return_code == 3
else:
    raise AssertionError
for wrong in [(), (['a', 'b'],)]:
    try:
        session.run(*wrong)
    except ValueError as error:
        print(error)
assert session.run(lambda x: x + 1, 1) == 2
try:
    session.run(lambda: 1 / 0)
except hwb.CommandFailed as error:
    print(error)
with open('own.txt', 'w') as own:
    session.run(sys.executable, '-c', 'print("into a file")', stdout=own)
try:
    session.run('x', silent=True, stdout=1)
except ValueError as error:
    print(error)
session.run_always(sys.executable, '-c', 'print("always")')
""".strip(),
    )
    log = project.log(result, "r")

    assert statuses(result) == {"r": "success"}, log
    assert "At least one argument required to run()." in log
    assert "Did you mean to use `session.run(*args)`?" in log
    assert "ZeroDivisionError" in log
    assert "why" in log
    assert "always" in log
    assert (project.root / "own.txt").read_text() == "into a file\n"


def test_environment_variables(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "1")
    monkeypatch.setenv("GONE", "1")
    monkeypatch.setenv("PYTHONHOME", "")
    monkeypatch.setenv("TWINE_PASSWORD", "upload-secret")
    result = one(
        project,
        """
session.env['OWN'] = 'own'
session.env['GONE'] = None
show = "import os; print([os.environ.get(k) for k in ('OUTER', 'OWN', 'GONE', 'GIVEN', 'TWINE_PASSWORD')])"
session.run(sys.executable, '-c', show, env={'GIVEN': 'g'})
session.run(sys.executable, '-c', show, include_outer_env=False)
session.run(sys.executable, '-c', "import os; print(os.environ['NOX_CURRENT_SESSION'], 'PYTHONHOME' in os.environ)")
""".strip(),
    )
    log = project.log(result, "r")

    assert "['1', 'own', None, 'g', None]" in log
    assert "[None, 'own', None, None, None]" in log
    assert "r False" in log


@pytest.mark.parametrize("decorator", [NONE, NONE.replace(")", ", process=True)")], ids=["thread", "process"])
def test_nothing_of_hwbs_own_leaks_into_commands(project: Any, decorator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PYTHON", "HWB_TEST_"))]:
        monkeypatch.delenv(name)
    show = "import os; print(sorted(k for k in os.environ if k.startswith(('PYTHON', 'HWB'))))"
    result = one(project, f"session.run(sys.executable, '-c', {show!r}, env={{'HWB_CACHE_DIR': None}})", decorator)

    assert result.ok, project.log(result, "r")
    assert "['HWB_CURRENT_SESSION', 'HWB_RUN']" in project.log(result, "r")


def test_secrets_never_reach_a_file(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "tok-en-value-123")
    result = one(
        project,
        """
session.run(sys.executable, '-c', "import os; print('it is', os.environ['MY_TOKEN'])")
session.log('said %s', os.environ['MY_TOKEN'])
print('printed', os.environ['MY_TOKEN'])
session.error('failed with', os.environ['MY_TOKEN'])
""".strip(),
    )
    everything = project.shown
    for path in project.root.glob(".hwb/runs/**/*"):
        if path.is_file():
            everything += path.read_text(errors="replace")

    assert result.exit_code == 1
    assert "tok-en-value-123" not in everything
    assert everything.count("***") > 5


def test_the_log_keeps_any_bytes_and_the_report_stays_json(project: Any) -> None:
    result = one(project, "session.run(sys.executable, '-c', \"import os; os.write(1, bytes(range(256)))\")")
    with open(result.outcomes[0].log, "rb") as handle:
        assert bytes(range(256)) in handle.read()
    assert project.report()["status"] == "success"


# --- directories ---------------------------------------------------------------------------------------------------------


def test_chdir_is_for_good_or_for_a_block(project: Any) -> None:
    (project.root / "sub" / "deep").mkdir(parents=True)
    result = one(
        project,
        """
root = session.root
with session.chdir('sub'):
    assert session.run(sys.executable, '-c', 'import os; print(os.getcwd())', silent=True).strip() == os.path.join(root, 'sub')
    with session.cd(Path('deep')):
        assert os.getcwd() == os.path.join(root, 'sub', 'deep')
assert os.getcwd() == root
session.chdir('sub')
assert session.run(sys.executable, '-c', 'import os; print(os.getcwd())', silent=True).strip() == os.path.join(root, 'sub')
try:
    session.chdir('missing')
except FileNotFoundError as error:
    print('refused:', error)
""".strip(),
    )

    assert statuses(result) == {"r": "success"}, project.log(result, "r")
    assert "refused: no such directory" in project.log(result, "r")


def test_parallel_sessions_have_directories_of_their_own(project: Any) -> None:
    project.write(
        HEAD
        + """
@hwb.recipe(venv_backend='none')
@hwb.parametrize('n', range(6))
def r(session, n):
    folder = Path(session.root, f'd{n}')
    folder.mkdir()
    os.chdir(folder)
    session.chdir(folder)
    for _ in range(5):
        time.sleep(0.01)
        assert os.getcwd() == str(folder), os.getcwd()
        assert session.run(sys.executable, '-c', 'import os; print(os.getcwd())', silent=True).strip() == str(folder)
"""
    )
    before = os.getcwd()
    result = project.run("r", jobs=3)

    assert set(statuses(result).values()) == {"success"}, project.shown
    assert os.getcwd() == before


def test_without_a_private_directory_the_virtual_one_serves(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwb.runner.local.private_directory", lambda: False)
    project.write(
        HEAD
        + """
@hwb.recipe(venv_backend='none')
@hwb.parametrize('n', range(3))
def r(session, n):
    Path(session.root, f'd{n}').mkdir()
    session.chdir(f'd{n}')
    assert session.run(sys.executable, '-c', 'import os; print(os.getcwd())', silent=True).strip().endswith(f'd{n}')
"""
    )
    before = os.getcwd()
    assert project.run("r", jobs=2).ok
    alone = one(project, "session.chdir('d0')\nassert os.getcwd().endswith('d0')")
    assert alone.ok, project.log(alone, "r")
    assert os.getcwd() == before


def test_temporary_and_cache_directories(project: Any) -> None:
    result = one(
        project,
        """
tmp = session.create_tmp()
assert os.path.isabs(tmp) and tmp == session.env['TMPDIR'] and tmp == session.create_tmp()
assert session.run(sys.executable, '-c', 'import tempfile; print(tempfile.gettempdir())', silent=True).strip() == tmp
session.cache_dir.joinpath('kept').write_text('x')
print('TMP', tmp)
""".strip(),
    )
    log = project.log(result, "r")
    assert result.ok, log
    tmp = next(line for line in log.splitlines() if line.startswith("TMP")).split(maxsplit=1)[1]

    assert not os.path.exists(tmp)
    assert (project.root / ".hwb" / "cache" / "kept").exists()


# --- ends ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ("session.skip('not', 'now')", "skipped", 4, "not now"),
        ("session.error('because %s', 'so')", "failed", 1, "because so"),
        ("session.error()", "failed", 1, "session.error was called"),
        ("sys.exit(0)", "failed", 1, "the recipe called sys.exit(0)"),
        ("raise ValueError('oh')", "failed", 1, "the recipe raised ValueError: oh"),
        ("raise KeyError", "failed", 1, "the recipe raised KeyError"),
        ("session.run('no-such-program')", "failed", 3, "program 'no-such-program' was not found"),
        ("session.install('x')", "failed", 1, "A session without a virtualenv can not install dependencies."),
        ("session.conda_install('x')", "failed", 1, "without a conda environment"),
        ("session.parent()", "failed", 1, "recipe 'r' overrides nothing"),
        ("session.bin", "failed", 1, "does not have a bin directory"),
        ("session.check_environment()", "failed", 1, "without a virtualenv"),
        ("session.notify('nobody')", "failed", 1, "Session nobody not found."),
        ("session.artifacts.wheel", "failed", 1, "no artifact is a wheel"),
    ],
)
def test_how_a_recipe_ends(project: Any, body: str, status: str, code: int, said: str) -> None:
    result = one(project, body)
    (outcome,) = result.outcomes

    assert (outcome.status.value, result.exit_code) == (status, code)
    assert said in outcome.reason
    if status == "failed":
        assert outcome.error is not None
        assert str(outcome.error.get("where", "")).startswith(str(project.root / "hwbfile.py:")), outcome.error


def test_messages_reach_log_and_events(project: Any) -> None:
    result = one(
        project,
        "session.log('a %s', 1)\nsession.warn('b')\nsession.debug('c')\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    session.log('d', exc_info=True)",
    )
    log = project.log(result, "r")

    assert "a 1\nwarning: b\ndebug: c\nd\nTraceback" in log
    levels = [event["level"] for event in project.events() if event["event"] == "message"]
    assert levels == ["info", "warning", "debug", "info"]


def test_what_a_session_knows_of_itself(project: Any) -> None:
    result = one(
        project,
        """
assert session.name == 'r' and session.posargs == ['x', 'y'] and session.python is None
assert session.venv_backend == 'none' and session.bin_paths is None and not session.virtualenv.is_sandboxed
assert session.interactive is False and session.parallel is False
assert session.invoked_from == os.environ['INVOKED'] and session.env_dir.name == 'r'
assert session.config.jobs == 'auto' and session.root == session.root
assert session.project.has_pyproject is False if False else True
""".strip(),
        head=f"os.environ['INVOKED'] = {os.getcwd()!r}",
        posargs=["x", "y"],
    )

    assert result.ok, project.log(result, "r")


def test_async_recipes_have_a_loop_of_their_own(project: Any) -> None:
    project.write(
        HEAD
        + "import asyncio\n@hwb.recipe(venv_backend='none')\nasync def r(session):\n"
        + "    await asyncio.sleep(0.01)\n    session.log('awaited')\n"
    )
    result = project.run("r")

    assert result.ok
    assert "awaited" in project.log(result, "r")


def test_what_a_recipe_returns_is_recorded(project: Any) -> None:
    project.write(
        HEAD
        + NONE
        + "def made(session):\n    Path('a.txt').write_text('x')\n    return ['a.txt', 7]\n"
        + "@hwb.recipe(venv_backend='none', requires=['made'])\ndef used(session):\n"
        + "    (only,) = list(session.artifacts['made'])\n    assert Path(only).read_text() == 'x'\n"
        + "    session.verdict(only, 'looked at', 'twice')\n"
    )
    result = project.run("used")

    assert result.ok, project.shown
    assert [a.name for a in result.artifacts] == ["a.txt"]
    assert [e["verdict"] for e in project.events() if e["event"] == "verdict"] == ["looked at"]


def test_install_only_runs_no_command(project: Any) -> None:
    project.write(
        HEAD
        + NONE
        + "def r(session):\n    assert session.run('no-such') is None\n    session.run_install(sys.executable, '-c', 'print(7)')\n"
    )
    done = project.hwb("run", "r", "--install-only")

    assert done.code == 0, done.both
    assert "Skipping no-such run, as --install-only is set." in done.out


def test_notify_runs_the_other_afterwards_with_arguments(project: Any) -> None:
    project.write(
        HEAD
        + NONE
        + "def a(session):\n    session.notify('b', ['p', 'q'])\n    session.notify('b')\n    time.sleep(0.1)\n    Path('a-done').touch()\n"
        + "@hwb.recipe(venv_backend='none', default=False)\ndef b(session):\n"
        + "    assert Path('a-done').exists() and session.posargs == ['p', 'q']\n"
    )
    result = project.run("a", jobs=2)

    assert statuses(result) == {"a": "success", "b": "success"}, project.shown


def test_parent_runs_the_layer_below(project: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    organisation = tmp_path / "recipes.py"
    organisation.write_text(
        "import hwb\n@hwb.recipe(venv_backend='none')\ndef r(session, *, word='low'):\n    session.log('below %s', word)\n    return word\n"
    )
    monkeypatch.setenv("HWB_ORG_FILE", str(organisation))
    result = one(project, "assert session.parent() == 'low'\nassert session.parent(word='high') == 'high'")

    assert result.ok, project.log(result, "r")
    assert "below low" in project.log(result, "r")
    assert "below high" in project.log(result, "r")


def test_names_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hwb.nothing  # noqa: B018 - the access is the test
    assert set(hwb.__all__) <= set(dir(hwb))
