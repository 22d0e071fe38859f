"""Whether the cluster is well, from what its brokers said each; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.connection import Silence
from cli.context import Address
from cli.survey import View

Found = Mapping[Address, "View | Silence"]
OK, DEGRADED, UNAVAILABLE = "ok", "degraded", "unavailable"
OUT_OF_SERVICE = "damaged (its log says so), or lost with a former directory"


def verdict(summary: Mapping[str, Any]) -> str:
    """One word for a summary.

    unavailable: something cannot be done now, be it to write to one partition or to create a
    topic. degraded: everything can be done, and something is missing that should be there.
    """
    if summary["controller"] is None or summary["leaderless"]:
        return UNAVAILABLE
    return OK if summary["healthy"] else DEGRADED


def summarize(found: Found) -> dict[str, Any]:
    """The whole of `cluster status`, for at least one view. `reasons` is empty when it is healthy.

    Topics and partitions are as the controller sees them, or else the first broker that answered.
    """
    brokers = _addresses(found)
    views = {n: v for n, a in sorted(brokers.items()) if isinstance(v := found.get(a), View)}
    main = _most_reliable(views, found)
    voters = next((view.voters for view in [*views.values(), *_all(found)] if view.voters), None)
    partitions = [(t.name, p) for t in main.topics for p in t.partitions]
    rows = [_row(node, brokers[node], found, main, partitions) for node in sorted(brokers)]
    rows += [_absent(node, voters or (), partitions) for node in _gone(brokers, voters, partitions)]
    rows += [_unknown(address) for address in _nobodys(found, brokers)]
    leaderless = [f"{t}-{p.partition_index}" for t, p in partitions if p.leader_id < 0]
    under = [
        f"{t}-{p.partition_index}" for t, p in partitions if len(p.isr_nodes) < len(p.replica_nodes)
    ]
    reasons = [
        *_quorum_lost(main, views, rows, voters),
        *(f"{_name(row)}: {row['reason']}" for row in rows if row["reason"]),
        *_wrongly_advertised(found, brokers),
        *_disagreements(views),
        *_out_of_service(rows, partitions),
        *_count(leaderless, "without a leader"),
        *_count(under, "without all replicas"),
    ]
    return {
        "cluster_id": main.cluster_id,
        "controller": main.controller,
        "healthy": not reasons,
        "reasons": reasons,
        "voters": None if voters is None else list(voters),
        "topics": len(main.topics),
        "partitions": len(partitions),
        "leaderless": sorted(leaderless),
        "under_replicated": sorted(under),
        "brokers": rows,
    }


def _addresses(found: Found) -> dict[int, Address]:
    """Every broker that any answer names."""
    brokers: dict[int, Address] = {}
    for view in _all(found):
        brokers.update(view.brokers)
    return brokers


def _all(found: Found) -> list[View]:
    return [view for view in found.values() if isinstance(view, View)]


def _most_reliable(views: Mapping[int, View], found: Found) -> View:
    """The view of the broker that calls itself the controller, of one that knows one, or any."""
    known = [*views.values(), *_all(found)]
    own = [view for node, view in views.items() if view.controller == node]
    return next(iter([*own, *(view for view in known if view.controller is not None), *known]))


def _row(
    node: int, address: Address, found: Found, main: View, partitions: list[tuple[str, Any]]
) -> dict[str, Any]:
    answer = found.get(address)
    view = answer if isinstance(answer, View) else None
    return {
        "id": node,
        "address": str(address),
        "reachable": view is not None,
        "reason": f"unreachable, {answer.reason}" if isinstance(answer, Silence) else None,
        "controller": node == main.controller,
        "names_controller": None if view is None else view.controller,
        "draining": None if view is None else view.draining,
        "leads": sum(p.leader_id == node for _, p in partitions),
        "replicas": sum(node in p.replica_nodes for _, p in partitions),
    }


def _gone(
    brokers: Mapping[int, Address],
    voters: tuple[int, ...] | None,
    partitions: list[tuple[str, Any]],
) -> list[int]:
    """Who has a vote or copies of partitions, and is listed by no broker."""
    holders = {node for _, p in partitions for node in p.replica_nodes}
    return sorted(holders.union(voters or ()) - set(brokers))


def _absent(
    node: int, voters: tuple[int, ...], partitions: list[tuple[str, Any]]
) -> dict[str, Any]:
    if node in voters:
        reason = "a voter that the others do not list: stopped, or not registered yet"
    else:
        reason = "has replicas, and the others do not list it: stopped, or lost"
    return {
        **_unknown(None),
        "id": node,
        "reason": reason,
        "leads": sum(p.leader_id == node for _, p in partitions),
        "replicas": sum(node in p.replica_nodes for _, p in partitions),
    }


def _nobodys(found: Found, brokers: Mapping[int, Address]) -> list[Address]:
    """Silent bootstrap addresses that are no broker's."""
    silent = [address for address, answer in found.items() if isinstance(answer, Silence)]
    return [each for each in silent if each not in brokers.values()]


def _unknown(address: Address | None) -> dict[str, Any]:
    return {
        "id": None,
        "address": None if address is None else str(address),
        "reachable": False,
        "reason": "unreachable, and no broker that is listed has this address",
        "controller": False,
        "names_controller": None,
        "draining": None,
        "leads": None,
        "replicas": None,
    }


def _name(row: Mapping[str, Any]) -> str:
    parts = [] if row["id"] is None else [f"broker {row['id']}"]
    return " at ".join([*parts, *([row["address"]] if row["address"] else [])])


def _quorum_lost(
    main: View,
    views: Mapping[int, View],
    rows: list[dict[str, Any]],
    voters: tuple[int, ...] | None,
) -> list[str]:
    if main.controller is not None:
        return []
    wanted = [row["id"] for row in rows if row["id"] is not None] if voters is None else voters
    reachable = sum(node in views for node in wanted)
    what = "brokers" if voters is None else "voters"
    return [
        f"no controller: {reachable} of {len(wanted)} {what} reachable; nothing can be created or "
        "changed, and what is shown is the last that was known"
    ]


def _wrongly_advertised(found: Found, brokers: Mapping[int, Address]) -> list[str]:
    """Addresses that answer under a name of no broker, while some broker cannot be reached."""
    listed = set(brokers.values())
    if not any(isinstance(found.get(address), Silence) for address in listed):
        return []
    return [
        f"{address} answers, but no broker advertises it: are the advertised.listeners of the "
        "unreachable ones right?"
        for address, answer in found.items()
        if isinstance(answer, View) and address not in listed
    ]


def _disagreements(views: Mapping[int, View]) -> list[str]:
    """Where brokers contradict each other; a moment after a change they may."""
    reasons = []
    said = {node: view.controller for node, view in views.items()}
    if len(set(said.values())) > 1:
        parts = (f"{n} says {'none' if c is None else c}" for n, c in said.items())
        reasons.append(f"brokers disagree on the controller: {', '.join(parts)}")
    lists = {node: sorted(view.brokers) for node, view in views.items()}
    if len({tuple(each) for each in lists.values()}) > 1:
        parts = (f"{n} lists {','.join(map(str, each))}" for n, each in lists.items())
        reasons.append(f"brokers disagree on who is there: {'; '.join(parts)}")
    if len({view.cluster_id for view in views.values()}) > 1:
        parts = (f"{n} is of {view.cluster_id}" for n, view in views.items())
        reasons.append(f"brokers of different clusters: {', '.join(parts)}")
    if len({view.voters for view in views.values() if view.voters}) > 1:
        parts = (f"{n} was given {view.voters}" for n, view in views.items() if view.voters)
        reasons.append(f"brokers were formatted with different voters: {', '.join(parts)}")
    return reasons


def _out_of_service(rows: list[dict[str, Any]], partitions: list[tuple[str, Any]]) -> list[str]:
    """Brokers that are there, and have replicas that are not."""
    reasons = []
    for row in rows:
        count = sum(row["id"] in p.offline_replicas for _, p in partitions)
        if row["reachable"] and count:
            replicas = f"{count} replica{'' if count == 1 else 's'}"
            reasons.append(f"{_name(row)}: {replicas} out of service: {OUT_OF_SERVICE}")
    return reasons


def _count(places: list[str], what: str) -> list[str]:
    noun = "partition" if len(places) == 1 else "partitions"
    return [f"{len(places)} {noun} {what}"] if places else []
