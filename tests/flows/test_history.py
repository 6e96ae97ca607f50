"""History in the whole program: kept by every worker, through stops, more workers, backups."""

from __future__ import annotations

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

from flows import lookup, start
from flows.kept import META, about, folder
from flows.past import Remembered
from operators import history
from operators.history import Happened
from state import backup as copying
from state import reading
from state import verify as checking
from state.errors import StateError
from tests.brokers import Broker, RealBroker
from tests.events import at, consent, event, stamp, track
from tests.flows.conftest import Maker
from tests.flows.running import Scope

SHARDS = 4
BROKEN = b"{"  # comes out as a dead letter: then all before it is worked off
PEOPLE = [{"user": f"user-{n}"} if n % 2 else {"anonymous": f"cookie-{n}"} for n in range(12)]


def story(begin: int, end: int) -> list[bytes]:
    """A product looked at in every minute, somebody's word on consent in every tenth."""
    return [
        track("Product Added", minute, product_id="p", cart_id="c", **PEOPLE[minute % 12])
        if minute % 10
        else consent(minute, **PEOPLE[minute % 12])
        for minute in range(begin, end)
    ]


def kept(root: Path) -> list[Happened]:
    """All that the newest checkpoints hold."""
    found: list[Happened] = []
    for shard in range(SHARDS):
        with reading.newest(root / folder(shard)) as database:
            assert database is not None
            table = reading.Table(database)
            rows = [history.read(*row) for row in table.scan(history.EVENTS, history.BEHIND_EVENTS)]
            assert {history.shard_of(it.leaf, SHARDS) for it in rows} <= {shard}
            found += rows
    return history.recorded(found)


def remembering(scope: Scope, text: str = "history: {}\n") -> Scope:
    scope.config.write_text(scope.config.read_text() + text)
    return scope


def test_every_event_is_kept_through_stops_backups_and_other_numbers_of_workers(
    mock: Broker, scoped: Maker
) -> None:
    scope = remembering(scoped(mock, shards=str(SHARDS)))
    sent: list[bytes] = []
    for number, workers in enumerate((1, 3)):
        more = story(20 * number, 20 * number + 20)
        scope.send(*more, BROKEN)
        sent += more
        if workers == 3:
            scope.complete("--workers", workers)
        else:
            program = scope.run("--workers", workers)
            scope.await_records("dead-letters", number + 1, program)
            assert program.stop() == 0, program.said
    root = scope.state / scope.name
    found = kept(root)
    assert [it.raw for it in found] == sent
    assert [it.offset for it in found] == [part * 21 + n for part in range(2) for n in range(20)]

    place, elsewhere = str(scope.folder / "backups"), scope.folder / "elsewhere"
    copying.backup(root, place)
    copying.restore(place, elsewhere)
    assert kept(elsewhere / scope.name) == found
    checked = {it.step: it.problem for it in checking.verify(elsewhere / scope.name)}
    assert {folder(shard) for shard in range(SHARDS)} <= checked.keys()
    assert set(checked.values()) == {None}

    def adds(person: int, until: int) -> int:
        return sum(minute % 12 == person and minute % 10 != 0 for minute in range(until + 1))

    asked = "customer", "user-1", "--state", scope.state, "--at", stamp(25), "--json"
    then = json.loads(scope.ask(*asked))
    assert (then["as_of"], then["first_seen"], then["last_seen"]) == (at(25), at(1), at(25))
    assert then["features"] == {"adds_1h": adds(1, 25), "revenue": 0}
    assert [it["since"] for it in then["open"]] == [at(25)]
    said = scope.ask("customer", "user-11", "--state", scope.state, "--at", stamp(3), code=1)
    assert "nobody had the identifier 'user-11' as of" in said

    out = scope.folder / "set.csv"
    moments = f"{stamp(5)},{stamp(30)}"
    scope.ask("export", "--state", scope.state, "--at", moments, "--features", "adds_1h", "--out", out)
    rows = list(csv.DictReader(out.open()))
    counts = sorted((row["as_of"], int(row["adds_1h"])) for row in rows)
    assert counts == sorted((stamp(m), adds(person, m)) for m in (5, 30) for person in range(min(12, m + 1)))
    later = stamp(600)
    said = scope.ask("export", "--state", scope.state, "--at", later, "--out", out, code=2)
    assert "reaches to 2026-03-02 10:39:00 UTC" in said

    table = scope.folder / "set.parquet"
    asked = "export", "--state", scope.state, "--at", moments, "--out", table
    if find_spec("pyarrow") is None:
        assert "pip install 'pyarrow>=17'" in scope.ask(*asked, code=2)
        assert not list(scope.folder.glob("*.parquet*"))
    else:
        scope.ask(*asked)
        found = duckdb.sql(f"SELECT epoch_ms(as_of), adds_1h FROM '{table}' ORDER BY ALL").fetchall()
        assert found == sorted(
            (at(5) if row["as_of"] == stamp(5) else at(30), int(row["adds_1h"])) for row in rows
        )


def test_what_was_before_history_began_or_is_folded_cannot_be_asked_for(
    mock: Broker, scoped: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    """And whoever asks, or wants it counted, is told what brings it back from Kafka."""
    scope = scoped(mock, shards=str(SHARDS))
    scope.send(*story(0, 20), BROKEN)
    program = scope.run()
    scope.await_records("dead-letters", 1, program)
    assert program.stop() == 0, program.said
    remembering(scope, "history: {keep: 10m}\n")
    scope.send(*story(20, 40))
    scope.complete()
    found = kept(scope.state / scope.name)
    left = [it.raw for it in found]
    assert 10 <= len(left) < 20
    assert left == story(40 - len(left), 40)
    with Remembered(scope.state / scope.name) as past:
        assert at(20) <= past.since == past.folded < found[0].at
        past.check(at(38))
        with pytest.raises(StateError, match=r"not to 2026-03-02 10:20:00 UTC\. What was before is folded"):
            past.check(at(20))
        kept_beside = f"--config {scope.state / scope.name / 'playbook.yaml'} --brokers HOST:PORT"
        with pytest.raises(StateError, match=f"{kept_beside} .* --to 2026-03-02T10:25:00Z"):
            past.check(at(20))
        then = past.customer("user-3", at(38))
    assert then is not None
    assert then["first_seen"] == at(27), "of an event that is folded"
    with reading.newest(scope.state / scope.name / folder(0)) as database:
        began = about(database.get(META))
    assert 1 < began.since <= found[0].cut
    assert began.watermark == at(19)

    scope.config.write_text(scope.config.read_text().replace("features:\n", MORE, 1))
    start.prepare(start.open_run(scope.config, mock.bootstrap, scope.state))
    said = capsys.readouterr().err
    assert "oncue: adds_2h, seen: counted from 2026-03-02 10:2" in said
    assert f"oncue replay --config FILE --brokers {mock.bootstrap} --state NEWDIR, with this playbook" in said


LOGIN = event("identify", 45, user="user-1", anonymous="cookie-0")
MORE = """features:
  adds_2h: {measure: adds, aggregate: count, window: 2h}
  seen: {measure: adds, aggregate: distinct}
  share: {expression: adds_1h / adds_2h}
"""


def test_a_feature_that_is_added_later_is_as_if_it_had_been_there_from_the_start(
    kafka: RealBroker, scoped: Maker
) -> None:
    late, early = (remembering(scoped(kafka, shards=str(SHARDS))) for _ in range(2))
    for scope in (late, early):
        scope.send(*story(0, 40), BROKEN)
    program = late.run()
    late.await_records("dead-letters", 1, program)
    assert program.stop() == 0, program.said
    for scope in (late, early):
        scope.config.write_text(scope.config.read_text().replace("features:\n", MORE, 1))
        scope.send(LOGIN, *story(46, 60))
    program = late.run("--workers", 2)
    late.await_records("control", 1, program)  # some of history has been added by then
    program.end()
    found = []
    for scope, workers in ((late, 3), (early, 1)):
        scope.complete("--workers", workers)
        people = [lookup.customer(scope.state / scope.name, next(iter(who.values()))) for who in PEOPLE]
        assert [it["backfilling"] for it in people] == [[]] * 12
        found.append([it["features"] for it in people])
    assert found[0] == found[1]
    assert found[0][0] == found[0][1], "who logged in is one"


def test_a_history_that_would_get_a_gap_stops_the_start(mock: Broker, scoped: Maker) -> None:
    scope = scoped(mock)
    (scope.state / scope.name / folder(0)).mkdir(parents=True)
    with pytest.raises(StateError, match="Put the section back, or give the history up: delete"):
        start.prepare(start.open_run(scope.config, mock.bootstrap, scope.state))
