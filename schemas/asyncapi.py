"""All topics of a scope as an AsyncAPI 3 document, seen from oncue: it receives events and reference data,
and sends what comes of them."""

from __future__ import annotations

from typing import Any

from schemas import outbound, topics
from schemas.contracts import CONTRACTS, version
from schemas.messages import MESSAGES
from schemas.reference import RECORDS
from schemas.shapes import of_known_events, schema

REF = "#/components/schemas/{name}"
# Which messages an output topic carries, and what their ce_type looks like.
CARRIES = {
    "triggers": {"trigger": "oncue.trigger.<rule>", "trigger-cancelled": "oncue.trigger-cancelled.<rule>"},
    "profiles": {"profile": "oncue.profile"},
    "identities": {"identity": "oncue.identity.merged"},
    "decisions": {"decision": "oncue.decision.<reason>"},
    "dead-letters": {"dead-letter": "oncue.dead-letter"},
    "ledger": {"ledger": "oncue.ledger"},
}


def document() -> dict[str, Any]:
    """The document as plain data."""
    addresses = topics.published()
    carried = {
        "events": [f"inbound.{name}" for name in MESSAGES],
        **{name: [f"reference.{name}"] for name in RECORDS},
        **{name: [f"outbound.{message}" for message in messages] for name, messages in CARRIES.items()},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "oncue",
            "version": version("topics"),
            "description": "Customer events and reference data in, triggers and what belongs to them out. "
            "Generated from schemas/; see docs/contracts.md.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "Consumers set isolation.level=read_committed.",
                "variables": {"bootstrap": {"default": "localhost:9092"}},
            }
        },
        "channels": {name: _channel(addresses[name], messages) for name, messages in carried.items()},
        "operations": {
            name: {
                "action": "send" if name in CARRIES else "receive",
                "channel": {"$ref": f"#/channels/{name}"},
                "messages": [{"$ref": f"#/channels/{name}/messages/{it}"} for it in messages],
            }
            for name, messages in carried.items()
        },
        "components": {
            "messages": {
                name: _message(name, addresses[topic]["key"])
                for topic, messages in carried.items()
                for name in messages
            },
            "schemas": _schemas(),
        },
    }


def _channel(topic: dict[str, str], messages: list[str]) -> dict[str, Any]:
    named = {"scope": "The scope of the playbook.", "source": "A source of the playbook, such as web."}
    return {
        "address": topic["address"],
        "description": f"Record key: {topic['key']}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "parameters": {
            name: {"description": text} for name, text in named.items() if f"{{{name}}}" in topic["address"]
        },
        "bindings": {
            "kafka": {"topicConfiguration": {"cleanup.policy": [topic["cleanup"]]}, "bindingVersion": "0.5.0"}
        },
    }


def _message(name: str, key: str) -> dict[str, Any]:
    contract = next(it for it in CONTRACTS if it.name == name)
    message: dict[str, Any] = {
        "name": name,
        "title": contract.kind.__name__,
        "contentType": "application/json",
        "x-schemaver": version(name),
    }
    if contract.direction == "out":
        _, _, short = name.partition(".")
        kind = next(messages[short] for messages in CARRIES.values() if short in messages)
        message["summary"] = f"CloudEvents 1.0, binary mode; ce_type {kind}"
        message["headers"] = {"$ref": REF.format(name=outbound.Headers.__name__)}
    message["payload"] = {"$ref": REF.format(name=contract.kind.__name__)}
    message["bindings"] = {
        "kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}
    }
    return message


def _schemas() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for contract in CONTRACTS:
        if contract.direction == "file":
            continue
        top, parts = schema(contract, REF)
        if contract.name == "inbound.track":
            top["allOf"] = of_known_events("#/components/schemas/{kind}")
        for name, part in {contract.kind.__name__: top, **parts}.items():
            if found.setdefault(name, part) != part:
                raise ValueError(f"two contracts have different parts named {name}; rename one")
    return dict(sorted(found.items()))
