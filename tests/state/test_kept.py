"""What earlier formats kept is still read, and says the same."""

import json
import tarfile
from pathlib import Path

import pytest

from flows.resume import decode
from operators.records import decode as decode_record
from state import points
from state.backup import restore
from state.directory import Directory
from state.migrations import FORMAT
from state.store import Store
from state.verify import steps
from tests.state.kept import everybody, file_of, told


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_state_of_every_format_is_brought_up_and_says_what_it_said(number: int, tmp_path: Path) -> None:
    with tarfile.open(file_of(number)) as archive:
        archive.extractall(tmp_path, filter="data")
    found = restore(str(tmp_path / "place"), tmp_path / "state")
    about = json.loads((found.root / "oncue.json").read_text())
    assert about["format"] == number

    directory = Directory(tmp_path / "state", found.root.name)
    directory.open(
        {name: about[name] for name in ("shards", "partitions")}, lambda folder: (folder / "prepared").touch()
    )
    directory.lock()
    assert json.loads((found.root / "oncue.json").read_text())["format"] == FORMAT
    for step in steps(found.root):
        store = Store(found.root / step, found.cut + 1, None)
        store.checkpoint(found.cut + 1, 0)
        store.close()

    for id, raw in everybody(found.root):
        record = decode_record(id, raw)
        assert {name: record.part(name) for name in record.names()}
    before = json.loads((tmp_path / "told.json").read_text())
    after = told(found.root)
    assert after.keys() == before.keys()
    assert len(before) > 5
    for id, said in before.items():
        assert {name: after[id][name] for name in said} == said
    ((cut, position),) = points.read(found.root / "points", points.SEQUENCE)
    assert decode(position).number == cut == found.cut
