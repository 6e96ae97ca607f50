"""What docs/playbook.md says a playbook does, it does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from typer.main import get_command

from flows import cli
from operators import playbook as playbooks
from schemas import playbook as form
from tests.docs.examples import Example, blocks, examples, results, whole
from tests.events import retail

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "playbook.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("example", examples(GUIDE), ids=lambda example: f"line {example.line}")
def test_the_example_does_what_the_guide_says(example: Example) -> None:
    assert results(example) == example.result.splitlines()


@pytest.mark.parametrize("page", [GUIDE, ROOT / "README.md"], ids=lambda page: page.name)
def test_every_piece_of_a_playbook_is_a_good_one(page: Path) -> None:
    for line, language, text in blocks(page):
        if language == "yaml":
            playbooks.load(whole(text), f"{page.name}, line {line}")


def test_every_trigger_that_ships_has_an_example() -> None:
    shown = {rule for it in examples(GUIDE) for rule in re.findall(r"trigger (\w+)", it.result)}
    assert set(retail().rules) - shown == set()


def test_every_section_key_and_setting_is_explained() -> None:
    text = GUIDE.read_text()
    sections = {field.name: field.type for field in msgspec.structs.fields(form.Playbook)}
    missing = [name for name in sections if f"`{name}`" not in text]
    for kind in (
        form.Source,
        form.Identifier,
        form.Measure,
        form.Feature,
        form.Trigger,
        form.Channel,
        form.Profiles,
    ):
        missing += [
            f"{kind.__name__}.{field.name}"
            for field in msgspec.structs.fields(kind)
            if not re.search(rf"`{field.name}\b", text)
        ]
    missing += [aggregate for aggregate in form.Aggregate.__args__ if f"`{aggregate}`" not in text]
    assert missing == []


def test_the_settings_are_as_the_guide_has_them() -> None:
    rows = dict(re.findall(r"^\| `engine\.(\w+)` \| (\S+) \|", GUIDE.read_text(), re.M))
    assert rows == {
        field.name: str(field.default).replace("_", "") for field in msgspec.structs.fields(form.Engine)
    }


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    said = {
        f"{group} {name}"
        for group, names in re.findall(r"`oncue ([a-z-]+) ([a-z /]+)", text)
        for name in names.strip().split(" / ")
    }
    missing = []
    for name, command in get_command(cli.app()).commands.items():
        below = getattr(command, "commands", None)
        missing += [f"{name} {one}" for one in below or () if f"{name} {one}" not in said]
        if below is None and not re.search(rf"`oncue {name}\b", text):
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
