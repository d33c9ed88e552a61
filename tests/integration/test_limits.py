"""Large and long things: a log of a gigabyte, many sessions, time limits, retries, resources, kept environments."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest

HEAD = "import hwb, os, sys, time\nfrom pathlib import Path\n"


@pytest.mark.slow
@pytest.mark.parametrize("secret", [False, True])
def test_a_gigabyte_of_output_in_bounded_memory(project: Any, secret: bool) -> None:
    """Directly into the file without a secret, through the masking pump with one: complete either way."""
    megabytes = 1024 if not secret else 256
    writer = "import os\nline = (b'x' * 1022 + b'\\n\\n')[:1024] * 1024\nfor _ in range({n}):\n    view = memoryview(line)\n    while view: view = view[os.write(1, view):]\n"
    project.write(
        HEAD
        + f"@hwb.recipe(venv_backend='none')\ndef big(session):\n    session.run(sys.executable, '-c', {writer.format(n=megabytes)!r})\n"
    )
    measure = (
        "import os, resource, subprocess, sys\n"
        "code = subprocess.call([sys.executable, '-m', 'hwb', 'run', 'big', 'big', '-j2', '-q'], stdout=subprocess.DEVNULL)\n"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    env = {**project.env, **({"A_TOKEN": "a-secret-value"} if secret else {})}
    done = subprocess.run(
        [sys.executable, "-c", measure], cwd=project.root, env=env, capture_output=True, text=True, check=True
    )
    code, kib = map(int, done.stdout.split())
    log = project.runs()[-1] / "logs" / "big.log"
    size = log.stat().st_size
    log.unlink()

    assert code == 0
    assert size >= megabytes * 1024 * 1024
    assert kib < 60 * 1024


def test_two_hundred_sessions(project: Any) -> None:
    project.write(
        HEAD
        + "@hwb.recipe(venv_backend='none')\n@hwb.parametrize('n', range(200))\ndef many(session, n):\n    session.log('%d', n)\n"
    )
    result = project.run("many", jobs=8)

    assert len(result.outcomes) == 200
    assert result.ok
    assert len(list((project.runs()[-1] / "logs").iterdir())) == 200


@pytest.mark.parametrize(
    ("keywords", "body", "code", "said"),
    [
        ("timeout=0.6", "session.run('sleep', '60')", 1, "session r took longer than 0.6 s"),
        ("timeout=0.6, process=True", "session.run('sleep', '60')", 1, "session r took longer than 0.6 s"),
        ("timeout=0.3", "time.sleep(3.2)", 1, "session r took longer than 0.3 s"),
        ("", "session.run('sleep', '60', timeout=0.3)", 1, "sleep took longer than 0.3 s and was ended"),
        ("", "session.run('sleep', '60', idle_timeout=0.3)", 1, "sleep printed nothing for 0.3 s"),
    ],
)
def test_time_limits(project: Any, keywords: str, body: str, code: int, said: str) -> None:
    project.write(HEAD + f"@hwb.recipe(venv_backend='none', {keywords})\ndef r(session):\n    {body}\n")
    done = project.hwb("run", "r")

    assert done.code == code, done.both
    assert said in done.out


def test_the_runs_time_limit(project: Any) -> None:
    project.write(HEAD + "@hwb.recipe(venv_backend='none')\ndef r(session):\n    session.run('sleep', '60')\n")
    started = time.monotonic()
    done = project.hwb("run", "r", "--run-timeout", "0.5")

    assert done.code == 1, done.both
    assert "the run took longer than 0.5 s" in done.out
    assert time.monotonic() - started < 30
    assert project.report()["status"] == "interrupted"


def test_retries_until_it_works(project: Any) -> None:
    project.write(
        HEAD
        + "@hwb.recipe(venv_backend='none', retries=2)\ndef flaky(session):\n"
        + "    Path('tries').open('a').write('x')\n    if len(Path('tries').read_text()) < 2: session.error('not yet')\n"
    )
    done = project.hwb("run", "flaky")

    assert done.code == 0, done.both
    assert (project.root / "tries").read_text() == "xx"
    assert project.report()["sessions"][0]["attempt"] == 2


def test_a_mutex_keeps_two_sessions_apart(project: Any) -> None:
    project.write(
        HEAD
        + "@hwb.recipe(venv_backend='none', resources=['port'])\n@hwb.parametrize('n', range(3))\ndef r(session, n):\n"
        + "    Path('held').mkdir()\n    time.sleep(0.1)\n    Path('held').rmdir()\n"
    )
    assert project.run("r", jobs=3).ok


# --- environments of sessions -----------------------------------------------------------------------------------------


def environments(project: Any) -> list[str]:
    return [event["path"] for event in project.events() if event["event"] == "environment"]


@pytest.mark.parametrize("backend", ["uv|virtualenv", "virtualenv", "venv"])
def test_an_environment_is_used_and_goes(project: Any, backend: str) -> None:
    project.write(
        HEAD
        + f"@hwb.recipe(venv_backend={backend!r})\ndef r(session):\n"
        + "    out = session.run('python', '-c', 'import sys; print(sys.prefix)', silent=True).strip()\n"
        + "    assert os.path.realpath(out) == os.path.realpath(session.virtualenv.location) == os.path.realpath(session.env['VIRTUAL_ENV'])\n"
        + "    assert session.bin == session.bin_paths[0] and session.venv_backend in ('uv', 'virtualenv', 'venv')\n"
        + "    session.run('git', '--version', external=True)\n    session.run('git', '--version')\n"
    )
    done = project.hwb("run", "r")

    assert done.code == 0, done.both
    assert "Pass external=True if that is meant" in done.out
    assert not os.path.exists(environments(project)[0])


@pytest.mark.pypi
def test_what_install_is_asked_for(project: Any) -> None:
    project.write(
        HEAD
        + """@hwb.recipe
def r(session):
    with open('out.txt', 'w+') as out:
        session.install('iniconfig==2.0.0', stdout=out)
    assert 'iniconfig' in Path('out.txt').read_text()
    session.install('no-such-project-of-anybody', success_codes=[1])
    for wrong in [(), (['a'],)]:
        try:
            session.install(*wrong)
        except ValueError as error:
            print(error)
    try:
        session.install('x', stderr=5)
    except ValueError as error:
        print(error)
    session.run('python', '-c', 'import iniconfig')
    try:
        session.install('no-such-project-of-anybody')
    except hwb.DependencyError as error:
        print('code', error.return_code)
"""
    )
    done = project.hwb("run", "r")
    log = (project.runs()[-1] / "logs" / "r.log").read_text()

    assert done.code == 0, done.both
    assert "one stream" in log
    assert "code 1" in log


def test_outside_programs_can_be_forbidden(project: Any) -> None:
    project.write(HEAD + "@hwb.recipe\ndef r(session):\n    session.run('git', '--version')\n")
    done = project.hwb("run", "r", "--error-on-external-run")

    assert done.code == 1
    assert "git is not installed in the session's environment" in done.out


def test_a_failed_sessions_environment_is_kept_until_it_runs_again(project: Any) -> None:
    project.write(HEAD + "@hwb.recipe\ndef r(session):\n    if not Path('ok').exists(): session.error('no')\n")
    done = project.hwb("run", "r")
    (kept,) = environments(project)
    assert os.path.isdir(kept)
    assert kept in done.out
    assert project.report()["sessions"][0]["environment"] == kept
    (project.root / "ok").touch()
    assert project.hwb("run", "r").code == 0

    assert not os.path.exists(kept)


@pytest.mark.parametrize(
    ("options", "keyword", "reused"),
    [
        ([], "", False),
        (["-r"], "", True),
        (["-R"], "", True),
        ([], "reuse_venv=True", True),
        (["-r"], "reuse_venv=False", False),
        (["--reuse-venv", "never"], "reuse_venv=True", False),
        (["--reuse-venv", "always"], "reuse_venv=False", True),
    ],
)
def test_reuse_means_what_it_means_in_nox(project: Any, options: list[str], keyword: str, reused: bool) -> None:
    project.write(HEAD + f"@hwb.recipe({keyword})\ndef r(session):\n    pass\n")
    for _ in range(2):
        assert project.hwb("run", "r", *options).code == 0
    events = [event for event in project.events() if event["event"] == "environment"]

    assert [event["reused"] for event in events] == [reused]
    assert os.path.isdir(events[0]["path"]) == reused


def test_no_install_skips_only_in_a_reused_environment(project: Any) -> None:
    project.write(
        HEAD
        + "@hwb.recipe\ndef r(session):\n    session.run_install('python', '-c', \"open('installs', 'a').write('x')\")\n"
    )
    for _ in range(2):
        assert project.hwb("run", "r", "-R").code == 0

    assert (project.root / "installs").read_text() == "x"


def test_an_environment_in_use_is_not_shared(project: Any) -> None:
    project.write(
        HEAD
        + "@hwb.recipe(reuse_venv=True)\ndef r(session):\n    Path(f'in-{os.getpid()}').touch()\n"
        + "    end = time.time() + 20\n    while len(list(Path().glob('in-*'))) < 2 and time.time() < end: time.sleep(0.02)\n"
    )
    both = [
        subprocess.Popen(
            project.command("run", "r"), cwd=project.root, env=project.env, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("gets an environment of its own" in output for output in outputs) == 1


def test_a_missing_interpreter_is_an_error_with_candidates(project: Any) -> None:
    project.write(HEAD + "@hwb.recipe(python=['3.99', '3'])\ndef r(session): ...\n")
    done = project.hwb("run", "r-3.99")

    assert done.code == 3, done.both
    assert "3.99" in done.out
    assert sys.version.split()[0] in done.out or "uv python install" in done.out
    assert project.hwb("run", "-k", "r", "-p", "3").code == 0
    assert project.hwb("run", "r", "-P", "3", "-p", "3").code == 0
