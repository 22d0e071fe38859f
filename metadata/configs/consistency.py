"""Rules between a broker's settings, checked once each of them is valid on its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from metadata.configs.addresses import Endpoint, parse_address, require_reachable
from metadata.configs.definition import ConfigValue

_REQUEST_OVERHEAD_BYTES = 4096
"""A request is this much larger than the batch in it, at most (topic names and headers)."""


def inconsistencies(values: Mapping[str, ConfigValue]) -> list[str]:
    """One sentence for each rule that the settings break."""
    return [*_addresses(values), *_orders(values), *_sizes(values)]


def _addresses(values: Mapping[str, Any]) -> Iterator[str]:
    listeners: tuple[Endpoint, ...] = values["listeners"]
    advertised: tuple[Endpoint, ...] = values["advertised.listeners"] or ()
    names = [endpoint.name for endpoint in listeners]
    for endpoint in advertised:
        if endpoint.name not in names:
            yield f"advertised.listeners: {endpoint.name} is not one of listeners ({names})"
    given = [endpoint.name for endpoint in advertised]
    for endpoint in listeners:
        if endpoint.name not in given and endpoint.wildcard:
            yield (
                f"listeners: {endpoint.name} binds all interfaces, so advertised.listeners must "
                "say which address its clients can connect to"
            )
    protocols = dict(pair.split(":") for pair in values["listener.security.protocol.map"])
    for name in names:
        if name not in protocols:
            yield f"listeners: {name} has no protocol in listener.security.protocol.map"
    yield from _peer_address(values)
    yield from _shared_ports(values)


def _peer_address(values: Mapping[str, Any]) -> Iterator[str]:
    text = values["peer.advertised.listener"]
    endpoint = Endpoint("PEER", *parse_address(text or values["peer.listener"]))
    if text is None and not endpoint.wildcard:
        return  # port 0 is fine: it is advertised once bound
    try:
        require_reachable(endpoint)
    except ValueError as error:
        yield f"peer.advertised.listener: {error}"


def _shared_ports(values: Mapping[str, Any]) -> Iterator[str]:
    peer = Endpoint("peer.listener", *parse_address(values["peer.listener"]))
    admin = values["admin.listener"]
    others = [Endpoint("admin.listener", *parse_address(admin))] if admin else []
    taken: dict[tuple[str, int], str] = {}
    for endpoint in (*values["listeners"], peer, *others):
        address = (endpoint.host, endpoint.port)
        if endpoint.port and address in taken:
            yield f"{taken[address]} and {endpoint.name} both bind {endpoint.address}"
        taken[address] = endpoint.name


def _orders(values: Mapping[str, Any]) -> Iterator[str]:
    pairs = (  # the first must be smaller than the second; or equal, where the third says so
        ("broker.heartbeat.interval.ms", "broker.session.timeout.ms", False),
        ("raft.heartbeat.interval.ms", "raft.election.timeout.min.ms", False),
        ("raft.election.timeout.min.ms", "raft.election.timeout.max.ms", True),
        ("group.min.session.timeout.ms", "group.max.session.timeout.ms", True),
    )
    for low, high, or_equal in pairs:
        if values[low] > values[high] or (values[low] == values[high] and not or_equal):
            relation = "at most" if or_equal else "less than"
            yield f"{low} = {values[low]} must be {relation} {high} = {values[high]}"


def _sizes(values: Mapping[str, Any]) -> Iterator[str]:
    batch, request = values["message.max.bytes"], values["socket.request.max.bytes"]
    queued = values["queued.max.request.bytes"]
    if 2 * request > queued:
        # The largest requests have one half of it: partitions.server.intake.
        yield (
            f"queued.max.request.bytes = {queued} must be at least twice "
            f"socket.request.max.bytes = {request}"
        )
    if batch + _REQUEST_OVERHEAD_BYTES > request:
        yield (
            f"message.max.bytes = {batch} does not fit in a request of socket.request.max.bytes = "
            f"{request}: leave {_REQUEST_OVERHEAD_BYTES} bytes for the rest of the request"
        )
