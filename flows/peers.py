"""One process of a cluster whose others run elsewhere: on other machines, or in other pods.

All are told the same list of addresses, and each finds itself in it. Bytewax connects them; when one ends,
the others lose the connection and end too, each is started again by its supervisor, and all go on from the
last common epoch. They share the state directory: a shard's next owner opens what the last one left.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple

from schemas.mendable import Mendable


class BadPeers(Mendable, ValueError):
    """The list of peers cannot be meant so; the message has all mistakes."""


class Peers(NamedTuple):
    """Where each process listens, in the order of their numbers, and which of them this is."""

    addresses: tuple[str, ...]
    number: int


def parse(text: str, number: int | None = None, name: str = "") -> Peers:
    """Of host:port, separated by commas. This is the one with that `number`, or else the one whose host
    begins with the `name` of this machine. Raises BadPeers.

    Its own address it listens on; a name there may not be known yet when it starts, so it listens on all
    addresses instead.

    >>> parse("oncue-0.oncue:2101,oncue-1.oncue:2101", name="oncue-1")
    Peers(addresses=('oncue-0.oncue:2101', '0.0.0.0:2101'), number=1)
    """
    addresses = [it.strip() for it in text.split(",")]
    wrong = [f"{it!r} is not host:port" for it in addresses if not _is_address(it)]
    wrong += [f"{it} is there twice" for it in sorted(set(addresses)) if addresses.count(it) > 1]
    if len(addresses) < 2:
        wrong.append("a cluster has two processes or more; for one leave --peers out")
    name = name or socket.gethostname()
    mine = [i for i, it in enumerate(addresses) if it.partition(":")[0].split(".")[0] == name.split(".")[0]]
    if number is None and len(mine) != 1:
        count = "none" if not mine else "more than one"
        wrong.append(f"{count} of the hosts begins with this machine's name, {name}: say which with --peer")
    elif number is not None and not 0 <= number < len(addresses):
        wrong.append(f"--peer {number}: there are {len(addresses)}, counted from 0")
    if wrong:
        raise BadPeers("--peers: " + "; ".join(wrong))
    number = mine[0] if number is None else number
    host, _, port = addresses[number].rpartition(":")
    if not _is_ip(host):
        addresses[number] = f"0.0.0.0:{port}"
    return Peers(tuple(addresses), number)


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdigit() and 0 < int(port) < 65536


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
