"""docs/getting-started.md, done as it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.brokers import Broker
from tests.docs.examples import ROOT, blocks, shim
from tests.program import PATIENCE, until

FILES = {"yaml": "my.yaml", "json": "events.jsonl", "python": "mend.py"}


def test_every_command_of_the_page_does_what_it_says(mock: Broker, tmp_path: Path) -> None:
    shim(tmp_path)
    run: subprocess.Popen[bytes] | None = None
    log = (tmp_path / "run.log").open("wb")
    try:
        for _, language, text in blocks(ROOT / "docs" / "getting-started.md"):
            if language in FILES:
                (tmp_path / FILES[language]).write_text(text)
            if language != "console":
                continue
            for part in text.split("$ ")[1:]:
                command, _, said = part.replace("localhost:9092", mock.bootstrap).partition("\n")
                words = command.removesuffix(" &").split()
                if command.endswith("&"):
                    run = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=log)
                    continue
                if words[1] == "ledger":
                    assert run is not None
                    assert run.wait(PATIENCE) == 0, (tmp_path / "run.log").read_text()
                until(lambda words=words, said=said: says(words, tmp_path, said), command)
    finally:
        if run is not None:
            run.kill()
            run.wait()
        log.close()


def says(words: list[str], folder: Path, wanted: str) -> bool:
    """Whether the command says it. What comes with time is asked for again."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    found = wanted.strip() in done.stdout
    assert found or words[1] in ("tail", "customer", "dead-letters"), done.stdout + done.stderr
    return found
