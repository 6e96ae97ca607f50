"""How Kafka clients connect and who they say they are: settings from the environment and a file.

`ONCUE_KAFKA_CONFIG` names a properties file of librdkafka's settings; `ONCUE_KAFKA_SASL_PASSWORD` and so on
set single ones and count more; `ONCUE_KAFKA_SASL_PASSWORD_FILE` names a file that holds the value. Nothing
is taken from the command line, which everybody on the machine can read. No message here quotes a value of
a setting that can be secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from operators.hints import near

PREFIX = "ONCUE_KAFKA_"
CONFIG = PREFIX + "CONFIG"
PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER")

# What may be set: who and how. All else (isolation, offsets, acknowledgements) oncue's promises rest on.
ALLOWED = frozenset(
    """
    security.protocol sasl.mechanism sasl.username sasl.password
    sasl.oauthbearer.config sasl.oauthbearer.method sasl.oauthbearer.client.id
    sasl.oauthbearer.client.secret sasl.oauthbearer.scope sasl.oauthbearer.extensions
    sasl.oauthbearer.token.endpoint.url
    ssl.ca.location ssl.ca.pem ssl.crl.location ssl.certificate.location ssl.certificate.pem
    ssl.key.location ssl.key.pem ssl.key.password ssl.keystore.location ssl.keystore.password
    ssl.endpoint.identification.algorithm ssl.cipher.suites ssl.curves.list ssl.sigalgs.list
    https.ca.location https.ca.pem
    client.rack client.dns.lookup broker.address.family broker.address.ttl
    socket.keepalive.enable socket.connection.setup.timeout.ms connections.max.idle.ms
    """.split()
)
_FILES = ("ssl.ca.location", "ssl.crl.location", "ssl.certificate.location", "ssl.key.location",
          "ssl.keystore.location", "https.ca.location")  # fmt: skip
_SAME = {"sasl.mechanisms": "sasl.mechanism"}  # librdkafka has two names
_JAVA = {
    "sasl.jaas.config": "write sasl.username and sasl.password",
    "ssl.truststore.location": "write ssl.ca.location with a PEM file "
    "(keytool -exportcert -rfc makes one of a truststore's certificate)",
    "ssl.truststore.password": "ssl.ca.location is a PEM file and needs none",
    "ssl.keystore.type": "ssl.keystore.location is always PKCS#12",
    "sasl.login.callback.handler.class": "write sasl.oauthbearer.method=oidc and its settings",
    "bootstrap.servers": "say it with --brokers",
}


def settings(environment: Mapping[str, str] = os.environ) -> tuple[dict[str, str], list[str]]:
    """The settings, and everything that is wrong with them, in words. They hold secrets: never print them."""
    wrong: list[str] = []
    found: dict[str, str] = {}
    if file := environment.get(CONFIG):
        for place, name, value in _properties(Path(file), wrong):
            _take(found, wrong, place, name, value)
    for variable, value in sorted(environment.items()):
        if not variable.startswith(PREFIX) or variable == CONFIG:
            continue
        name = variable.removeprefix(PREFIX)
        if name.endswith("_FILE"):
            text = _read(variable, Path(value), wrong)
            if text is not None:
                _take(found, wrong, variable, _dotted(name.removesuffix("_FILE")), text.rstrip("\r\n"))
        else:
            _take(found, wrong, variable, _dotted(name), value)
    return found, wrong + _disagreements(found)


def forget() -> None:
    """From here on, this process and its children connect without any of it: to a broker of their own."""
    for variable in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[variable]


def _take(found: dict[str, str], wrong: list[str], place: str, name: str, value: str) -> None:
    name = _SAME.get(name, name)
    if name in ALLOWED:
        found[name] = value
    elif name in _JAVA:
        wrong.append(f"{place}: {name} is a setting of Java clients: {_JAVA[name]}")
    else:
        wrong.append(
            f"{place}: {name} is no setting of how to connect, and oncue sets all others itself"
            f"{near(name, ALLOWED)}"
        )


def _dotted(name: str) -> str:
    return name.lower().replace("_", ".")


def _properties(file: Path, wrong: list[str]) -> list[tuple[str, str, str]]:
    """Place, name and value of every line `name=value`; empty lines and those with # are none."""
    text = _read(CONFIG, file, wrong)
    found = []
    for number, line in enumerate((text or "").splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        name, equals, value = bare.partition("=")
        if equals:
            found.append((f"{file}:{number}", name.strip(), value.strip()))
        else:
            wrong.append(f"{file}:{number}: a line is name=value")
    return found


def _read(variable: str, file: Path, wrong: list[str]) -> str | None:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        wrong.append(f"{variable}: cannot read {file}: {why}")
        return None


def _disagreements(found: dict[str, str]) -> list[str]:
    """What does not fit together, as far as it can be seen without a broker."""
    wrong = []
    protocol = found.get("security.protocol", "plaintext").lower()
    if protocol not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        return [f"security.protocol is {protocol!r}, but must be one of {known}{near(protocol, PROTOCOLS)}"]
    sasl = sorted(name for name in found if name.startswith("sasl."))
    tls = sorted(name for name in found if name.startswith("ssl."))
    if protocol.startswith("sasl"):
        wrong += _sasl(found)
    elif sasl:
        better = "sasl_ssl" if tls or protocol == "ssl" else "sasl_ssl (or sasl_plaintext)"
        wrong.append(f"{', '.join(sasl)} without SASL: write security.protocol={better}")
    if "ssl" not in protocol and tls:
        better = "sasl_ssl" if sasl else "ssl"
        wrong.append(f"{', '.join(tls)} without TLS: write security.protocol={better}")
    certificate = any(f"ssl.certificate.{kind}" in found for kind in ("location", "pem"))
    key = any(f"ssl.key.{kind}" in found for kind in ("location", "pem"))
    if certificate != key:
        there, missing = ("certificate", "key") if certificate else ("key", "certificate")
        wrong.append(f"a client's ssl.{there} needs its ssl.{missing}.location, too")
    for name in _FILES:
        if name in found and not os.access(found[name], os.R_OK):
            wrong.append(f"{name}: cannot read {found[name]}")
    return wrong


def _sasl(found: dict[str, str]) -> list[str]:
    mechanism = found.get("sasl.mechanism", "").upper()
    if mechanism not in MECHANISMS:
        said = f"sasl.mechanism is {mechanism!r}" if mechanism else "sasl.mechanism is missing"
        return [f"{said}: it must be one of {', '.join(MECHANISMS)}{near(mechanism, MECHANISMS)}"]
    if mechanism == "OAUTHBEARER":
        return []
    return [
        f"{name} is missing, which {mechanism} needs: set it in {CONFIG}, {_variable(name)} or "
        f"{_variable(name)}_FILE"
        for name in ("sasl.username", "sasl.password")
        if not found.get(name)
    ]


def _variable(name: str) -> str:
    return PREFIX + name.upper().replace(".", "_")
