"""What a start imports: it is part of the time that recovery takes, and every command pays for it."""

import subprocess
import sys

import pytest
from typer.main import get_command

from flows import cli
from tests.program import ROOT

ELSEWHERE = {"pydantic", "rich", "email_validator", "phonenumbers", "river", "opentelemetry"}


def imported(*command: str) -> set[str]:
    """Packages and modules that a program imports until it ends."""
    said = subprocess.run(
        [sys.executable, "-X", "importtime", *command], cwd=ROOT, capture_output=True, text=True
    )
    names = {line.rpartition("|")[2].strip() for line in said.stderr.splitlines() if "import time:" in line}
    return names | {name.partition(".")[0] for name in names}


def test_a_command_imports_neither_the_dataflow_nor_what_only_some_need() -> None:
    found = imported("-m", "flows.cli", "finish", "--config", "nowhere.yaml", "--brokers", "127.0.0.1:1")
    assert "flows.topics" in found
    assert not found & {*ELSEWHERE, "bytewax.operators"}


@pytest.mark.parametrize("module", ["flows.member", "flows.worker"])
def test_a_worker_imports_what_it_works_with(module: str) -> None:
    found = imported("-c", f"import {module}")
    assert "bytewax.operators" in found
    assert not found & {*ELSEWHERE, "typer"}


def test_every_command_is_found_where_the_table_says() -> None:
    named = [name for names in cli.COMMANDS.values() for name in names]
    assert sorted(get_command(cli.app()).commands) == sorted(named)
    for names in cli.COMMANDS.values():
        for name in names:
            assert sorted(get_command(cli.app(name)).commands) == sorted(names)
