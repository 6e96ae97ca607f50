"""Where benchmarks leave what they found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from operators import customers

FOLDER = Path(__file__).parent / "results"
COMPILED = not str(customers.__file__).endswith(".py")  # see deploy/compiled.py


def keep(name: str, found: dict[str, Any]) -> None:
    """Write it as bench/results/<name>.json, and print it; with whether the core was compiled."""
    text = json.dumps({"compiled": COMPILED, **found}, indent=2) + "\n"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(text)
    print(text)
