"""A scope's state directory: what it was made for, and who may use it now."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from state.directory import Directory
from state.errors import StateError
from tests.program import PATIENCE

FIXED = {"shards": 8, "partitions": 4}


def opened(state: Path, scope: str = "shop", **fixed: Any) -> Directory:
    directory = Directory(state, scope)
    directory.open({**FIXED, **fixed}, lambda folder: (folder / "prepared").touch())
    return directory


def in_a_process(source: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys, os\nfrom pathlib import Path\n"
         f"from state.directory import Directory\nfrom state.errors import StateError\n{source}",
         *map(str, args)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_new_directory_is_prepared_once_and_recognised_afterwards(tmp_path: Path) -> None:
    opened(tmp_path)
    about = json.loads((tmp_path / "shop" / "oncue.json").read_text())
    assert about == {"format": 1, "scope": "shop", **FIXED}
    (tmp_path / "shop" / "recovery" / "prepared").unlink()
    (tmp_path / "shop" / "recovery" / "something of Bytewax").touch()
    opened(tmp_path)
    assert not (tmp_path / "shop" / "recovery" / "prepared").exists()


def test_every_difference_from_what_it_was_made_for_is_named(tmp_path: Path) -> None:
    opened(tmp_path)
    with pytest.raises(StateError) as raised:
        opened(tmp_path, shards=16, partitions=2)
    said = str(raised.value)
    assert str(tmp_path / "shop") in said
    assert "shards is 8 there and 16 now" in said
    assert "partitions is 4 there and 2 now" in said
    assert "--state" in said
    assert json.loads((tmp_path / "shop" / "oncue.json").read_text())["shards"] == 8


def test_a_directory_of_another_scope_is_refused_by_name(tmp_path: Path) -> None:
    opened(tmp_path, "shop")
    with pytest.raises(StateError, match=r"belongs to the scope 'shop', not to 'books'.*--state"):
        opened(tmp_path, "books")
    assert not (tmp_path / "books").exists()


def test_state_of_a_later_format_is_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    about = tmp_path / "shop" / "oncue.json"
    about.write_text(about.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(StateError, match=r"shop is of format 2, made by a newer oncue.*formats up to 1"):
        opened(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"shards": 8'])
def test_a_damaged_description_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    opened(tmp_path)
    about = tmp_path / "shop" / "oncue.json"
    about.write_text(content)
    with pytest.raises(StateError) as raised:
        opened(tmp_path)
    assert str(about) in str(raised.value)
    assert "To rebuild" in str(raised.value)


def test_the_lock_refuses_a_second_process_and_names_the_first(tmp_path: Path) -> None:
    opened(tmp_path)
    holder = in_a_process(
        "d = Directory(Path(sys.argv[1]), 'shop'); d.lock(); print('locked', flush=True); sys.stdin.read()",
        tmp_path,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    directory = Directory(tmp_path, "shop")
    with pytest.raises(StateError, match=f"{tmp_path / 'shop'} is in use by process {holder.pid};"):
        directory.lock()
    holder.communicate()
    directory.lock()
    os.close(directory.lock_handle)


def test_a_lock_dies_with_its_process_however_it_dies(tmp_path: Path) -> None:
    opened(tmp_path)
    holder = in_a_process(
        "d = Directory(Path(sys.argv[1]), 'shop'); d.lock(); print('locked', flush=True); sys.stdin.read()",
        tmp_path,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    holder.kill()
    holder.communicate()
    directory = Directory(tmp_path, "shop")
    directory.lock()
    os.close(directory.lock_handle)


def test_a_child_that_was_given_the_lock_keeps_others_out_when_its_parent_is_gone(tmp_path: Path) -> None:
    opened(tmp_path)
    parent = in_a_process(
        "import subprocess\n"
        "d = Directory(Path(sys.argv[1]), 'shop'); d.lock()\n"
        "child = subprocess.Popen([sys.executable, '-c', 'print(1, flush=True); input()'],"
        " pass_fds=[d.lock_handle])\n"
        "os._exit(0)",
        tmp_path,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    assert parent.stdout.readline() == "1\n"
    parent.wait()
    directory = Directory(tmp_path, "shop")
    with pytest.raises(StateError, match="in use"):
        directory.lock()
    parent.stdin.write("\n")
    parent.stdin.close()
    assert parent.stdout.read() == ""  # the child has ended
    directory.lock()
    os.close(directory.lock_handle)


_AS_SOMEBODY = """
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
try:
    d = Directory(Path(sys.argv[1]), 'shop')
    d.open({'shards': 8, 'partitions': 4}, lambda folder: None)
    d.lock()
except StateError as error:
    print(error)
"""


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A folder that anybody may look into. Below `tmp_path` nobody else may: every session of pytest that
    begins takes that right away from the folder that all sessions share."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def refused(state: Path, readonly: Path) -> str:
    """What a process says that may look into `state` but not write in `readonly`."""
    mode = readonly.stat().st_mode
    readonly.chmod(0o555)
    try:
        return in_a_process(_AS_SOMEBODY, state).communicate(timeout=PATIENCE)[0]
    finally:
        readonly.chmod(mode)


def test_a_folder_nothing_can_be_made_in_is_an_error_that_says_so(anybodys: Path) -> None:
    said = refused(anybodys, anybodys)
    assert f"cannot make the state directory {anybodys / 'shop'}: Permission denied" in said
    assert "writable" in said


def test_a_state_directory_that_became_read_only_is_an_error_that_loses_nothing(anybodys: Path) -> None:
    opened(anybodys)
    said = refused(anybodys, anybodys / "shop")
    assert f"cannot write in the state directory {anybodys / 'shop'}: Permission denied" in said
    assert "Nothing is lost" in said
    assert "writable" in said
    directory = opened(anybodys)
    directory.lock()
    os.close(directory.lock_handle)


def test_the_playbook_kept_beside_the_state_is_replaced_whole(tmp_path: Path) -> None:
    directory = opened(tmp_path)
    directory.remember("scope: shop\n")
    directory.remember("scope: shop # changed\n")
    assert (tmp_path / "shop" / "playbook.yaml").read_text() == "scope: shop # changed\n"
    assert not list((tmp_path / "shop").glob("*.tmp"))


def test_peers_share_a_directory_each_with_its_number_and_nobody_else(tmp_path: Path) -> None:
    directories = [opened(tmp_path) for _ in range(4)]
    directories[0].lock(peer=0)
    directories[1].lock(peer=1)
    with pytest.raises(StateError, match="in use by process"):
        directories[2].lock(peer=1)
    with pytest.raises(StateError, match="in use"):
        directories[3].lock()


def test_a_peer_waits_until_the_first_has_made_the_directory(tmp_path: Path) -> None:
    second = Directory(tmp_path, "shop")
    assert not second.await_made(0)
    opened(tmp_path)
    assert second.await_made(0)


def test_a_directory_that_cannot_be_written_to_says_why(tmp_path: Path) -> None:
    directory = opened(tmp_path)
    assert directory.trouble() is None
    size, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
    try:
        found = directory.trouble()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    assert "File too large" in str(found)
    assert "make room" in str(found)
