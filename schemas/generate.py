"""JSON Schema files of the contracts: `python -m schemas.generate` writes them, `--check` compares."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from schemas import inbound, outbound, playbook, reference

FOLDER = Path(__file__).parent / "generated"

PUBLISHED: dict[str, type[msgspec.Struct]] = {
    "inbound.event": inbound.Event,
    **{f"inbound.{name.lower().replace(' ', '-')}": kind for name, kind in inbound.PROPERTIES.items()},
    **{f"reference.{name}": kind for name, kind in reference.RECORDS.items()},
    "outbound.trigger": outbound.Trigger,
    "outbound.trigger-cancelled": outbound.TriggerCancelled,
    "outbound.profile": outbound.Profile,
    "outbound.decision": outbound.Decision,
    "outbound.identity": outbound.Identity,
    "outbound.dead-letter": outbound.DeadLetter,
    "outbound.ledger": outbound.Ledger,
    "playbook": playbook.Playbook,
}


def files() -> dict[str, str]:
    """File name -> content of every generated file."""
    return {
        f"{name}.schema.json": msgspec.json.format(
            msgspec.json.encode(
                {
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "title": name,
                    **msgspec.json.schema(kind),
                },
                order="sorted",
            ),
            indent=2,
        ).decode()
        + "\n"
        for name, kind in PUBLISHED.items()
    }


def drift() -> list[str]:
    """Names of generated files that do not say what the code says."""
    wanted = files()
    there = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def main() -> int:
    if "--check" in sys.argv:
        stale = drift()
        if stale:
            print(f"out of date: {', '.join(stale)}; run: python -m schemas.generate", file=sys.stderr)
        return 1 if stale else 0
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, content in files().items():
        (FOLDER / name).write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
