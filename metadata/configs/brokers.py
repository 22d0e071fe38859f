"""Settings of brokers: identity, listeners, limits, topics' creation, liveness."""

from __future__ import annotations

from metadata.configs.addresses import (
    parse_address,
    parse_advertised,
    parse_endpoints,
    parse_voters,
)
from metadata.configs.definition import (
    Alias,
    Boolean,
    ConfigDef,
    ConfigType,
    Parsed,
    Pattern,
    Scope,
    Whole,
)
from metadata.configs.groups import GROUPS
from metadata.configs.topics import INT32, INT64


def _map_of_protocols(text: str) -> tuple[str, ...]:
    pairs = [pair.strip() for pair in text.split(",")]
    for pair in pairs:
        name, colon, protocol = pair.partition(":")
        if not name or not colon:
            raise ValueError(f"{pair!r} is not NAME:PROTOCOL")
        if protocol != "PLAINTEXT":
            raise ValueError(f"{protocol!r} is not available in this release; use PLAINTEXT")
    return tuple([f"{name.upper()}:PLAINTEXT" for name, _, _ in (p.partition(":") for p in pairs)])


def _peer_address(text: str) -> str:
    parse_address(text)
    return text


def _admin_address(text: str) -> str:
    return _peer_address(text) if text else text


_DIRECTORY = Pattern(r"[^,\x00]{1,4096}", "the path of one directory")

IDENTITY: tuple[ConfigDef, ...] = (
    ConfigDef(
        "node.id",
        ConfigType.INT,
        None,
        Scope.BROKER,
        Whole(0, INT32),
        "This broker's number, unique in the cluster and never given to another machine.",
        required=True,
        aliases=(Alias("broker.id", 1),),
    ),
    ConfigDef(
        "log.dirs",
        ConfigType.STRING,
        None,
        Scope.BROKER,
        _DIRECTORY,
        "The data directory, prepared by `quorate storage format`. One per broker.",
        required=True,
        aliases=(Alias("log.dir", 1),),
        kafka_note="Exactly one directory, and no default: Kafka's is below /tmp.",
    ),
    ConfigDef(
        "controller.quorum.voters",
        ConfigType.LIST,
        None,
        Scope.BROKER,
        Parsed(parse_voters, "a list of node@host:port or node@host:port:directory"),
        "The founding members of the metadata quorum, by their peer listeners. Read when a "
        "directory is formatted; later changes of the quorum are in the metadata log.",
        kafka_note="The directory id may follow the port.",
    ),
    ConfigDef(
        "broker.rack",
        ConfigType.STRING,
        None,
        Scope.BROKER,
        Pattern(r"[^\x00-\x1f]{1,255}", "text of 1 to 255 characters"),
        "The rack or zone the broker is in: replicas of a partition are spread over racks.",
    ),
)

LISTENERS: tuple[ConfigDef, ...] = (
    ConfigDef(
        "listeners",
        ConfigType.LIST,
        "PLAINTEXT://127.0.0.1:9092",
        Scope.BROKER,
        Parsed(parse_endpoints, "a list of NAME://host:port"),
        "Where clients are accepted. An empty host binds all interfaces; port 0 takes a free one.",
        kafka_note="Kafka's default binds all interfaces (`PLAINTEXT://:9092`).",
    ),
    ConfigDef(
        "advertised.listeners",
        ConfigType.LIST,
        None,
        Scope.BROKER,
        Parsed(parse_advertised, "a list of NAME://host:port that clients can connect to"),
        "What clients of each listener are told to connect to. Not set: the same as `listeners`. "
        "Needed when a listener binds all interfaces.",
    ),
    ConfigDef(
        "listener.security.protocol.map",
        ConfigType.LIST,
        "PLAINTEXT:PLAINTEXT",
        Scope.BROKER,
        Parsed(_map_of_protocols, "a list of NAME:PROTOCOL"),
        "The security protocol of each listener name.",
        kafka_note="Only PLAINTEXT in this release; Kafka's default names all four protocols.",
    ),
    ConfigDef(
        "peer.listener",
        ConfigType.STRING,
        "127.0.0.1:9093",
        Scope.BROKER,
        Parsed(_peer_address, "host:port"),
        "Where other brokers of the cluster connect: Raft and control messages.",
        kafka=False,
    ),
    ConfigDef(
        "peer.advertised.listener",
        ConfigType.STRING,
        None,
        Scope.BROKER,
        Parsed(_peer_address, "host:port"),
        "What other brokers are told to connect to. Not set: the same as `peer.listener`.",
        kafka=False,
    ),
    ConfigDef(
        "admin.listener",
        ConfigType.STRING,
        None,
        Scope.BROKER,
        Parsed(_admin_address, "host:port, or empty for none"),
        "Where the broker answers HTTP: GET /metrics for Prometheus, /livez and /readyz. Whoever "
        "reaches it may read all that, so it is off unless it is set, for example to "
        "`127.0.0.1:9644`.",
        kafka=False,
    ),
)

LIMITS: tuple[ConfigDef, ...] = (
    ConfigDef(
        "socket.request.max.bytes",
        ConfigType.INT,
        str(100 * 1024 * 1024),
        Scope.BROKER,
        Whole(1024, INT32),
        "Largest request frame; a larger one closes the connection before it is read.",
    ),
    ConfigDef(
        "queued.max.request.bytes",
        ConfigType.LONG,
        str(256 * 1024 * 1024),
        Scope.BROKER,
        Whole(1024, INT64),
        "Memory for requests that are incomplete or unanswered, over all connections; above it "
        "the broker stops reading from those that ask for more. At least twice "
        "socket.request.max.bytes. Up to 4 KiB per waiting connection come on top.",
        kafka_note="Kafka's default is -1, no limit; here there always is one.",
    ),
    ConfigDef(
        "fetch.max.bytes",
        ConfigType.INT,
        str(55 * 1024 * 1024),
        Scope.BROKER,
        Whole(1024, INT32),
        "Most bytes of batches in one fetch response, whatever the client asks for.",
        dynamic=True,
    ),
    ConfigDef(
        "max.connections",
        ConfigType.INT,
        "10000",
        Scope.BROKER,
        Whole(1, INT32),
        "Connections of clients at one time; further ones are closed at once. Never more than half "
        "of the file descriptors that the process may have (`ulimit -Hn`).",
        dynamic=True,
        kafka_note="Kafka's default is 2147483647.",
    ),
    ConfigDef(
        "max.connections.per.ip",
        ConfigType.INT,
        str(INT32),
        Scope.BROKER,
        Whole(1, INT32),
        "Connections of clients from one address at one time.",
        dynamic=True,
        kafka_note="At least 1: with 0 nobody could connect to change it again.",
    ),
    ConfigDef(
        "connections.max.idle.ms",
        ConfigType.LONG,
        "600000",
        Scope.BROKER,
        Whole(1, INT64),
        "A connection on which nothing was heard for this long is closed.",
        dynamic=True,
    ),
    ConfigDef(
        "producer.id.expiration.ms",
        ConfigType.INT,
        "86400000",
        Scope.BROKER,
        Whole(1, INT32),
        "An idempotent producer that wrote nothing for this long, by the timestamps of batches, "
        "is forgotten.",
    ),
    ConfigDef(
        "log.dirs.free.bytes.min",
        ConfigType.LONG,
        str(256 * 1024 * 1024),
        Scope.BROKER,
        Whole(0, INT64),
        "Bytes kept free on the disk of `log.dirs`, never less than two parts of the "
        "write-ahead log: below it produces are refused with KAFKA_STORAGE_ERROR, below half "
        "of it this broker's followers take no entries either.",
        dynamic=True,
        kafka=False,
    ),
    ConfigDef(
        "log.retention.check.interval.ms",
        ConfigType.LONG,
        "300000",
        Scope.BROKER,
        Whole(1, INT64),
        "How often partitions are looked over for segments to delete.",
        dynamic=True,
    ),
)

TOPIC_CREATION: tuple[ConfigDef, ...] = (
    ConfigDef(
        "auto.create.topics.enable",
        ConfigType.BOOLEAN,
        "true",
        Scope.BROKER,
        Boolean(),
        "Create a topic that a client names and that does not exist, if the client allows it.",
        dynamic=True,
    ),
    ConfigDef(
        "num.partitions",
        ConfigType.INT,
        "1",
        Scope.BROKER,
        Whole(1, 10_000),
        "Partitions of a topic whose creator did not say.",
        dynamic=True,
    ),
    ConfigDef(
        "default.replication.factor",
        ConfigType.INT,
        "1",
        Scope.BROKER,
        Whole(1, 7),
        "Replicas of a topic whose creator did not say.",
        dynamic=True,
        kafka_note="At most 7, so that the largest topic fits in one metadata entry.",
    ),
)

BALANCE: tuple[ConfigDef, ...] = (
    ConfigDef(
        "auto.leader.rebalance.enable",
        ConfigType.BOOLEAN,
        "true",
        Scope.BROKER,
        Boolean(),
        "Give leaderships back to preferred replicas (the first of an assignment) after failures.",
        dynamic=True,
        kafka_note="Each leader decides for its own partitions; Kafka's controller does it for "
        "all, and only above leader.imbalance.per.broker.percentage.",
    ),
    ConfigDef(
        "leader.imbalance.check.interval.seconds",
        ConfigType.LONG,
        "300",
        Scope.BROKER,
        Whole(1, INT32),
        "How often a broker looks for leaderships to give back. Seconds.",
        dynamic=True,
    ),
)

LIVENESS: tuple[ConfigDef, ...] = (
    ConfigDef(
        "broker.drain.enable",
        ConfigType.BOOLEAN,
        "false",
        Scope.BROKER,
        Boolean(),
        "The broker gives its leaderships to others and takes none as long as others can lead, and "
        "new partitions are placed elsewhere while enough brokers are left. `quorate broker drain` "
        "sets it for one broker, until `--undo`.",
        dynamic=True,
        kafka=False,
    ),
    ConfigDef(
        "broker.heartbeat.interval.ms",
        ConfigType.INT,
        "2000",
        Scope.BROKER,
        Whole(1, INT32),
        "How often a broker tells the controller that it lives.",
    ),
    ConfigDef(
        "broker.session.timeout.ms",
        ConfigType.INT,
        "9000",
        Scope.BROKER,
        Whole(1, INT32),
        "A broker that the controller did not hear from for this long is fenced.",
    ),
)

BROKERS: tuple[ConfigDef, ...] = (
    IDENTITY + LISTENERS + LIMITS + TOPIC_CREATION + GROUPS + BALANCE + LIVENESS
)
