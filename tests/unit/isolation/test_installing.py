"""Do installers' endings become the right errors, warnings and retries?"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from hwb.context import Context, use
from hwb.errors import DependencyError, HwbError, OfflineError
from hwb.isolation import installing
from hwb.isolation.installing import NetworkDown, Outcome, execute, settle
from hwb.proc import Completed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

UV_DOWN = """error: Request failed after 1 retry in 1.9s
  cause: error sending request for url (https://index.example/simple/attrs/)
  cause: client error (Connect)
"""
PIP_DOWN = """WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError("...")': /simple/attrs/
ERROR: No matching distribution found for attrs
"""
UV_CACHE_LACKS = """error: No solution found when resolving dependencies
  cause: Because attrs was not found in the cache and you require attrs, we can conclude that ...
hint: Packages were unavailable because the network was disabled.
"""
PIP_CACHE_LACKS = "ERROR: No matching distribution found for attrs\n"
CONFLICT = "error: No solution found when resolving dependencies\n  cause: Because a==1 depends on b<1 ...\n"
OK = Outcome(Completed(("uv",), 0, 0.1), "")


class Log:
    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._path = path

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, text: str) -> None:
        self._file.write(text.encode())

    @property
    def text(self) -> str:
        return self._path.read_text()

    def close(self) -> None:
        self._file.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "log")
    yield log
    log.close()


@pytest.fixture
def events(log: Log) -> Iterator[list[dict[str, Any]]]:
    seen: list[dict[str, Any]] = []
    with use(Context(log=log, emit=lambda kind, **fields: seen.append({"kind": kind, **fields}))):
        yield seen


@pytest.fixture(autouse=True)
def _network_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "_silence", installing._Silence())


def bad(stderr: str, *, hidden: bool = False) -> Outcome:
    return Outcome(Completed(("uv",), 1, 0.1, b"output\n"), stderr, hidden)


def never() -> Outcome:
    pytest.fail("must not be tried")


def giving(*outcomes: Outcome) -> Callable[[], Outcome]:
    left = list(outcomes)
    return lambda: left.pop(0)


def test_online_and_good(events: list[dict[str, Any]]) -> None:
    assert settle("installing", lambda: OK, never, offline=False) is OK
    assert events == []


@pytest.mark.parametrize("stderr", [UV_DOWN, PIP_DOWN])
def test_without_a_network_the_cache_serves_with_a_warning(events: list[dict[str, Any]], stderr: str) -> None:
    assert settle("installing", giving(bad(stderr)), lambda: OK, offline=False) is OK
    assert [(event["kind"], event["level"]) for event in events] == [("message", "warning")]
    assert settle("installing", never, lambda: OK, offline=False) is OK, "not waited for again"
    assert len(events) == 1


def test_pip_that_succeeds_with_what_it_has_is_told_of(events: list[dict[str, Any]]) -> None:
    lucky = Outcome(Completed(("pip",), 0, 0.1), PIP_DOWN)
    assert settle("installing", giving(lucky), never, offline=False) is lucky
    assert [event["level"] for event in events] == ["warning"]
    assert settle("installing", never, lambda: OK, offline=False) is OK


def test_the_network_is_asked_again_when_the_cache_lacks_something(events: list[dict[str, Any]]) -> None:
    settle("installing", giving(bad(UV_DOWN)), lambda: OK, offline=False)
    assert settle("installing", giving(OK), giving(bad(UV_CACHE_LACKS)), offline=False) is OK
    assert settle("installing", giving(OK), never, offline=False) is OK, "it is back"


def test_the_network_is_asked_again_after_a_while(
    events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle("installing", giving(bad(UV_DOWN)), lambda: OK, offline=False)
    later = time.monotonic() + installing._SILENCE_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert settle("installing", giving(OK), never, offline=False) is OK


@pytest.mark.parametrize(("down", "lacks"), [(UV_DOWN, UV_CACHE_LACKS), (PIP_DOWN, PIP_CACHE_LACKS)])
def test_without_network_and_cache(events: list[dict[str, Any]], down: str, lacks: str) -> None:
    with pytest.raises(NetworkDown, match="does not answer, and the cache lacks attrs") as caught:
        settle("installing", giving(bad(down)), giving(bad(lacks)), offline=False)
    assert caught.value.detail == down
    assert isinstance(caught.value, DependencyError)


@pytest.mark.parametrize("stderr", [CONFLICT, PIP_CACHE_LACKS, "error: Failed to build `x`\n"])
def test_other_failures_are_not_tried_again(events: list[dict[str, Any]], stderr: str) -> None:
    with pytest.raises(DependencyError, match="installing failed") as caught:
        settle("installing", giving(bad(stderr)), never, offline=False)
    assert caught.value.detail == stderr
    assert caught.value.remedy
    assert type(caught.value) is DependencyError


@pytest.mark.parametrize(
    ("stderr", "kind", "what"),
    [
        (UV_CACHE_LACKS, OfflineError, "the cache lacks attrs"),
        (PIP_CACHE_LACKS, OfflineError, "the cache lacks attrs"),
        ("cause: Because six==9 needs to be downloaded from a registry", OfflineError, "the cache lacks six==9"),
        ("error: Network connectivity is disabled", OfflineError, "the cache lacks something"),
        (CONFLICT, DependencyError, "failed"),
    ],
)
def test_offline_the_network_is_never_tried(stderr: str, kind: type[HwbError], what: str) -> None:
    assert settle("installing", never, lambda: OK, offline=True) is OK
    with pytest.raises(kind, match=what) as caught:
        settle("installing", never, giving(bad(stderr)), offline=True)
    assert caught.value.detail == stderr


def test_hidden_output_is_shown_when_it_explains_a_failure(events: list[dict[str, Any]], log: Log) -> None:
    settle("installing", giving(bad(UV_DOWN, hidden=True)), lambda: OK, offline=False)
    assert log.text == ""
    with pytest.raises(DependencyError):
        settle("installing", giving(bad(CONFLICT, hidden=True)), giving(bad(CONFLICT)), offline=False)
    assert log.text == "output\n" + CONFLICT


SAYS = "import sys; print('to the user'); print('s3cret problem', file=sys.stderr); sys.exit(int(sys.argv[1]))"


def run(code: int, **options: Any) -> Outcome:
    return execute([sys.executable, "-c", SAYS, str(code)], env=dict(os.environ), **options)


def test_output_goes_into_the_log_and_standard_error_is_kept(events: list[dict[str, Any]], log: Log) -> None:
    outcome = run(3)
    assert (outcome.done.return_code, outcome.stderr.strip(), outcome.ok) == (3, "s3cret problem", False)
    assert sorted(log.text.split("\n")) == ["", "s3cret problem", "to the user"]
    assert [event["kind"] for event in events] == ["command-started", "command-finished"]


def test_silent_output_stays_out_of_the_log(events: list[dict[str, Any]], log: Log) -> None:
    outcome = run(0, silent=True)
    assert outcome.ok
    assert outcome.hidden
    assert outcome.done.text.strip() == "to the user"
    assert log.text == ""
    assert events == []


def test_captured_output_is_only_standard_output(log: Log) -> None:
    with use(Context(log=log)):
        outcome = run(0, capture=True)
    assert outcome.done.text.strip() == "to the user"
    assert not outcome.hidden


def test_secrets_are_masked(log: Log) -> None:
    with use(Context(log=log, secrets=(b"s3cret",))):
        assert run(0).stderr.strip() == "*** problem"
    assert "s3cret" not in log.text


def test_a_lost_log_does_not_end_the_installer(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("hwb.redact.write_all", full)
    with use(Context(log=log)):
        outcome = run(0)
    assert outcome.stderr.strip() == "s3cret problem"


def test_only_the_end_of_a_long_error_is_kept(log: Log) -> None:
    code = "import sys; sys.stderr.write('x' * 200_000 + 'end')"
    with use(Context(log=log)):
        outcome = execute([sys.executable, "-c", code], env=dict(os.environ), silent=True)
    assert len(outcome.stderr) == installing._KEPT
    assert outcome.stderr.endswith("end")
