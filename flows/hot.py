"""A shard's customers and reference data as the core wants them: in memory, in front of their store."""

from __future__ import annotations

from operators.records import Record
from operators.reference import Known
from state.cache import Cache


class Hot(Cache[Record]):
    """The customers; see `operators/customers.py`."""

    def stored(self, id: str, /) -> Record | None:
        raw = self._store.get(self._prefix + id.encode())
        return None if raw is None else self._decode(id, raw)

    def touch(self, record: Record, /) -> None:
        self._dirty[record.id] = self._young[record.id] = record

    def drop(self, id: str, /) -> None:
        del self[id]


_NOTHING: Known = {}


class Versions(Cache[Known]):
    """The reference data. That nothing is known of an id is remembered like anything else."""

    def get(self, key: str, /) -> Known:
        found = self._young.get(key)
        if found is None:
            found = self._older(key)
            if found is None:
                found = self._young[key] = _NOTHING
        return found
