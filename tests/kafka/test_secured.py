"""On a broker with TLS, SCRAM and access control: every command, as a user who may do what docs/security.md
says and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from deploy.kafka.secured import SecuredKafkaBroker
from flows import topics as making
from flows.cli import app
from operators import playbook as playbooks
from tests.conftest import or_skipped
from tests.flows.running import ENGINE, PLAYBOOK
from tests.flows.test_learning import FORETOLD
from tests.flows.test_run import LATER, STORY
from tests.program import PATIENCE, Program, until

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
SECRET = "hush-hush-7f3a"
KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafkaBroker]:
    with or_skipped(SecuredKafkaBroker(tmp_path_factory.mktemp("certificates"))) as broker:
        yield broker


def test_the_page_says_which_part_every_command_is_that_talks_to_kafka() -> None:
    table = PAGE.read_text().split("<!-- commands -->")[1].split("<!-- end -->")[0]
    cells = [line.split("|")[1] for line in table.strip().splitlines()[2:]]
    named = {it.removesuffix(" --brokers") for cell in cells for it in re.findall(r"`([^`]+)`", cell)}
    assert named == set(commands(typer.main.get_command(app())))


def commands(command: Any, name: str = "") -> Iterator[str]:
    """The names of those that take --brokers."""
    for word, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{name} {word}".strip())
    if any("--brokers" in option.opts for option in command.params):
        yield name


def rows() -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Who, kind of resource, names and operations of every row of the page's table."""
    table = PAGE.read_text().split("<!-- acls -->")[1].split("<!-- end -->")[0]
    for line in table.strip().splitlines()[2:]:
        who, kind, names, operations = (cell.strip() for cell in line.strip("|").split("|"))
        yield who, kind, re.findall(r"`([^`]+)`", names), operations.split(", ")


def bindings(who: str, user: str, scope: str, inputs: list[str]) -> list[AclBinding]:
    """What the page gives `who`, for a user."""
    found = []
    for listed, kind, names, operations in rows():
        if listed != who:
            continue
        whole = [name for pattern in names for name in (inputs if pattern == "{input}" else [pattern])]
        for name in (name.replace("{scope}", scope) for name in whole):
            pattern = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
            found += [
                AclBinding(
                    KINDS[kind], name.rstrip("*"), pattern, f"User:{user}", "*",
                    AclOperation[re.sub(r"(?<!^)(?=[A-Z])", "_", operation).upper()],
                    AclPermissionType.ALLOW,
                )
                for operation in operations
            ]  # fmt: skip
    assert found, f"the page has no row for {who}"
    return found


class Shop:
    """A scope on the secured broker, and a user for each part of oncue."""

    def __init__(self, broker: SecuredKafkaBroker, scope: str, folder: Path) -> None:
        self.broker, self.scope, self.folder = broker, scope, folder
        self.config = folder / "playbook.yaml"
        engine = ", ".join(f"{key}: {value}" for key, value in ENGINE.items())
        self.config.write_text(
            PLAYBOOK.format(scope=scope, sources="web: {}", reference="prices: {}", wait="15m", engine=engine)
            + FORETOLD
        )
        self.book = playbooks.load(self.config.read_text())
        self._programs: list[Program] = []

    def user(self, *roles: str) -> str:
        name = f"{self.scope}-{roles[0].replace(' ', '-')}"
        self.broker.add(name, SECRET)
        for who in roles:
            self.broker.allow(bindings(who, name, self.scope, self.book.inputs))
        return name

    def oncue(self, user: str, *words: object, password: str = SECRET) -> Program:
        """A command as that user; its password comes from a file."""
        folder = self.folder / str(len(self._programs))
        folder.mkdir()
        settings = self.broker.settings(user)
        del settings["sasl.password"]
        (folder / "kafka.properties").write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
        (folder / "password").write_text(password + "\n")
        program = Program(
            folder / "said", *words, "--brokers", self.broker.scram,
            env={
                "ONCUE_KAFKA_CONFIG": str(folder / "kafka.properties"),
                "ONCUE_KAFKA_SASL_PASSWORD_FILE": str(folder / "password"),
            },
        )  # fmt: skip
        self._programs.append(program)
        return program

    def ask(self, user: str, *words: object) -> str:
        program = self.oncue(user, *words)
        assert program.wait(4 * PATIENCE) == 0, program.said  # a rehearsal is two runs one after the other
        return program.said

    def close(self) -> None:
        for program in self._programs:
            program.end()


@pytest.fixture
def shop(secured: SecuredKafkaBroker, scope: str, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(secured, scope, tmp_path)
    yield made
    made.close()


def test_each_part_does_its_work_with_what_the_page_allows_it(shop: Shop) -> None:
    config = ("--config", shop.config)
    said = shop.ask(shop.user("topics"), "topics", "create", *config, "--partitions", 2)
    assert set(said.split()) == {topic.topic for topic in making.wanted(shop.book, 2)}
    lines = shop.folder / "events.jsonl"
    lines.write_bytes(b"\n".join((*STORY, LATER)) + b"\n")
    shop.ask(shop.user("a sender"), "produce", lines, "--topic", shop.book.inputs[-1])
    sections = "run with `churn` in the playbook", "run with `intent` in the playbook", "run with either"
    runner, operator = shop.user("run", *sections), shop.user("operator")
    shop.ask(operator, "finish", *config)

    run = shop.oncue(runner, "run", *config, "--state", shop.folder / "state", "--workers", 2)
    until(run.members, "workers")
    for process in (run.process.pid, *run.members()):
        assert SECRET.encode() not in Path(f"/proc/{process}/cmdline").read_bytes()
    assert run.wait(2 * PATIENCE) == 0, run.said
    assert SECRET not in run.said
    assert "cart_abandoned" in shop.ask(operator, "tail", f"{shop.scope}.triggers", "--once")
    assert "balanced" in shop.ask(operator, "ledger", *config)
    assert committed(shop.broker, f"oncue-{shop.scope}", f"{shop.scope}.web") == len(STORY) + 1
    assert "cart_abandoned" in shop.ask(operator, "customer", "ann", "--state", shop.folder / "state")
    shop.ask(shop.user("learn"), "learn", *config, "--state", shop.folder / "learner", "--once")
    shop.ask(shop.user("models"), "models", "list", *config)
    shop.ask(shop.user("choice of models"), "models", "promote", *config, "logistic", "--subject", "churn")
    replaying = shop.user("replay", "replay with `--compare`")
    shop.ask(replaying, "replay", *config, "--state", shop.folder / "again", "--compare")
    rehearsed = shop.ask(shop.user("rehearse"), "rehearse", shop.config, "--against", shop.config)
    assert "could not be removed" not in rehearsed
    promoting = shop.user("promote")
    live = ("--live", shop.folder / "state")
    shop.ask(promoting, "promote", shop.folder / "again", *live)
    shop.ask(promoting, "promote", "--undo", *live)
    sender = shop.user("replay of dead letters")
    assert "1 sent again" in shop.ask(sender, "dead-letters", "replay", *config, "--yes")


def committed(broker: SecuredKafkaBroker, group: str, topic: str) -> int:
    """The group's offsets in a topic of two partitions, added up."""
    client = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    found = client.committed([TopicPartition(topic, p) for p in range(2)], timeout=PATIENCE)
    client.close()
    return sum(max(0, part.offset) for part in found)


def test_who_may_not_is_told_what_is_missing(shop: Shop) -> None:
    making.create(shop.book, shop.broker.bootstrap)
    shop.broker.add(f"{shop.scope}-nobody", SECRET)
    program = shop.oncue(
        f"{shop.scope}-nobody", "run", "--config", shop.config, "--state", shop.folder / "state"
    )
    assert program.wait() == 2
    for words in (f"{shop.scope}.web", f"{shop.scope}.order", "docs/security.md"):
        assert words in program.said


def test_a_wrong_password_is_called_one_and_never_shown(shop: Shop) -> None:
    user = shop.user("operator")
    program = shop.oncue(user, "tail", f"{shop.scope}.triggers", password="wr0ng-w0rds")
    assert program.wait() == 2
    assert "refuses this client" in program.said
    assert "invalid credentials" in program.said
    assert "wr0ng-w0rds" not in program.said


def test_a_client_with_a_certificate_is_let_in(
    secured: SecuredKafkaBroker, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in secured.certificate().items():
        monkeypatch.setenv("ONCUE_KAFKA_" + name.upper().replace(".", "_"), value)
    book = playbooks.load(
        PLAYBOOK.format(scope=scope, sources="web: {}", reference="", wait="15m", engine="")
    )
    secured.allow(bindings("topics", "CN=client", scope, []))
    assert f"{scope}.order" in making.create(book, secured.certified)
    assert making.differing(book, secured.certified) == []
