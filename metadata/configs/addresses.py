"""Addresses in settings: listeners, the peer listener, and the initial voters.

Written as Kafka writes them: `NAME://host:port`, an IPv6 host in brackets, an empty host for
all interfaces. Port 0 asks the system for a free port and is for binding only.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from typing import NamedTuple

WILDCARDS = ("", "0.0.0.0", "::")
"""Hosts that mean "all interfaces": fine to bind, useless to advertise."""

_LISTENER = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,63})://(.*)")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]*):([0-9]{1,5})")


class Endpoint(NamedTuple):
    """Where a listener binds, or what is advertised for it."""

    name: str
    """Listener name, upper case; "PEER" for the peer listener."""
    host: str
    """Without brackets; "" means all interfaces."""
    port: int

    @property
    def wildcard(self) -> bool:
        """True when the host names all interfaces and no particular machine."""
        return self.host in WILDCARDS

    @property
    def address(self) -> str:
        """host:port, with brackets around an IPv6 host."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Voter(NamedTuple):
    """A founding member of the metadata quorum."""

    node: int
    host: str
    port: int
    """Of its peer listener."""
    directory: bytes | None
    """16 bytes; None when the text does not say: known only once the node was formatted."""


def parse_address(text: str) -> tuple[str, int]:
    """`host:port`; ValueError says what is wrong."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match[2]) > 65_535:
        raise ValueError(f"{text!r} is not host:port with a port from 0 to 65535")
    return match[1].strip("[]"), int(match[2])


def parse_endpoint(text: str) -> Endpoint:
    """`NAME://host:port`; ValueError says what is wrong."""
    match = _LISTENER.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not NAME://host:port")
    return Endpoint(match[1].upper(), *parse_address(match[2]))


def parse_endpoints(text: str) -> tuple[Endpoint, ...]:
    """A comma-separated list of endpoints with different names."""
    endpoints = tuple([parse_endpoint(part) for part in text.split(",")])
    names = [endpoint.name for endpoint in endpoints]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"listener name {doubled[0]} is used twice")
    return endpoints


def parse_advertised(text: str) -> tuple[Endpoint, ...]:
    """Endpoints that clients can connect to: a real host and port each."""
    endpoints = parse_endpoints(text)
    for endpoint in endpoints:
        require_reachable(endpoint)
    return endpoints


def require_reachable(endpoint: Endpoint) -> None:
    """ValueError when nobody could connect to `endpoint` from another machine's view."""
    if endpoint.wildcard:
        raise ValueError(
            f"{endpoint.name} would advertise {endpoint.host or 'an empty host'!r}, to which no "
            "client can connect: give a host name or an address"
        )
    if endpoint.port == 0:
        raise ValueError(f"{endpoint.name} would advertise port 0: give the port")


def parse_voters(text: str) -> tuple[Voter, ...]:
    """`node@host:port[:directory],...`, node ids all different."""
    voters = tuple([_voter(part.strip()) for part in text.split(",")])
    if len({voter.node for voter in voters}) < len(voters):
        raise ValueError("a node id is given twice")
    return voters


def _voter(text: str) -> Voter:
    node, at, rest = text.partition("@")
    match = re.fullmatch(r"(.*:[0-9]{1,5})(?::([A-Za-z0-9_-]{22,32}))?", rest)
    if not at or not re.fullmatch(r"[0-9]{1,10}", node) or match is None:
        raise ValueError(f"{text!r} is not node@host:port or node@host:port:directory")
    endpoint = Endpoint(f"voter {node}", *parse_address(match[1]))
    require_reachable(endpoint)
    directory = None if match[2] is None else parse_directory(match[2])
    return Voter(int(node), endpoint.host, endpoint.port, directory)


def parse_directory(text: str) -> bytes:
    """A directory id: 32 hexadecimal digits, or 22 characters of URL-safe base64 as Kafka's."""
    try:
        value = bytes.fromhex(text) if len(text) == 32 else urlsafe_b64decode(text + "==")
    except (ValueError, Base64Error):
        value = b""
    if len(value) != 16:
        raise ValueError(f"{text!r} is not a directory id (32 hexadecimal digits)")
    return value
