"""`python -m partitions.api.document > docs/apis.md`: the page, from the registry."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from partitions.api.meanings import MEANINGS
from partitions.api.registry import APIS, Api
from partitions.errors import ErrorCode
from partitions.wire import ApiKey
from partitions.wire.schema import ApiRange, load_index

_INTRODUCTION = """\
# APIs and error codes

What a broker answers, generated from `partitions/api/registry.py`, `partitions/wire/schemas` and
`partitions/errors.py` by `python -m partitions.api.document > docs/apis.md`.

A client learns the versions from ApiVersions and uses the highest that both know. A request in
another version, or of an API that is not served, closes the connection with a line in the
broker's log; ApiVersions itself is then answered in version 0 (KIP-511).

*Kafka 4* is the range of versions that Kafka 4.1 has schemas for, the highest not always in use
there yet; what is below its lowest is retired (KIP-896).
"""

BEYOND: dict[ApiKey, dict[int, str]] = {
    ApiKey.PRODUCE: {12: "batches that add their partition to a transaction", 13: "topic ids"},
    ApiKey.FETCH: {
        17: "directory ids of followers, which consumers do not send",
        18: "high watermarks that followers know, likewise",
    },
    ApiKey.LIST_OFFSETS: {10: "a time-out", 11: "the first offset not yet in tiered storage"},
    ApiKey.METADATA: {13: "an error code that has clients bootstrap anew"},
    ApiKey.OFFSET_COMMIT: {10: "topic ids"},
    ApiKey.OFFSET_FETCH: {10: "topic ids"},
    ApiKey.FIND_COORDINATOR: {5: "TRANSACTION_ABORTABLE", 6: "coordinators of share groups"},
    ApiKey.INIT_PRODUCER_ID: {5: "TRANSACTION_ABORTABLE", 6: "two-phase commit"},
}
"""What the versions of Kafka 4 above ours would bring."""

WITHIN: dict[ApiKey, str] = {
    ApiKey.PRODUCE: "0 to 2 are advertised for clients that look for them, and not served; "
    "transactional batches are refused",
    ApiKey.FETCH: "sessions are declined: every fetch is a full one",
    ApiKey.FIND_COORDINATOR: "transactional ids are refused",
    ApiKey.INIT_PRODUCER_ID: "transactional ids are refused",
    ApiKey.ELECT_LEADERS: "unclean elections are refused",
    ApiKey.LIST_OFFSETS: "there is no tiered storage: the local log is the whole one",
    ApiKey.LIST_PARTITION_REASSIGNMENTS: "always answers that none is under way",
    ApiKey.ALTER_CONFIGS: "of topics and brokers",
    ApiKey.INCREMENTAL_ALTER_CONFIGS: "of topics and brokers",
    ApiKey.DESCRIBE_QUORUM: "of `__cluster_metadata` only, in [our terms](differences.md)",
}
"""What is otherwise than the served versions allow."""

_KAFKA_S_BROKERS = "between Kafka's brokers and controllers; ours have a protocol of their own"

ABSENT: dict[str, tuple[ApiKey, ...]] = {
    "transactions": (
        ApiKey.ADD_PARTITIONS_TO_TXN,
        ApiKey.ADD_OFFSETS_TO_TXN,
        ApiKey.END_TXN,
        ApiKey.WRITE_TXN_MARKERS,
        ApiKey.TXN_OFFSET_COMMIT,
        ApiKey.DESCRIBE_TRANSACTIONS,
        ApiKey.LIST_TRANSACTIONS,
    ),
    "consumer groups of the new protocol (KIP-848)": (
        ApiKey.CONSUMER_GROUP_HEARTBEAT,
        ApiKey.CONSUMER_GROUP_DESCRIBE,
    ),
    "reassignment of partitions": (
        ApiKey.ALTER_PARTITION_REASSIGNMENTS,
        ApiKey.ALTER_REPLICA_LOG_DIRS,
    ),
    "ACLs": (ApiKey.DESCRIBE_ACLS, ApiKey.CREATE_ACLS, ApiKey.DELETE_ACLS),
    "SASL, its users and tokens": (
        ApiKey.SASL_HANDSHAKE,
        ApiKey.SASL_AUTHENTICATE,
        ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS,
        ApiKey.ALTER_USER_SCRAM_CREDENTIALS,
        ApiKey.CREATE_DELEGATION_TOKEN,
        ApiKey.RENEW_DELEGATION_TOKEN,
        ApiKey.EXPIRE_DELEGATION_TOKEN,
        ApiKey.DESCRIBE_DELEGATION_TOKEN,
    ),
    "quotas": (ApiKey.DESCRIBE_CLIENT_QUOTAS, ApiKey.ALTER_CLIENT_QUOTAS),
    "members of the metadata quorum, brokers and features by request": (
        ApiKey.ADD_RAFT_VOTER,
        ApiKey.REMOVE_RAFT_VOTER,
        ApiKey.UPDATE_RAFT_VOTER,
        ApiKey.UNREGISTER_BROKER,
        ApiKey.UPDATE_FEATURES,
    ),
    "metrics that clients send (KIP-714), and where their settings are": (
        ApiKey.GET_TELEMETRY_SUBSCRIPTIONS,
        ApiKey.PUSH_TELEMETRY,
        ApiKey.LIST_CONFIG_RESOURCES,
    ),
    "share groups": (
        ApiKey.SHARE_GROUP_HEARTBEAT,
        ApiKey.SHARE_GROUP_DESCRIBE,
        ApiKey.SHARE_FETCH,
        ApiKey.SHARE_ACKNOWLEDGE,
        ApiKey.INITIALIZE_SHARE_GROUP_STATE,
        ApiKey.READ_SHARE_GROUP_STATE,
        ApiKey.WRITE_SHARE_GROUP_STATE,
        ApiKey.DELETE_SHARE_GROUP_STATE,
        ApiKey.READ_SHARE_GROUP_STATE_SUMMARY,
        ApiKey.DESCRIBE_SHARE_GROUP_OFFSETS,
        ApiKey.ALTER_SHARE_GROUP_OFFSETS,
        ApiKey.DELETE_SHARE_GROUP_OFFSETS,
    ),
    "Kafka Streams' groups (KIP-1071)": (
        ApiKey.STREAMS_GROUP_HEARTBEAT,
        ApiKey.STREAMS_GROUP_DESCRIBE,
    ),
    _KAFKA_S_BROKERS: (
        ApiKey.VOTE,
        ApiKey.BEGIN_QUORUM_EPOCH,
        ApiKey.END_QUORUM_EPOCH,
        ApiKey.ALTER_PARTITION,
        ApiKey.ENVELOPE,
        ApiKey.FETCH_SNAPSHOT,
        ApiKey.BROKER_REGISTRATION,
        ApiKey.BROKER_HEARTBEAT,
        ApiKey.ALLOCATE_PRODUCER_IDS,
        ApiKey.CONTROLLER_REGISTRATION,
        ApiKey.ASSIGN_REPLICAS_TO_DIRS,
    ),
}
"""APIs that are not served, by what they are for."""


def document() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, "## Served\n", *_served(), ""]
    parts += ["## Not served\n", *_absent(), ""]
    parts += ["## Error codes\n", *_errors(), ""]
    return "\n".join(parts)


def _served() -> Iterable[str]:
    index = load_index()
    yield "| API | key | served | Kafka 4 | not served, or otherwise |"
    yield "|---|---|---|---|---|"
    for api in sorted(APIS, key=lambda served: served.key):
        kafka = index[int(api.key)]
        yield _row(
            _name(kafka.name),
            str(int(api.key)),
            _range(api.first, api.last),
            _range(kafka.first, kafka.last),
            _notes(api),
        )


def _notes(api: Api) -> str:
    notes = [f"{version}: {text}" for version, text in BEYOND.get(api.key, {}).items()]
    notes += [WITHIN[api.key]] if api.key in WITHIN else []
    return "; ".join(notes)


def _absent() -> Iterable[str]:
    index = load_index()
    yield "| for | APIs |"
    yield "|---|---|"
    for purpose, keys in ABSENT.items():
        yield _row(purpose, ", ".join(_key_and_name(index[int(key)], key) for key in keys))


def _errors() -> Iterable[str]:
    yield "*Again*: the same request may succeed later, and clients send it again by themselves."
    yield "`quorate_request_errors_total` counts the errors of responses: [metrics.md](metrics.md)."
    yield ""
    yield "| code | name | again | when | what to do |"
    yield "|---|---|---|---|---|"
    for code in ErrorCode:
        if code in MEANINGS:
            when, do = MEANINGS[code]
            yield _row(str(code.value), code.name, "yes" if code.retriable else "no", when, do)


def _key_and_name(api: ApiRange, key: ApiKey) -> str:
    return f"{_name(api.name)} ({int(key)})"


def _name(schema: str) -> str:
    """Kafka's spelling of a schema's name."""
    return schema.title().replace("_", "")


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(document())
