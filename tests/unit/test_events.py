"""Events: typed, frozen, and plain data for machines."""

from __future__ import annotations

import pytest

from hwb.events import SCHEMA, Message, Phase, RunStarted, make, to_json


def test_make_fills_time_and_defaults() -> None:
    event = make("phase", "build", name="resolve", state="done")

    assert isinstance(event, Phase)
    assert (event.session, event.name, event.seconds, event.detail) == ("build", "resolve", 0.0, "")
    assert event.at > 1_700_000_000


@pytest.mark.parametrize("values", [{"name": "x"}, {"name": "x", "state": "done", "stat": 1}])
def test_a_wrong_field_is_an_error_at_once(values: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="Phase: unknown"):
        make("phase", None, **values)


def test_json_begins_with_schema_event_and_time() -> None:
    event = Message(at=0.25, level="info", text="hello")

    assert to_json(event) == {
        "schema": SCHEMA,
        "event": "message",
        "time": "1970-01-01T00:00:00.250Z",
        "session": None,
        "level": "info",
        "text": "hello",
    }


def test_events_are_values() -> None:
    one = Message(at=1.0, level="info", text="x")

    assert one == Message(at=1.0, level="info", text="x")
    assert one != Message(at=1.0, level="info", text="y")
    assert repr(one) == "Message(at=1.0, session=None, level='info', text='x')"
    with pytest.raises(AttributeError, match="do not change"):
        one.text = "y"  # type: ignore[misc]


def test_a_run_started_by_python_has_no_command() -> None:
    event = RunStarted(run_id="r", version="1", directory="/", sessions=["a"], jobs=1)

    assert list(event.command) == []
