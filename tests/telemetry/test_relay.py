"""Libraries that log do not break the promise of one fact a line, nor repeat themselves."""

import json
import logging
from collections.abc import Iterator

import pytest

from flows.telemetry import log, relay


@pytest.fixture
def library() -> Iterator[logging.Logger]:
    """The logger of a part of it."""
    relay.use("talkative")
    log.use("json", **{"oncue.scope": "shop"})
    yield logging.getLogger("talkative.exporter")
    log.use("text")


def test_what_a_library_logs_is_a_line_like_others_and_is_said_once_in_a_while(
    library: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in (1, 2, 4):
        library.warning("cannot send to %s, again in %d s", "http://collector", seconds)
    library.info("all is well")
    library.error("gave up")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [it["body"] for it in lines] == ["cannot send to http://collector, again in 1 s", "gave up"]
    assert {it["oncue.scope"] for it in lines} == {"shop"}
    assert lines[0]["oncue.logger"] == "talkative.exporter"
    monkeypatch.setattr(relay, "AGAIN", 0.0)
    library.warning("cannot send to %s, again in %d s", "http://collector", 8)
    assert "again in 8 s" in capsys.readouterr().err
