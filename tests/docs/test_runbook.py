"""docs/runbook.md: its procedures run as written; what is for Kubernetes names what the manifests make."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from deploy.kafka.broker import BRIEF, LIB
from flows.cli import app
from operators import yamlfile
from tests.brokers import RealBroker
from tests.deploy.files import DEPLOY, ROOT, load, overlay
from tests.docs.examples import shim
from tests.events import track
from tests.flows.collector import Port
from tests.flows.conftest import Maker, scoped
from tests.flows.running import Scope
from tests.flows.test_run import LATER, STORY
from tests.program import PATIENCE, Program, until

__all__ = ["scoped"]  # a fixture

PAGE = (ROOT / "docs" / "runbook.md").read_text()
STOP = "# stop: SIGTERM, exit code 0"
CHANGES = (
    "# install the new version, or write the new playbook",
    "# write the old playbook",
    "# install the old version",
)
KUBERNETES = "On Kubernetes"


def section(name: str) -> str:
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def lines(text: str) -> list[str]:
    """Of its indented blocks."""
    return [it.strip() for it in text.splitlines() if it.startswith("    ")]


def inline(text: str) -> list[str]:
    """Commands between backticks that are whole: nothing in them is left to the reader."""
    found = re.findall(r"`((?:oncue|du) [^`]+)`", text)
    return [it for it in found if "..." not in it and not re.search(r"\b[A-Z]{2,}\b", it) and "$" in it]


def procedure(name: str) -> list[str]:
    return lines(section(name).partition(KUBERNETES)[0])


def changed(playbook: str) -> str:
    """Each cure of an alert that is a change of the playbook."""
    raw = yamlfile.load(playbook)
    del raw["sources"]["app"]  # OncueWatermarkHeldBack
    raw["identifiers"]["email"] = {"junk": ["orders@shop.example"]}  # OncueMergesBlocked
    raw["engine"]["epoch"] = "500ms"  # OncuePauses
    del raw["triggers"]["cart_abandoned"]  # OncueModelWorse
    return json.dumps(raw)


def kafka_configs(folder: Path) -> None:
    """Kafka's own tool, under the name that the page calls it by."""
    tool = folder / "kafka-configs.sh"
    java = shlex.join(["java", *BRIEF, "-cp", f"{LIB}/*", "kafka.admin.ConfigCommand"])
    tool.write_text(f'#!/bin/sh\nexec {java} "$@"\n')
    tool.chmod(0o755)


def write(file: Path, text: str) -> None:
    file.write_text(text)


class Operator:
    """Does what the page says, by hand as it were: commands one after the other, a run beside them. `version`
    is the module that is installed as oncue."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._folder = shim(scope.folder)
        kafka_configs(self._folder)
        self.names = {
            "B": scope.broker.bootstrap, "C": str(scope.config), "S": str(scope.state),
            "U": str(scope.folder / "backups"),
        }  # fmt: skip
        self.run: Program | None = None
        self.version = "flows.cli"

    def does(self, listed: list[str], change: Callable[[], None] = lambda: None) -> None:
        for line in listed:
            if line == STOP:
                self.stops()
            elif line in CHANGES:
                change()
            elif line.startswith("oncue run "):
                self.starts(line)
            elif not line.startswith("N="):
                said = self.asks(line)
                if line.endswith("to go back to"):
                    self.names["N"] = said.partition(":")[0]

    def starts(self, line: str) -> None:
        words = shlex.split(re.sub(r"\$(\w)", lambda it: self.names[it[1]], line), comments=True)
        more = () if "--telemetry-port" in words else ("--telemetry-port", "0")
        self.run = self._scope.oncue(
            *("0" if it == "9464" else it for it in words[1:]), *more, module=self.version
        )
        if line.endswith("exit code 2"):
            assert self.run.wait() == 2, self.run.said
            assert "made by a newer oncue" in self.run.said
        else:
            port = Port(self.run)
            until(lambda: port.ask("/readyz")[0] == 200, f"ready after: {line}")

    def asks(self, line: str) -> str:
        path = f"{self._folder}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", line.replace("<scope>", self._scope.name)], cwd=self._scope.folder, text=True,
            capture_output=True, timeout=2 * PATIENCE, env={**os.environ, **self.names, "PATH": path},
        )  # fmt: skip
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def ails(self, why: str) -> None:
        assert self.run is not None
        assert self.run.wait() == 2, self.run.said
        assert why in self.run.said

    def stops(self) -> None:
        assert self.run is not None
        assert self.run.stop() == 0, self.run.said
        self.run = None


def test_every_procedure_works_as_it_is_written(kafka: RealBroker, scoped: Maker) -> None:
    """One after the other on the same scope, with events before and after; nothing is lost or sent twice."""
    scope = scoped(kafka, topics=False, sources=("web", "app"), shards="4")
    operator = Operator(scope)
    playbook_back, program_back = (lines(it) for it in section("Rollback").split("*The program.*"))
    old = scope.config.read_text()
    operator.does(procedure("Start"))
    raise_limit = next(it for it in lines(PAGE) if it.startswith("kafka-configs.sh"))
    operator.asks(raise_limit.replace("=16777216", "=100"))
    scope.send(track("Product Viewed", -1, user="ann", product_id="p0"), *STORY)  # two who become one
    operator.ails(f"{scope.topic('moves')} does not take a record of")
    operator.asks(raise_limit)
    operator.does(procedure("Start")[-1:])
    scope.await_records("dead-letters", 1, operator.run)
    until(lambda: scope.known("bob", operator.run), "a checkpoint with the customers")
    operator.does(procedure("Upgrade"), lambda: write(scope.config, changed(old)))
    operator.does(playbook_back, lambda: write(scope.config, old))
    operator.does(procedure("More or fewer workers"))
    operator.does(procedure("Upgrade"), lambda: setattr(operator, "version", "tests.docs.newer"))
    scope.send(LATER)
    scope.await_records("triggers", 1, operator.run)
    operator.does(program_back, lambda: setattr(operator, "version", "flows.cli"))
    operator.stops()
    operator.does(procedure("Restore"))
    scope.finish()
    assert operator.run is not None
    assert operator.run.wait() == 0, operator.run.said
    assert len(scope.records("triggers")) == len(scope.records("decisions")) == 1
    alerts = PAGE.partition("## Start")[0]
    for look in {it for it in (*lines(alerts), *inline(alerts)) if it.startswith(("oncue ", "du "))}:
        operator.asks(look)


def test_every_command_of_the_page_has_the_options_that_it_is_given() -> None:
    commands = [it for it in (*lines(PAGE), *re.findall(r"`([^`]+)`", PAGE)) if it.startswith("oncue ")]
    assert len(commands) > 15
    for text in commands:
        command: Any = typer.main.get_command(app())
        words = text.partition("#")[0].split()[1:]
        while hasattr(command, "commands"):
            assert words[0] in command.commands, text
            command, words = command.commands[words[0]], words[1:]
        known = {option for it in command.params for option in it.opts}
        assert {it.partition("=")[0] for it in words if it.startswith("--")} <= known, text


def kubectl() -> list[list[str]]:
    found = [*lines(PAGE), *re.findall(r"`(kubectl [^`]+)`", PAGE)]
    found += lines((ROOT / "docs" / "deployment.md").read_text())
    return [shlex.split(part) for it in found for part in it.split(" | ") if part.startswith("kubectl ")]


def test_commands_for_kubernetes_name_what_the_manifests_make() -> None:
    base = DEPLOY / "kubernetes" / "base"
    whole, oncue = load(base / "kustomization.yaml"), load(base / "statefulset.yaml")
    pod = oncue["spec"]["template"]["spec"]
    names = {
        ("statefulset", oncue["metadata"]["name"]),
        ("pod", f"{oncue['metadata']['name']}-0"),
        ("namespace", whole["namespace"]),
        *(("configmap", it["configMap"]["name"]) for it in pod["volumes"] if "configMap" in it),
        *(("secret", it["secret"]["secretName"]) for it in pod["volumes"] if "secret" in it),
    }
    label = "=".join(*oncue["spec"]["selector"]["matchLabels"].items())
    containers = {it["name"]: it for it in pod["containers"]}
    mounted = {it["mountPath"] for it in containers["oncue"]["volumeMounts"]}
    assert len(kubectl()) > 10
    for words in kubectl():
        options = dict(pairwise(words))
        assert options.get("-n", whole["namespace"]) == whole["namespace"], words
        assert options.get("-l", label) == label, words
        if "-k" in options:
            assert (ROOT / options["-k"] / "kustomization.yaml").exists(), words
        if "-c" in options:
            assert options["-c"] in containers, words
        for kind, name in pairwise(words):
            if kind in ("statefulset", "pod", "configmap", "namespace"):
                assert name.startswith("-") or (kind, name) in names, words
            if kind in ("exec", "logs"):
                assert ("pod", name) in names, words
            if kind == "generic":
                assert ("secret", name) in names, words
        if "--" in words:
            inside = words[words.index("--") + 1 :]
            assert f'ENTRYPOINT ["{inside[0]}"]' in (ROOT / "Dockerfile").read_text()
            file = Path(inside[inside.index("--config") + 1])
            assert str(file.parent) in mounted, words
            assert f"--config={file}" in containers["oncue"]["args"]
    assert f"S is `{next(it for it in mounted if it == '/state')}`" in PAGE


def test_the_secret_that_is_to_be_made_has_what_the_connection_asks_for() -> None:
    made = next(it for it in kubectl() if "generic" in it)
    keys = {it.partition("=")[2].partition("=")[0] for it in made if it.startswith("--from-")}
    container = load(DEPLOY / "kubernetes" / "base" / "statefulset.yaml")["spec"]["template"]["spec"]
    asked = {Path(it["value"]).name for it in container["containers"][0]["env"] if "_FILE" in it["name"]}
    properties = (DEPLOY / "kubernetes" / "base" / "kafka.properties").read_text()
    asked |= {Path(it).name for it in re.findall(r"=(/etc/oncue/secret/\S+)", properties)}
    assert keys == asked


@pytest.mark.parametrize("name", ["one", "three"])
def test_the_playbook_is_where_the_page_puts_it(name: str, tmp_path: Path) -> None:
    """What `create configmap` of the page makes is what the pods of an overlay mount."""
    words = next(it for it in kubectl() if "configmap" in it and "--dry-run=client" in it)
    (tmp_path / "my.yaml").write_text("scope: shop\n")
    built = overlay(name)
    made = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    volumes = built["StatefulSet", "oncue"]["spec"]["template"]["spec"]["volumes"]
    wanted = next(it["configMap"]["name"] for it in volumes if it["name"] == "playbook")
    assert f"name: {wanted}\n" in made
    assert "playbook.yaml: |" in made
