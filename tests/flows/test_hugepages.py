"""What a worker keeps of its customers comes into large pages, and nothing grows by that."""

import mmap
from ctypes import addressof, c_char

import pytest

from flows import hugepages
from flows.hugepages import MAPS

MB = 1024 * 1024


def region(begin: int, size: int, used: int, what: str = "rw-p 00000000 00:00 0 ", name: str = "") -> str:
    """As Linux tells of it; sizes in MB."""
    return (
        f"{begin * MB:x}-{(begin + size) * MB:x} {what}{name}\n"
        f"Size:{size * 1024:>20} kB\nKernelPageSize:        4 kB\nRss:{used * 1024:>20} kB\n"
        f"Pss:{used * 1024:>20} kB\nVmFlags: rd wr mr mw me ac \n"
    )


def test_only_memory_of_the_process_alone_that_is_in_use_is_asked_for() -> None:
    maps = (
        region(100, 64, 64, "rw-p 00000000 00:00 0" + 26 * " ", "[heap]")
        + region(200, 8, 8, "r-xp 00000000 fe:00 247278  ", "/usr/lib/x.so")
        + region(300, 8, 1)  # the stack of a thread
        + region(400, 300, 290)
        + region(800, 2, 2)  # too small
        + region(900, 16, 16, "rw-s 00000000 00:01 2093  ", "/dev/zero (deleted)")
        + region(1000, 16, 16, "rw-p 00000000 fe:00 2093  ", "/data/file")
    )
    assert list(hugepages.regions(maps)) == [(100 * MB, 64 * MB), (400 * MB, 300 * MB)]


@pytest.mark.skipif(not MAPS.exists(), reason="only Linux tells of its pages")
def test_what_is_asked_for_lies_in_large_pages() -> None:
    size = 16 * MB
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory[:] = b"x" * size
        held = c_char.from_buffer(memory)
        before = large()
        hugepages.ask([(addressof(held), size)])
        gained = large() - before
        del held
        assert memory[:] == b"x" * size
    if gained <= 0:
        pytest.skip("this Linux gives none when it is asked: it is older than 6.1, or has none left")
    assert gained % (2 * MB // 1024) == 0


def large() -> int:
    """kB of this process in large pages."""
    return sum(int(line.split()[1]) for line in MAPS.read_text().splitlines() if "AnonHugePages" in line)
