"""Signals call a run off, and are given back."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest

from hwb.runner.signals import interrupting


def test_signals_call_the_run_off_and_are_given_back() -> None:
    reasons: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    with interrupting(SimpleNamespace(interrupt=reasons.append)) as received:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)

    assert received == reasons == ["SIGTERM", "SIGINT"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX")
def test_under_nohup_a_closed_terminal_does_not_matter() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupting(SimpleNamespace(interrupt=lambda _reason: pytest.fail("called off"))) as received:
            signal.raise_signal(signal.SIGHUP)
        assert received == []
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
