"""Options that many commands have, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.playbooks import retail
from operators import playbook
from operators.playbook import Playbook

Brokers = Annotated[str, typer.Option("--brokers", help="Kafka bootstrap address, HOST:PORT.")]
Config = Annotated[Path, typer.Option("--config", help="The playbook (YAML).")]
Json = Annotated[bool, typer.Option("--json", help="Plain JSON.")]
Scope = Annotated[str | None, typer.Option(help="Which scope, where there are several.")]
State = Annotated[Path, typer.Option("--state", help="State directory.")]
Workers = Annotated[int, typer.Option(min=1, metavar="N", help="Processes on this machine.")]


def load(file: Path | None) -> Playbook:
    """The playbook at `file`; the one that ships when there is none. Raises BadPlaybook, OSError."""
    return (
        playbook.load(retail(), "retail.yaml") if file is None else playbook.load(file.read_text(), str(file))
    )
