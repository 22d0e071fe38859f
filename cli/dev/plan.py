"""Which brokers, on which ports, in which directories; kept in the data directory for next time."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli.context import Address
from cli.dev import ports
from cli.exits import CommandFailed, ExitCode

HOST = "127.0.0.1"
DEFAULT_NODES = 3
DEFAULT_PORT = 9092
PEER_PORT_DISTANCE = 100
"""A broker's peer port is its Kafka port plus this."""
ADMIN_PORT_DISTANCE = 200
"""A broker's admin port is its Kafka port plus this."""
PORT_MAX = 65535
REPLICATION_FACTOR_MAX = 3
VOTERS_MAX = 3
"""The first brokers of a larger cluster vote in the metadata quorum, the others only observe."""
PLAN_FILE = "dev.json"
FORMAT = 2
"""Of the plan file. Format 1 did not say which directories had been formatted."""


@dataclass(frozen=True, slots=True)
class BrokerPlan:
    """One broker to run. `directory` is its directory id, 16 bytes."""

    id: int
    directory: bytes
    kafka: Address
    peer: Address
    admin: Address
    root: Path
    formatted: bool = False
    """Its data directory was made: if it is gone now, what it held is lost, not new."""

    @property
    def data(self) -> Path:
        """The broker's log directory (log.dirs)."""
        return self.root / f"broker-{self.id}" / "data"

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.root / f"broker-{self.id}" / "broker.toml"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.root / f"broker-{self.id}" / "broker.log"


@dataclass(frozen=True, slots=True)
class Plan:
    """The cluster to run."""

    cluster_id: str
    brokers: tuple[BrokerPlan, ...]

    @property
    def bootstrap(self) -> str:
        """Every broker's Kafka address, as clients take it."""
        return ",".join(str(broker.kafka) for broker in self.brokers)

    @property
    def voters(self) -> tuple[BrokerPlan, ...]:
        """The founding members of the metadata quorum."""
        return self.brokers[:VOTERS_MAX]

    @property
    def majority(self) -> int:
        """How many voters it takes to serve."""
        return len(self.voters) // 2 + 1

    def with_formatted(self, brokers: Collection[int]) -> Plan:
        """The same plan, remembering that the data directories of `brokers` were made."""
        marked = [replace(b, formatted=b.formatted or b.id in brokers) for b in self.brokers]
        return replace(self, brokers=tuple(marked))

    def addresses(self) -> list[Address]:
        """Everything that will be listened on."""
        return [
            address
            for broker in self.brokers
            for address in (broker.kafka, broker.peer, broker.admin)
        ]


def obtain(root: Path, nodes: int | None, port: int | None) -> Plan:
    """The plan kept in `root`, or a new one that is then kept there.

    `nodes` and `port` are what the user asked for, None when nothing was said. A kept plan wins
    over defaults, but not over a contradiction: the voters' addresses are written in the
    directories, so CommandFailed (PRECONDITION). Before anything is written there, because a port
    was taken for example, other wishes make another plan.
    """
    path = root / PLAN_FILE
    plan = load(path) if path.exists() else None
    if plan is not None and (_was_made(plan) or _is_as_wanted(plan, nodes, port)):
        _check_kept(plan, path, nodes, port)
        return _with_admin_ports(plan, path)
    plan = create(root, nodes or DEFAULT_NODES, DEFAULT_PORT if port is None else port)
    save(plan, path)
    return plan


def create(root: Path, nodes: int, port: int) -> Plan:
    """A new plan. Kafka ports are `port` and those that follow; 0 picks free ones."""
    if port == 0:
        picked = ports.pick(3 * nodes)
        kafka, peer, admin = picked[:nodes], picked[nodes : 2 * nodes], picked[2 * nodes :]
    else:
        kafka = [port + number for number in range(nodes)]
        peer = [each + PEER_PORT_DISTANCE for each in kafka]
        admin = [each + ADMIN_PORT_DISTANCE for each in kafka]
    if set(kafka) & set(peer):
        raise CommandFailed(f"at most {PEER_PORT_DISTANCE} brokers fit", ExitCode.USAGE)
    if max(admin) > PORT_MAX:
        highest = PORT_MAX - ADMIN_PORT_DISTANCE - nodes + 1
        raise CommandFailed(
            f"--port {port} is too high for {nodes} brokers: the admin ports would "
            f"go up to {max(admin)}, and the highest port is {PORT_MAX}. At most --port {highest}",
            ExitCode.USAGE,
        )
    brokers = tuple(
        BrokerPlan(
            number + 1,
            secrets.token_bytes(16),
            Address(HOST, kafka[number]),
            Address(HOST, peer[number]),
            Address(HOST, admin[number]),
            root,
        )
        for number in range(nodes)
    )
    return Plan(new_cluster_id(), brokers)


def new_cluster_id() -> str:
    """22 characters, in the form Kafka gives to cluster ids (URL-safe base64 of 16 bytes)."""
    return secrets.token_urlsafe(16)


def settings(broker: BrokerPlan, nodes: int, *, fsync: bool) -> dict[str, str | int | bool]:
    """The broker's configuration."""
    wanted: dict[str, str | int | bool] = {
        "node.id": broker.id,
        "listeners": f"PLAINTEXT://{broker.kafka}",
        "advertised.listeners": f"PLAINTEXT://{broker.kafka}",
        "peer.listener": str(broker.peer),
        "admin.listener": str(broker.admin),
        "log.dirs": str(broker.data),
        "default.replication.factor": min(nodes, REPLICATION_FACTOR_MAX),
        "offsets.topic.replication.factor": min(nodes, REPLICATION_FACTOR_MAX),
        # Whoever tries things out waits for every second of it (so does Kafka's example file).
        "group.initial.rebalance.delay.ms": 0,
    }
    return wanted if fsync else {**wanted, "unsafe.no.fsync": True}


def toml(wanted: dict[str, str | int | bool]) -> str:
    """A flat TOML document; JSON's strings, numbers and booleans are TOML's too."""
    lines = (
        f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in wanted.items()
    )
    return "\n".join(["# Written by `quorate dev` at every start.", *lines, ""])


def save(plan: Plan, path: Path) -> None:
    """Keep the plan, in one step and durably: a reader sees the old one or the new one."""
    brokers = [
        {
            "id": broker.id,
            "directory": broker.directory.hex(),
            "kafka": broker.kafka.port,
            "peer": broker.peer.port,
            "admin": broker.admin.port,
            "formatted": broker.formatted,
        }
        for broker in plan.brokers
    ]
    document = {"format": FORMAT, "cluster_id": plan.cluster_id, "brokers": brokers}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path) -> Plan:
    """Read a kept plan; CommandFailed when it is not one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] not in (1, FORMAT):
            raise ValueError(f"format {document['format']!r}")
        brokers = tuple(_broker(path.parent, about) for about in document["brokers"])
        plan = Plan(str(document["cluster_id"]), brokers)
        return plan if document["format"] == FORMAT else _from_format_1(plan)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise CommandFailed(
            f"{path} is not a plan this version can read ({error}); use another --data directory",
            ExitCode.PRECONDITION,
        ) from error


def _broker(root: Path, about: dict[str, Any]) -> BrokerPlan:
    return BrokerPlan(
        int(about["id"]),
        bytes.fromhex(about["directory"]),
        Address(HOST, int(about["kafka"])),
        Address(HOST, int(about["peer"])),
        Address(HOST, int(about.get("admin", 0))),
        root,
        bool(about.get("formatted", False)),
    )


def _with_admin_ports(plan: Plan, path: Path) -> Plan:
    """A plan of a release without admin ports gets some, and keeps them."""
    lacking = [broker for broker in plan.brokers if not broker.admin.port]
    if not lacking:
        return plan
    picked = dict(zip([b.id for b in lacking], ports.pick(len(lacking)), strict=True))
    brokers = [
        replace(b, admin=Address(HOST, picked.get(b.id, b.admin.port))) for b in plan.brokers
    ]
    plan = replace(plan, brokers=tuple(brokers))
    save(plan, path)
    return plan


def _from_format_1(plan: Plan) -> Plan:
    """Format 1 was written by releases that formatted every directory before any broker ran: a
    broker's log shows that they all were."""
    ran = any(broker.log.exists() for broker in plan.brokers)
    return plan.with_formatted([broker.id for broker in plan.brokers] if ran else [])


def _was_made(plan: Plan) -> bool:
    """Was any directory formatted?"""
    return any(broker.formatted or broker.data.exists() for broker in plan.brokers)


def _is_as_wanted(plan: Plan, nodes: int | None, port: int | None) -> bool:
    return nodes in (None, len(plan.brokers)) and port in (None, plan.brokers[0].kafka.port)


def _check_kept(plan: Plan, path: Path, nodes: int | None, port: int | None) -> None:
    kept_port = plan.brokers[0].kafka.port
    if nodes is not None and nodes != len(plan.brokers):
        wrong = f"--nodes {nodes}, but {path.parent} holds a cluster of {len(plan.brokers)}"
    elif port not in (None, 0, kept_port):
        wrong = f"--port {port}, but the cluster in {path.parent} was made for port {kept_port}"
    else:
        return
    raise CommandFailed(
        f"{wrong}; leave the option out, or use another --data directory", ExitCode.PRECONDITION
    )
