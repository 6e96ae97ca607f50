"""Where things are in a playbook."""

from typing import Any

import pytest
import yaml

from flows.playbooks import retail
from operators.yamlfile import Items, Located, load


def with_lines(found: Any) -> Any:
    if isinstance(found, Located):
        return found.line, found.lines, {key: with_lines(value) for key, value in found.items()}
    if isinstance(found, Items):
        return found.lines, [with_lines(item) for item in found]
    return found


def test_every_key_knows_its_line() -> None:
    found = load("scope: shop\nsources:\n  web: {}\n  app:\n    topic: clicks\n")
    assert found.lines == {"scope": 1, "sources": 2}
    assert found["sources"].lines == {"web": 3, "app": 4}


def test_without_libyaml_it_finds_the_same_in_the_same_places(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = with_lines(load(retail()))
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert with_lines(load(retail())) == quick
