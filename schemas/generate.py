"""The contracts as files: `python -m schemas.generate` writes them, `--check` compares, and also with what
was released (`schemas/compat.py`).

One JSON Schema a contract, the topics, and an AsyncAPI 3 document of all that is on Kafka.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

from schemas import asyncapi, compat, topics
from schemas.contracts import CONTRACTS, version
from schemas.shapes import of_known_events, schema


def files() -> dict[str, str]:
    """File name -> content of every generated file."""
    found = {}
    for contract in CONTRACTS:
        top, parts = schema(contract)
        if contract.name == "inbound.track":
            top["allOf"] = of_known_events("inbound.{slug}.schema.json")
        found[f"{contract.name}.schema.json"] = _json(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                **top,
                "title": contract.name,
                "x-schemaver": version(contract.name),
                **({"$defs": parts} if parts else {}),
            }
        )
    found["topics.json"] = _json({"x-schemaver": version("topics"), "topics": topics.published()})
    found["asyncapi.yaml"] = yaml.dump(
        asyncapi.document(), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True
    )
    return found


def drift() -> list[str]:
    """Names of generated files that do not say what the code says."""
    wanted = files()
    there = {path.name: path.read_text() for path in _there()}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def main() -> int:
    if "--check" in sys.argv:
        stale = drift()
        if stale:
            print(f"out of date: {', '.join(stale)}; run: python -m schemas.generate", file=sys.stderr)
        return 1 if stale else compat.main()
    wanted = files()
    for path in _there():
        path.unlink()
    for name, content in wanted.items():
        (compat.FOLDER / name).write_text(content)
    return 0


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _there() -> list[Path]:
    return [path for path in compat.FOLDER.iterdir() if path.suffix in (".json", ".yaml")]


def _json(content: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.exit(main())
