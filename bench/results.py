"""Where benchmarks leave what they found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


def keep(name: str, found: Any) -> None:
    """Write it as bench/results/<name>.json, and print it."""
    text = json.dumps(found, indent=2) + "\n"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(text)
    print(text)
