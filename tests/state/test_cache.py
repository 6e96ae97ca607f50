"""The cache in front of a store answers as a dict would, however small it is."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from state.cache import Cache
from state.store import Store

KEYS = st.sampled_from([f"k{n}" for n in range(9)])
ACTIONS = st.one_of(
    st.tuples(st.just("set"), KEYS, st.text(max_size=5)),
    st.tuples(st.just("get"), KEYS, st.just("")),
    st.tuples(st.just("delete"), KEYS, st.just("")),
    st.tuples(st.just("write back"), st.just(""), st.just("")),
    st.tuples(st.just("write some"), st.just(""), st.just("")),
    st.tuples(st.just("come back"), st.just(""), st.just("")),
)


def cache_on(store: Store, size: int, prefix: bytes = b"v") -> Cache[str]:
    return Cache(store, prefix, str.encode, lambda _, raw: raw.decode(), size)


@contextmanager
def stores() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(0, 4), actions=st.lists(ACTIONS, max_size=60))
def test_no_write_is_lost_across_generations_write_backs_and_restarts(
    size: int, actions: list[tuple[str, str, str]]
) -> None:
    with stores() as folder:
        store = Store(folder / "s", 1, None)
        cache, cut = cache_on(store, size), 0
        model: dict[str, str] = {}
        for action, key, value in actions:
            if action == "set":
                cache[key] = model[key] = value
                cache.settle()
            elif action == "get":
                assert cache.get(key) == model.get(key)
                cache.settle()
            elif action == "delete":
                del cache[key]
                model.pop(key, None)
            elif action == "write some":
                waiting = cache.unwritten
                assert len(cache.write_back(2)) == min(2, waiting)
            else:
                cache.write_back()
                if action == "come back":  # as after a stop: a checkpoint, and a cache that knows nothing
                    cut += 1
                    store.checkpoint(cut, 0)
                    store.close()
                    store = Store(folder / "s", cut + 1, cut)
                    cache = cache_on(store, size)
        for key in (f"k{n}" for n in range(9)):
            assert cache.get(key) == model.get(key)
        cache.write_back()
        stored = {key.decode()[1:]: value.decode() for key, value in store.scan(b"v", b"w")}
        assert stored == model
        store.close()


def test_two_key_spaces_of_one_store_keep_apart(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", 1, None)
    one, other = cache_on(store, 1, b"a"), cache_on(store, 1, b"b")
    one["k"], other["k"] = "one", "other"
    one.write_back()
    other.write_back()
    assert (cache_on(store, 1, b"a").get("k"), cache_on(store, 1, b"b").get("k")) == ("one", "other")
    store.close()


def test_a_hit_in_either_generation_asks_no_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", 1, None)
    cache = cache_on(store, 2)
    for key in ("a", "b", "c", "d"):  # two generations of two
        cache[key] = key
        cache.settle()
    cache.misses = 0
    assert [cache.get(key) for key in ("d", "c", "d")] == ["d", "c", "d"]
    assert cache.misses == 0
    store.close()


def test_a_value_that_is_read_survives_the_next_generation(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", 1, None)
    cache = cache_on(store, 2)
    cache["hot"] = "x"
    for n in range(20):
        cache[f"cold-{n}"] = "y"
        assert cache.get("hot") == "x"
        cache.settle()
    assert cache.misses == 0
    store.close()


class Counter:
    """A value that changes in place, as a customer's record does."""

    def __init__(self, at: int) -> None:
        self.at = at


def test_a_value_that_is_changed_after_it_was_handed_over_is_written_as_it_ended(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", 1, None)
    cache = Cache(store, b"v", lambda it: b"%d" % it.at, lambda _, raw: Counter(int(raw)), 1)
    for n in range(5):
        cache[f"k{n}"] = value = Counter(0)
        value.at = n + 1  # the batch goes on with it
        cache.settle()
    cache.write_back()
    assert [store.get(b"vk%d" % n) for n in range(5)] == [b"1", b"2", b"3", b"4", b"5"]
    store.close()


def test_of_long_values_fewer_are_kept(tmp_path: Path) -> None:
    kept = {}
    for length in (10, 100, 400):
        store = Store(tmp_path / f"s{length}", 1, None)
        cache = Cache(store, b"v", str.encode, lambda _, raw: raw.decode(), 100, usual=100)
        for number in range(1000):
            cache[f"k{number}"] = "x" * length
            cache.write_back()
            cache.settle()
        kept[length] = cache.entries
        store.close()
    assert kept[10] == kept[100] == 100
    assert 25 <= kept[400] <= 50


def test_one_long_value_among_short_ones_makes_no_difference(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", 1, None)
    cache = Cache(store, b"v", str.encode, lambda _, raw: raw.decode(), 100, usual=100)
    for number in range(150):
        cache[f"k{number}"] = "x" * (5_000 if number == 50 else 10)
        cache.write_back()
        cache.settle()
    assert cache.entries == 150
    store.close()
