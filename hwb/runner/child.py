"""How does a session run in a process of its own (`process=True`)? The specification goes in, JSON lines come out.

The parent writes the specification, then answers to `notify`, on the child's standard input; the child writes events,
ledger entries, questions and at last its outcome on its standard output. Everything else goes to the session's log.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any

from hwb import procgroup
from hwb.context import CancelToken, Context
from hwb.runner.outcome import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwb.artifacts import Artifact, Verdict
    from hwb.spec import Services, SessionSpec

__all__ = ["main", "run_in_process"]

_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from hwb.runner.child import main; sys.exit(main())"
"""How the child imports what its parent can: not by PYTHONPATH, which its session's commands would inherit."""
_GRACE = 12.0
"""Seconds a cancelled child gets: its commands' grace and its finalisers; then it is killed with all it started."""


# --- the parent's side --------------------------------------------------------------------------------------


def run_in_process(spec: SessionSpec, services: Services, context: Context) -> Outcome:
    """Run the session in a child, serving its questions; the child's death without an outcome is a failure."""
    started = time.monotonic()
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    command = [sys.executable, "-c", _BOOT, json.dumps([*sys.path, package])]
    environment = {**os.environ, **context.mark}
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=context.log.fileno(),
        env=environment,
        start_new_session=sys.platform != "win32",
        cwd=spec.root,
    )
    context.announce_group(process.pid)
    forget = context.token.on_cancel(lambda reason: _stop(process, reason))
    rest = threading.Thread(target=_end_the_rest, args=(process, spec), daemon=True)
    rest.start()
    try:
        outcome = _serve(process, spec, services, context)
        process.wait()
    finally:
        forget()
        procgroup.stop_group(process.pid, (0, 0), reap=process.poll)
        rest.join()
        context.announce_group(process.pid, False)
    if outcome is not None:
        return outcome
    seconds = time.monotonic() - started
    if context.token.cancelled:
        return Outcome(spec.id, Status.ABORTED, seconds, context.token.reason or "", log=spec.log, attempt=spec.attempt)
    reason = f"the session's process ended with code {process.returncode} and no result"
    return Outcome(spec.id, Status.FAILED, seconds, reason, {"what": reason}, 1, spec.log, attempt=spec.attempt)


def _end_the_rest(process: subprocess.Popen[bytes], spec: SessionSpec) -> None:
    """What the recipe forked holds the pipe that we read from: it ends with the process."""
    process.wait()
    procgroup.stop_group(process.pid, (0, 0))
    procgroup.kill_marked(spec.run_id, str(spec.number), sure=True)


def _stop(process: subprocess.Popen[bytes], reason: str) -> None:
    """INT asks the child to cancel its session; after the grace it is killed (the caller cleans up by mark)."""
    from hwb.runner.work import TIMED_OUT

    if sys.platform != "win32" and reason == TIMED_OUT:
        process.send_signal(signal.SIGALRM)
    else:
        process.send_signal(signal.SIGINT)

    def force() -> None:
        if process.poll() is None:
            process.kill()

    timer = threading.Timer(_GRACE, force)
    timer.daemon = True
    timer.start()


def _serve(process: subprocess.Popen[bytes], spec: SessionSpec, services: Services, context: Context) -> Outcome | None:
    assert process.stdin is not None
    assert process.stdout is not None
    _say(process.stdin, {"spec": spec.to_json(), "terminal": False})
    outcome = None
    with process.stdin, process.stdout:
        for line in process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                context.log.write(line.decode(errors="replace"))  # something wrote to descriptor 1 behind our back
                continue
            kind = message.pop("do")
            if kind == "outcome":
                outcome = Outcome.from_json(message["outcome"])
            else:
                _answer(kind, message, process.stdin, services, context)
    return outcome


def _answer(kind: str, message: dict[str, Any], reply: IO[bytes], services: Services, context: Context) -> None:
    from hwb.artifacts import Artifact, Verdict

    if kind == "event":
        context.emit(message["kind"], **message["values"])
    elif kind == "group":
        context.announce_group(message["group"], message["alive"])
    elif kind == "artifact":
        services.ledger.add(Artifact.from_json(message["artifact"]))
    elif kind == "verdict":
        services.ledger.add_verdict(Verdict.from_json(message["verdict"]))
    elif kind == "replaces":
        services.ledger.replaces(message["old"], message["new"])
    elif kind == "notify":
        try:
            added = services.notifier.notify(message["target"], message["posargs"], message["by"])
            _say(reply, {"added": added})
        except ValueError as error:
            _say(reply, {"error": str(error)})


def _say(stream: IO[bytes], message: dict[str, Any]) -> None:
    try:
        stream.write(json.dumps(message, default=str).encode() + b"\n")
        stream.flush()
    except BrokenPipeError:
        pass  # the other side is dying; its end is noticed where it is waited for


# --- the child's side ---------------------------------------------------------------------------------------


class _Parent:
    """The parent as the child's session sees it: a notifier, an emitter and a ledger's writer in one."""

    def __init__(self, out: IO[bytes], answers: IO[bytes]) -> None:
        self._out = out
        self._answers = answers
        self._lock = threading.Lock()

    def tell(self, do: str, **values: Any) -> None:
        with self._lock:
            _say(self._out, {"do": do, **values})

    def emit(self, kind: str, _session: str, **values: Any) -> None:
        self.tell("event", kind=kind, values=values)

    def group(self, group: int, alive: bool = True) -> None:
        self.tell("group", group=group, alive=alive)

    def notify(self, target: str, posargs: Sequence[str] | None, by: str) -> bool:
        with self._lock:
            _say(self._out, {"do": "notify", "target": target, "posargs": posargs, "by": by})
            answer = json.loads(self._answers.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return bool(answer["added"])


def _ledger(spec: SessionSpec, parent: _Parent) -> Any:
    """What the run has produced so far; additions are remembered here and written by the parent."""
    from hwb.artifacts import Ledger

    class Forwarding(Ledger):
        def add(self, artifact: Artifact) -> None:
            super().add(artifact)
            parent.tell("artifact", artifact=artifact.to_json())

        def add_verdict(self, verdict: Verdict) -> None:
            super().add_verdict(verdict)
            parent.tell("verdict", verdict=verdict.to_json())

        def replaces(self, old_sha256: str, new_sha256: str) -> None:
            super().replaces(old_sha256, new_sha256)
            parent.tell("replaces", old=old_sha256, new=new_sha256)

    ledger = Forwarding(None)
    if spec.ledger is not None and os.path.exists(spec.ledger):
        ledger._load(spec.ledger)
    return ledger


def main() -> int:
    """Read a specification, run it, report; the exit code only says whether there was an outcome."""
    from hwb.spec import SessionSpec

    out = os.fdopen(os.dup(1), "wb")
    answers = sys.stdin.buffer
    os.dup2(2, 1)  # whatever writes to standard output from here on lands in the session's log
    spec = SessionSpec.from_json(json.loads(answers.readline())["spec"])
    parent = _Parent(out, answers)
    token = CancelToken()
    _cancel_on_signals(token)
    outcome: list[Outcome] = []
    worker = threading.Thread(target=lambda: outcome.append(_work(spec, parent, token)), daemon=True)
    worker.start()
    while worker.is_alive():
        worker.join(0.2)  # short: signal handlers run in this thread
    parent.tell("outcome", outcome=outcome[0].to_json())
    return 0


def _cancel_on_signals(token: CancelToken) -> None:
    from hwb.runner.work import TIMED_OUT

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, _frame: token.cancel(signal.Signals(number).name))
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, lambda _number, _frame: token.cancel(TIMED_OUT))


def _work(spec: SessionSpec, parent: _Parent, token: CancelToken) -> Outcome:
    from hwb.config import Settings
    from hwb.loader import load_catalog
    from hwb.redact import Redactor, secret_values, without_credentials
    from hwb.runner.log import RoutedStream, SessionLog
    from hwb.runner.work import make_context, run_session
    from hwb.spec import Services

    settings = Settings.from_json(spec.settings)
    declared = settings.get("secrets")
    secrets = secret_values(os.environ, declared)
    log = SessionLog(spec.log, Redactor(secrets))
    restore = RoutedStream.install()
    try:
        services = Services(
            load_catalog(spec.hwbfile, spec.organisation),
            settings,
            _ledger(spec, parent),
            parent,
            secrets,
            without_credentials(os.environ, declared),
        )
        context = make_context(spec, services, log, token, parent.emit, parent.group)
        os.chdir(spec.root)
        try:
            return run_session(spec, services, context, real_cwd=True)
        finally:
            services.close()
    except BaseException as error:  # the parent waits for an outcome, whatever went wrong here
        from hwb.errors import HwbError

        failure = error if isinstance(error, HwbError) else HwbError(f"{type(error).__name__}: {error}")
        return Outcome(
            spec.id, Status.FAILED, 0.0, failure.what, failure.as_dict(), failure.exit_code, spec.log, "", spec.attempt
        )
    finally:
        restore()
        log.close()


if __name__ == "__main__":
    sys.exit(main())
