"""What we rely on in Bytewax, rocksdict and librdkafka. A failure here means: read the code that says so."""

import subprocess
import sys
from pathlib import Path

import pytest
from bytewax.recovery import init_db_dir
from confluent_kafka import Producer
from rocksdict import Checkpoint, Options, Rdict, WriteOptions

from tests.brokers import EmbeddedBroker
from tests.flows.engine_flow import LAST
from tests.program import PATIENCE, ROOT


class Engine:
    """Runs `engine_flow` on one recovery store; each run gives the lines it said."""

    def __init__(self, folder: Path) -> None:
        self._recovery, self._log = folder / "recovery", folder / "log"
        self._recovery.mkdir()
        init_db_dir(self._recovery, 1)

    def run(self, die: str = "never") -> list[str]:
        self._log.write_text("")
        command = [sys.executable, "-m", "tests.flows.engine_flow", str(self._recovery), str(self._log), die]
        code = subprocess.run(command, cwd=ROOT, check=False, timeout=PATIENCE).returncode
        assert code == (0 if die == "never" else 9)
        return self._log.read_text().splitlines()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def after(lines: list[str], prefix: str) -> list[int]:
    return [
        int(line.removeprefix(prefix)) for line in lines if line.startswith(prefix) and "None" not in line
    ]


@pytest.mark.parametrize("step", ["source", "step", "sink"])
def test_when_a_snapshot_is_asked_for_every_earlier_epoch_is_durable(engine: Engine, step: str) -> None:
    value = {"source": 10, "step": sum(range(10)), "sink": 9}[step]  # all three: the epoch of number 9
    engine.run(die=f"{step} snapshot {value}")
    again = engine.run()
    assert after(again, "source resumes at ")[0] >= 9


def test_a_fixed_partitioned_sink_holds_back_the_commit_however_long_the_way_to_it(engine: Engine) -> None:
    engine.run(die="sink write 10")
    again = engine.run()
    assert after(again, "sink write ")[0] <= 10, "number 10 was committed before it was written"
    assert after(again, "sink write ")[-1] == LAST - 1


def test_a_sink_is_given_its_own_snapshot_back(engine: Engine) -> None:
    first = engine.run(die="sink write 10")
    resumed = after(engine.run(), "sink resumes at ")[0]
    assert resumed in after(first, "sink snapshot ")
    assert resumed >= 8


def test_the_source_is_snapshotted_in_every_epoch(engine: Engine) -> None:
    said = engine.run()
    assert set(range(1, LAST + 1)) <= set(after(said, "source snapshot "))


def test_end_of_input_asks_for_last_snapshots_and_keeps_them(engine: Engine) -> None:
    said = engine.run()
    assert after(said, "source snapshot ")[-1] == LAST
    assert after(said, "step snapshot ")[-1] == sum(range(LAST))
    assert after(said, "sink snapshot ")[-1] == LAST - 1
    assert said.count("step end of input") == 1
    again = engine.run()
    assert after(again, "source resumes at ") == [LAST]
    assert after(again, "sink write ") == []


def test_rocksdict_refuses_a_checkpoint_into_a_folder_that_exists(tmp_path: Path) -> None:
    database = Rdict(str(tmp_path / "db"), Options(raw_mode=True))
    database.put(b"k", b"v")
    (tmp_path / "there").mkdir()
    with pytest.raises(Exception, match="exist"):
        Checkpoint(database).create_checkpoint(str(tmp_path / "there"))
    Checkpoint(database).create_checkpoint(str(tmp_path / "new"))
    database.close()
    copy = Rdict(str(tmp_path / "new"), Options(raw_mode=True))
    assert copy.get(b"k") == b"v", "a checkpoint includes what was not flushed"
    copy.close()


def test_rocksdict_links_table_files_into_a_checkpoint(tmp_path: Path) -> None:
    database = Rdict(str(tmp_path / "db"), Options(raw_mode=True))
    database.put(b"k", b"v")
    database.flush()
    Checkpoint(database).create_checkpoint(str(tmp_path / "new"))
    [table] = (tmp_path / "new").glob("*.sst")
    assert table.stat().st_nlink == 2
    database.close()


def test_disable_wal_is_a_property_and_works(tmp_path: Path) -> None:
    options = WriteOptions()
    assert options.disable_wal is False
    setattr(options, "disable_wal", True)  # noqa: B010
    assert options.disable_wal is True
    database = Rdict(str(tmp_path / "db"), Options(raw_mode=True))
    for number in range(1000):
        database.put(b"%d" % number, bytes(1000), write_opt=options)
    assert sum(path.stat().st_size for path in (tmp_path / "db").glob("*.log")) < 10_000
    database.close()


def test_the_embedded_broker_makes_topics_of_four_partitions(mock: EmbeddedBroker, scope: str) -> None:
    about = Producer({"bootstrap.servers": mock.bootstrap}).list_topics(scope, timeout=PATIENCE).topics[scope]
    assert (about.error, len(about.partitions)) == (None, 4)
