"""Whether a change would break an existing sender or consumer: `python -m schemas.compat`.

The generated contracts are compared with those last released, in `schemas/released/`. Versions are SchemaVer:

- MODEL, when somebody breaks. A sender does when we no longer accept all that we accepted; a consumer does
  when we send anything that was not allowed before, or leave out what was always or sometimes there.
- REVISION, when a sender might: a property that was not looked at is now checked.
- ADDITION, for any other change.

`--release` makes the generated contracts the released ones, when their versions are right.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "generated"
RELEASED = Path(__file__).parent / "released"
ADDITION, REVISION, MODEL = 1, 2, 3
_NAMES = {ADDITION: "ADDITION", REVISION: "REVISION", MODEL: "MODEL"}
_AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "multipleOf", "contentEncoding")
_WORDS = ("description", "title", "x-schemaver", "$schema")

Schema = dict[str, Any]


class Change(NamedTuple):
    """`path` is that of the value in the JSON, `$.products[].price`."""

    severity: int
    path: str
    text: str


def sender_changes(was: Schema, now: Schema) -> list[Change]:
    """What a change means for senders."""
    found = _Comparison(was, now, now_is_wider=True).run()
    found += [
        Change(REVISION, "$.properties", f"of {name} was not looked at, is checked")
        for name in sorted(_events(now) - _events(was))
    ]
    return found or _any(was, now)


def consumer_changes(was: Schema, now: Schema) -> list[Change]:
    """What a change means for consumers."""
    found = _Comparison(was, now, now_is_wider=False).run()
    return found or _any(was, now)


def topic_changes(was: Schema, now: Schema) -> list[Change]:
    """Names, keys and clean-up of topics."""
    found = []
    for name, old in was["topics"].items():
        new = now["topics"].get(name)
        if new is None:
            found.append(Change(MODEL, name, "the topic was removed"))
            continue
        for what, value in old.items():
            if new.get(what) != value:
                found.append(Change(MODEL, f"{name}.{what}", f"was {value!r}, is {new.get(what)!r}"))
    return found or _any(was, now)


class _Comparison:
    """Finds where the narrower schema allows what the wider one does not. For senders the new schema must
    be the wider one, for consumers the old."""

    def __init__(self, was: Schema, now: Schema, now_is_wider: bool) -> None:
        self.roots = (now, was) if now_is_wider else (was, now)
        self.now_is_wider = now_is_wider

    def run(self) -> list[Change]:
        return self.compare(*self.roots, "$")

    def compare(self, wide: Schema, narrow: Schema, path: str) -> list[Change]:
        found: list[Change] = []
        wides = _branches(wide, self.roots[0])
        for branch in _branches(narrow, self.roots[1]):
            tried = [self.branch(candidate, branch, path) for candidate in wides]
            best = min(
                tried, key=lambda changes: (max((c.severity for c in changes), default=0), len(changes))
            )
            found += best
        return found

    def branch(self, wide: Schema, narrow: Schema, path: str) -> list[Change]:
        wide_values, narrow_values = _values(wide), _values(narrow)
        if wide_values is not None:
            if narrow_values is None:
                return [self.change(path, "any value", wide_values, narrow=_kind(narrow))]
            extra = [value for value in narrow_values if value not in wide_values]
            return [self.change(path, f"the value {value!r}", None) for value in extra]
        if narrow_values is not None:
            narrow = _limits_of(narrow_values)
        if not _kind(wide):
            return []
        if _kind(wide) != _kind(narrow) and (_kind(wide), _kind(narrow)) != ("number", "integer"):
            return [self.change(path, _kind(narrow) or "any value", _kind(wide))]
        found = self.limits(wide, narrow, path)
        if _kind(wide) == "object":
            found += self.object(wide, narrow, path)
        if _kind(wide) == "array":
            found += self.compare(wide.get("items", {}), narrow.get("items", {}), f"{path}[]")
        return found

    def limits(self, wide: Schema, narrow: Schema, path: str) -> list[Change]:
        found = []
        for name in (*_AT_LEAST, *_AT_MOST, *_EXACT):
            limit, other = wide.get(name), narrow.get(name)
            if limit is None or limit == other:
                continue
            if other is not None and name in _AT_LEAST and other >= limit:
                continue
            if other is not None and name in _AT_MOST and other <= limit:
                continue
            was, now = (other, limit) if self.now_is_wider else (limit, other)
            found.append(Change(MODEL, path, f"{name} was {_show(was)}, is {_show(now)}"))
        return found

    def object(self, wide: Schema, narrow: Schema, path: str) -> list[Change]:
        found = []
        mine, theirs = wide.get("properties", {}), narrow.get("properties", {})
        for name in sorted(set(wide.get("required", ())) - set(narrow.get("required", ()))):
            if name not in theirs and not self.now_is_wider:
                continue  # removed altogether
            text = "is required now" if self.now_is_wider else "is not always there any more"
            found.append(Change(MODEL, f"{path}.{name}", text))
        for name, schema in mine.items():
            if name in theirs:
                found += self.compare(schema, theirs[name], f"{path}.{name}")
            elif not self.now_is_wider:
                found.append(Change(MODEL, f"{path}.{name}", "was removed"))
            elif name not in wide.get("required", ()):
                found.append(Change(REVISION, f"{path}.{name}", "was not looked at, is checked"))
        rest, others = wide.get("additionalProperties", {}), narrow.get("additionalProperties", {})
        if isinstance(rest, dict) and isinstance(others, dict):
            found += self.compare(rest, others, f"{path}.*")
        elif rest is False and others is not False:
            found.append(self.change(f"{path}.*", "another property", None))
        return found

    def change(self, path: str, what: str, allowed: Any, narrow: str = "") -> Change:
        what = narrow or what
        if self.now_is_wider:
            text = f"{what} was accepted, is not" + (f": {allowed} is wanted" if allowed else "")
        else:
            text = f"{what} may be sent, was not" + (f": it was {allowed}" if allowed else "")
        return Change(MODEL, path, text)


def _events(track: Schema) -> set[str]:
    """The events whose properties a track message checks."""
    return {case["if"]["properties"]["event"]["const"] for case in track.get("allOf", ())}


def _branches(schema: Schema, root: Schema) -> list[Schema]:
    """The alternatives of a schema, with references followed."""
    if "$ref" in schema:
        return _branches(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return [branch for each in schema["anyOf"] for branch in _branches(each, root)]
    kind = schema.get("type")
    if isinstance(kind, list):
        return [{**schema, "type": each} for each in kind]
    values = _values(schema)
    if values is not None:
        return [
            {"enum": [value for value in values if _type_of(value) == each]}
            for each in sorted({_type_of(value) for value in values})
        ]
    return [schema]


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _kind(schema: Schema) -> str:
    return str(schema.get("type", ""))


def _limits_of(values: list[Any]) -> Schema:
    """The narrowest type that holds values of one type."""
    kind = _type_of(values[0])
    if kind == "string":
        return {"type": kind, "minLength": min(map(len, values)), "maxLength": max(map(len, values))}
    if kind in ("integer", "number"):
        return {"type": kind, "minimum": min(values), "maximum": max(values)}
    return {"type": kind}


def _type_of(value: Any) -> str:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    return kinds[type(value)]


def _show(limit: Any) -> str:
    return "none" if limit is None else repr(limit)


def _any(was: Schema, now: Schema) -> list[Change]:
    """A change that breaks nobody."""
    return [] if _meaning(was) == _meaning(now) else [Change(ADDITION, "$", "changed compatibly")]


def _meaning(schema: Any) -> Any:
    """A schema without its words."""
    if isinstance(schema, list):
        return [_meaning(each) for each in schema]
    if isinstance(schema, dict):
        return {k: _meaning(v) for k, v in schema.items() if k not in _WORDS or isinstance(v, dict)}
    return schema


def mistakes(released: dict[str, Schema], generated: dict[str, Schema]) -> list[str]:
    """One line for each change whose version says too little, by file name."""
    found = []
    for name, was in released.items():
        contract = name.removesuffix(".json").removesuffix(".schema")
        now = generated.get(name)
        if now is None:
            if not contract.startswith("inbound."):
                found.append(f"{contract}: the contract was removed, and somebody may depend on it")
            continue
        if contract == "topics":
            changes = topic_changes(was, now)
        elif contract.startswith("outbound."):
            changes = consumer_changes(was, now)
        else:
            changes = sender_changes(was, now)
        before, after = was["x-schemaver"], now["x-schemaver"]
        severity = max((change.severity for change in changes), default=0)
        if _raised(before, after) < severity:
            need = _next(before, severity)
            found += [
                f"{contract} {before} -> {after}: {change.path}: {change.text} ({_NAMES[change.severity]})"
                for change in changes
            ]
            found.append(f"{contract}: undo that, or say {need} in VERSIONS of schemas/contracts.py")
        elif not severity and before != after:
            found.append(f"{contract}: says {after}, but nothing has changed since {before}")
    return found


def _raised(before: str, after: str) -> int:
    """The most important part of the version that was raised; 0 when it is no later version."""
    old, new = (tuple(map(int, text.split("-"))) for text in (before, after))
    if new <= old:
        return 0
    return next(MODEL - i for i in range(3) if new[i] != old[i])


def _next(version: str, severity: int) -> str:
    parts = [int(part) for part in version.split("-")]
    at = MODEL - severity
    return "-".join(map(str, [*parts[:at], parts[at] + 1, *[0] * (severity - 1)]))


def _read(folder: Path) -> dict[str, Schema]:
    """The contracts in a folder. The playbook is on no topic."""
    return {
        path.name: json.loads(path.read_text())
        for path in sorted(folder.glob("*.json"))
        if not path.name.startswith("playbook.")
    }


def main() -> int:
    found = mistakes(_read(RELEASED), _read(FOLDER))
    for line in found:
        print(line, file=sys.stderr)
    if not found and "--release" in sys.argv:
        RELEASED.mkdir(exist_ok=True)
        for path in RELEASED.glob("*.json"):
            path.unlink()
        for name in _read(FOLDER):
            (RELEASED / name).write_text((FOLDER / name).read_text())
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
