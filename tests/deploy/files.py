"""The files of deploy/ as data, and what a command line in them must be like."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import typer
import yaml

from flows.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
HERE = Path(__file__).parent


def load(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def schema(name: str) -> Any:
    return json.loads(gzip.decompress((HERE / f"{name}.schema.json.gz").read_bytes()))


def overlay(name: str, component: str = "") -> dict[tuple[str, str], Any]:
    """What kustomize makes of an overlay, and of a component in it, by kind and name."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on PATH, which builds the overlays (Debian: kubernetes-client)")
    with TemporaryDirectory() as copy:
        shutil.copytree(DEPLOY / "kubernetes", copy, dirs_exist_ok=True)
        folder = Path(copy) / "overlays" / name
        if component:
            with (folder / "kustomization.yaml").open("a") as file:
                file.write(f"components: [../../components/{component}]\n")
        return _built(folder)


def _built(folder: Path) -> dict[tuple[str, str], Any]:
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {(it["kind"], it["metadata"]["name"]): it for it in yaml.safe_load_all(done.stdout)}


def accepts(words: list[str]) -> None:
    """The program has such a command with such options, and all that it needs are there."""
    command: Any = typer.main.get_command(app())
    while hasattr(command, "commands"):
        assert words[0] in command.commands, f"there is no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    with command.make_context(command.name, list(words)):
        pass
