"""Validators of the published contracts, by name: `published("outbound.trigger").validate(body)`."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from schemas import compat

FILES = {path.name: json.loads(path.read_text()) for path in compat.FOLDER.glob("*.json")}
_REGISTRY: Registry[Any] = Registry().with_resources(
    [(name, Resource.from_contents(content)) for name, content in FILES.items() if "$schema" in content]
)


@cache
def published(name: str) -> Draft202012Validator:
    return Draft202012Validator(FILES[f"{name}.schema.json"], registry=_REGISTRY)


def check_output(headers: dict[str, str], body: Any) -> None:
    """Raises jsonschema.ValidationError when a record is not as published."""
    published("outbound.headers").validate(headers)
    published(f"outbound.{headers['ce_type'].split('.')[1]}").validate(body)
