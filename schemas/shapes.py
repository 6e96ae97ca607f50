"""Contracts as JSON Schema."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

import msgspec

from schemas.contracts import Contract, slug
from schemas.currency import CODES
from schemas.inbound import PROPERTIES

Schema = dict[str, Any]
_CURRENCIES = sorted(CODES)


def schema(contract: Contract, ref: str = "#/$defs/{name}") -> tuple[Schema, dict[str, Schema]]:
    """The JSON Schema of a contract, and those of the parts it refers to, by name."""
    _, parts = msgspec.json.schema_components([contract.kind], ref_template=ref)
    parts = {name: _with_shared_currency(part, ref) for name, part in parts.items()}
    if contract.direction == "out":
        for part in parts.values():
            fields = part.get("properties", {})
            always = {name for name, field in fields.items() if "default" in field}  # those are written too
            part["required"] = sorted(always.union(part["required"]))
    if ref.format(name="Currency") in str(parts):
        parts["Currency"] = {"title": "Currency", "description": "ISO 4217", "enum": _CURRENCIES}
    return parts.pop(contract.kind.__name__), parts


def of_known_events(ref: str) -> list[Schema]:
    """For a track message: what `properties` must be for each known name. `ref` holds {slug} or {kind}."""
    return [
        {
            "if": {"properties": {"event": {"const": name}}},
            "then": {"properties": {"properties": {"$ref": ref.format(slug=slug(name), kind=kind.__name__)}}},
        }
        for name, kind in PROPERTIES.items()
    ]


def _with_shared_currency(part: Any, ref: str) -> Any:
    """170 codes once instead of wherever there is money."""
    if isinstance(part, list):
        return [_with_shared_currency(each, ref) for each in part]
    if not isinstance(part, dict):
        return part
    if part.get("enum") == _CURRENCIES:
        return {"$ref": ref.format(name="Currency")}
    return {
        name: cleandoc(each)
        if name == "description" and isinstance(each, str)
        else _with_shared_currency(each, ref)
        for name, each in part.items()
    }
