"""Are folds, annotations and summaries spelt as each service reads them?"""

from __future__ import annotations

import io

import pytest

from hwb import events as ev
from hwb.screen import ci, make_sink, text


def show(environ, log, *, status="failed", reason="50 %: bad\nvery", error=None, **options):
    stream = io.StringIO()
    sink = make_sink(stream, mode="ci", environ=environ, color=False, tail=lambda s: "tail", **options)
    sink.pause()
    sink.handle(ev.RunStarted(run_id="1", version="0", directory="/", sessions=["te|st"], jobs=1))
    sink.handle(ev.SessionStarted(session="te|st", log=str(log), at=1000.0))
    sink.handle(
        ev.SessionFinished(
            session="te|st", status=status, seconds=1.5, reason=reason, error=error, log=str(log), at=1001.0
        )
    )
    sink.handle(ev.RunFinished(exit_code=1, seconds=2.0, counts={}, report="/r"))
    sink.tick(0.0)
    sink.resume()
    sink.close()
    return stream.getvalue()


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo \xff")
    return path


def test_github(log, tmp_path):
    summary = tmp_path / "summary.md"
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    shown = show(environ, log, error={"where": "hwbfile.py:12"})
    assert "::group::te|st (failed, 1.5 s)\none\ntwo ?\n::endgroup::\n" in shown.replace("\ufffd", "?")
    assert "::error file=hwbfile.py,line=12,title=te|st failed::50 %25: bad very\n" in shown
    assert "tail" not in shown
    assert summary.read_text().startswith("### 1 session: 1 failed in 2.0 s\n")
    assert "| te\\|st | failed | 1.5 s | 50 %: bad very |" in summary.read_text()


def test_github_escapes_what_it_must():
    record = text.Record("a:b,c%\nd", "failed", note="x\r\ny%")
    assert ci.GitHub().error(record) == "::error title=a%3Ab%2Cc%25%0Ad failed::x%0D%0Ay%25"
    assert ci.GitHub().error(text.Record("a", "failed")).endswith("::failed")


def test_gitlab(log):
    shown = show({"GITLAB_CI": "true"}, log)
    assert "\x1b[0Ksection_start:1001:hwb_te_st\r\x1b[0Kte|st (failed, 1.5 s)\none\n" in shown
    assert "\x1b[0Ksection_end:1001:hwb_te_st\r\x1b[0K\n" in shown
    assert "collapsed=true" in show({"GITLAB_CI": "true"}, log, status="success")


def test_azure(log):
    shown = show({"TF_BUILD": "True"}, log)
    assert "##[group]te|st (failed, 1.5 s)\none\n" in shown
    assert "##[endgroup]\n##vso[task.logissue type=error]te|st: 50 %AZP25: bad very\n" in shown


def test_quiet_folds_only_failures(log):
    environ = {"GITHUB_ACTIONS": "true"}
    assert "::group::" in show(environ, log, quiet=True)
    assert "::group::" not in show(environ, log, status="success", quiet=True)


def test_streamed_output_is_not_folded_again(log):
    shown = show({"GITHUB_ACTIONS": "true"}, log, stream_output=True)
    assert "::group::" not in shown
    assert "::error " in shown


def test_a_log_comes_in_blocks(tmp_path):
    path = tmp_path / "log"
    path.write_text("x" * 200_000)
    blocks = list(ci.read_log(str(path)))
    assert len(blocks) == 4
    assert "".join(blocks) == "x" * 200_000
    assert list(ci.read_log(str(tmp_path / "gone"))) == []


def test_a_log_from_elsewhere(log):
    shown = show({"GITHUB_ACTIONS": "true"}, log, log_text=lambda session: [session, "", "!\n"])
    assert "te|st!\n::endgroup::" in shown


def test_a_session_without_a_log(log):
    assert "::group::" not in show({"GITHUB_ACTIONS": "true"}, "")


def test_a_summary_that_cannot_be_written_is_no_failure(log, tmp_path):
    show({"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path)}, log)


def test_a_long_summary_is_cut():
    tally = text.Tally({f"s{n}": text.Record(f"s{n}", "success") for n in range(1500)})
    table = ci.summary_table(tally)
    assert table.count("\n| s") == 1001  # the heading too
    assert "… and 500 more" in table
    assert "&lt;b>\\`" in ci.summary_table(text.Tally({"x": text.Record("x", "failed", note="<b>`")}))
