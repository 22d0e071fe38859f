"""What each error code means when this broker answers it, and what to do then: for docs/apis.md.

A test holds the codes here equal to those that the code can answer.
"""

from __future__ import annotations

from typing import NamedTuple

from partitions.errors import ErrorCode as E


class Meaning(NamedTuple):
    """One row of the page."""

    when: str
    do: str


_CLIENT = "Nothing: clients see to it by themselves."
_BUG_OF_CLIENT = "Report it to the client's authors."
_DENIED = "It does not happen yet: the only authorizer there is allows everything."
_AGAIN = "Nothing: clients join again by themselves."

MEANINGS: dict[E, Meaning] = {
    E.UNKNOWN_SERVER_ERROR: Meaning(
        "A defect of the broker, or an answer of another broker that it cannot read; a group's "
        "record that does not fit in a batch.",
        "Look at the broker's log for the time of the answer.",
    ),
    E.OFFSET_OUT_OF_RANGE: Meaning(
        "Fetch or DeleteRecords below the log start offset or above the high watermark.",
        "`auto.offset.reset` says what a consumer does; `quorate topic trim` needs an offset "
        "that is there.",
    ),
    E.CORRUPT_MESSAGE: Meaning(
        "A produced batch whose CRC, length or compressed data is wrong.",
        "Clients send again. If it comes back: the network or the client changes bytes.",
    ),
    E.UNKNOWN_TOPIC_OR_PARTITION: Meaning(
        "No such topic or partition, as far as this broker knows.",
        "Create it; right after its creation, ask again.",
    ),
    E.LEADER_NOT_AVAILABLE: Meaning(
        "The partition has no leader that is known here: it is being made or elected.",
        "Wait. If it lasts, `quorate cluster status` names the brokers that are missing.",
    ),
    E.NOT_LEADER_OR_FOLLOWER: Meaning(
        "Another broker leads the partition. If the leadership was lost while a batch waited for "
        "its commit, the batch may be written or not.",
        _CLIENT + " Idempotent producers write nothing twice by it.",
    ),
    E.REQUEST_TIMED_OUT: Meaning(
        "Not done within the request's time-out, or the leader has too much that is not "
        "committed. It may be done yet.",
        "Look whether a majority of the replicas is up and its disks keep up.",
    ),
    E.MESSAGE_TOO_LARGE: Meaning(
        "A batch above the topic's `max.message.bytes`, or one that expands beyond what is read.",
        "Smaller records or batches, or a larger setting.",
    ),
    E.OFFSET_METADATA_TOO_LARGE: Meaning(
        "The text with a committed offset is longer than `offset.metadata.max.bytes`.",
        "A shorter text.",
    ),
    E.COORDINATOR_LOAD_IN_PROGRESS: Meaning(
        "The group's coordinator reads its log, or has too many records that are not committed; "
        "a producer id is asked for before the broker is registered.",
        _CLIENT,
    ),
    E.COORDINATOR_NOT_AVAILABLE: Meaning(
        "`__consumer_offsets` is not there yet, has no leader, or its majority does not answer.",
        "Wait. If it lasts: are there as many brokers as `offsets.topic.replication.factor`?",
    ),
    E.NOT_COORDINATOR: Meaning(
        "Another broker coordinates the group now.",
        _CLIENT,
    ),
    E.INVALID_TOPIC_EXCEPTION: Meaning(
        "A topic's name is malformed or differs from another only in `.` and `_`; or the topic "
        "is internal, which clients may only read.",
        "Another name.",
    ),
    E.NOT_ENOUGH_REPLICAS: Meaning(
        "Fewer replicas are connected than `min.insync.replicas`; nothing was written.",
        "Bring the brokers back; clients go on trying.",
    ),
    E.NOT_ENOUGH_REPLICAS_AFTER_APPEND: Meaning(
        "The same, seen when the batch was committed already: it stays.",
        "Bring the brokers back. Clients send again; idempotent ones write nothing twice.",
    ),
    E.INVALID_REQUIRED_ACKS: Meaning("`acks` is none of 0, 1 and -1 (all).", "Correct it."),
    E.ILLEGAL_GENERATION: Meaning(
        "A member speaks of a generation of its group that is over.",
        _AGAIN,
    ),
    E.INCONSISTENT_GROUP_PROTOCOL: Meaning(
        "A member has no assignor in common with the others, or another kind of protocol.",
        "Give all members the same `partition.assignment.strategy`.",
    ),
    E.INVALID_GROUP_ID: Meaning(
        "The group's id is empty, or it, an instance's id or a protocol's name is longer than "
        "4,096 bytes.",
        "Another id.",
    ),
    E.UNKNOWN_MEMBER_ID: Meaning(
        "The group does not know this member: its session ended, or an offset is committed from "
        "outside to a group that has members.",
        _AGAIN + " If it repeats: does processing take longer than `max.poll.interval.ms`?",
    ),
    E.INVALID_SESSION_TIMEOUT: Meaning(
        "`session.timeout.ms` is not between `group.min.session.timeout.ms` and "
        "`group.max.session.timeout.ms`.",
        "Another value, on either side.",
    ),
    E.REBALANCE_IN_PROGRESS: Meaning(
        "The group is being rebalanced.",
        _AGAIN,
    ),
    E.TOPIC_AUTHORIZATION_FAILED: Meaning("The client may not do this to the topic.", _DENIED),
    E.GROUP_AUTHORIZATION_FAILED: Meaning("The client may not do this to the group.", _DENIED),
    E.CLUSTER_AUTHORIZATION_FAILED: Meaning("The client may not do this to the cluster.", _DENIED),
    E.INVALID_TIMESTAMP: Meaning(
        "A record's timestamp lies further from the broker's clock than the topic allows.",
        "Mend the clocks, or change `message.timestamp.before.max.ms` or "
        "`message.timestamp.after.max.ms`. A timestamp below -1 is the client's mistake.",
    ),
    E.UNSUPPORTED_VERSION: Meaning(
        "ApiVersions in a version that is not served (the answer lists those that are); "
        "ListOffsets with a special timestamp that its version does not have; InitProducerId "
        "with a transactional id.",
        "Unset `transactional.id`; clients see to the rest by themselves.",
    ),
    E.TOPIC_ALREADY_EXISTS: Meaning(
        "A topic has this name.", "Nothing, or `quorate topic create --if-not-exists`."
    ),
    E.INVALID_PARTITIONS: Meaning(
        "A number of partitions that is not positive, or not more than there are.",
        "A larger number: partitions cannot be taken away.",
    ),
    E.INVALID_REPLICATION_FACTOR: Meaning(
        "Not between 1 and 7, or more than brokers are alive.",
        "Start more brokers, or ask for fewer copies.",
    ),
    E.INVALID_REPLICA_ASSIGNMENT: Meaning(
        "An assignment by hand with gaps, repetitions, unknown brokers or unequal lengths.",
        "Correct it; the message says what is wrong.",
    ),
    E.INVALID_CONFIG: Meaning(
        "A setting has no such name or value, cannot change while brokers run, or is one of an "
        "internal topic.",
        "The message says what is allowed; [configuration.md](configuration.md) lists all.",
    ),
    E.NOT_CONTROLLER: Meaning(
        "There was no controller, or another one, for as long as the broker tried.",
        "Ask again. If it lasts, a majority of the voters is down: `quorate cluster status`.",
    ),
    E.INVALID_REQUEST: Meaning(
        "A field makes no sense, an item is given twice, or a consumer says that it is a broker.",
        "The message names the field.",
    ),
    E.UNSUPPORTED_FOR_MESSAGE_FORMAT: Meaning(
        "Message sets of before Kafka 0.11.",
        "A newer client.",
    ),
    E.POLICY_VIOLATION: Meaning(
        "A limit of this broker: 10,000 partitions a request, 200,000 in the cluster, groups or "
        "committed offsets of one partition of `__consumer_offsets`.",
        "The message says which; see [differences.md](differences.md).",
    ),
    E.OUT_OF_ORDER_SEQUENCE_NUMBER: Meaning(
        "A batch of an idempotent producer does not follow its last one: one before it was "
        "refused or is missing.",
        _CLIENT + " One that gives up instead has lost a batch.",
    ),
    E.INVALID_PRODUCER_EPOCH: Meaning(
        "A later incarnation of the producer has written to the partition.",
        "Make a new producer.",
    ),
    E.INVALID_TXN_STATE: Meaning(
        "A produced batch is part of a transaction; there are none yet.",
        "Unset `transactional.id`.",
    ),
    E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Meaning(
        "FindCoordinator for transactions, which are not served: at this code clients give up.",
        "Unset `transactional.id`.",
    ),
    E.KAFKA_STORAGE_ERROR: Meaning(
        "The disk is nearly full (`log.dirs.free.bytes.min`), or the copy on this broker is "
        "offline.",
        "Make room; `quorate log dirs` and the broker's log say what is offline.",
    ),
    E.NON_EMPTY_GROUP: Meaning(
        "A group that is to be deleted, or whose offsets are, has members.",
        "Stop them first.",
    ),
    E.GROUP_ID_NOT_FOUND: Meaning("There is no such group.", "ListGroups says which there are."),
    E.FETCH_SESSION_ID_NOT_FOUND: Meaning(
        "A fetch session is named; there are none here.",
        _CLIENT,
    ),
    E.LISTENER_NOT_FOUND: Meaning(
        "The partition's leader has no listener of the name that the client is connected to.",
        "Give every broker the same names in `advertised.listeners`.",
    ),
    E.FENCED_LEADER_EPOCH: Meaning(
        "The client knows an older leader epoch than the partition is in.",
        _CLIENT,
    ),
    E.UNKNOWN_LEADER_EPOCH: Meaning(
        "The client knows a later leader epoch than this broker.",
        _CLIENT,
    ),
    E.UNSUPPORTED_COMPRESSION_TYPE: Meaning(
        "A batch is compressed by a codec of no known number.",
        _BUG_OF_CLIENT,
    ),
    E.MEMBER_ID_REQUIRED: Meaning(
        "First answer to a new member: the id in it is to be used from now on.",
        _CLIENT,
    ),
    E.PREFERRED_LEADER_NOT_AVAILABLE: Meaning(
        "The preferred replica is down, offline or behind.",
        "The message says which; ask again when it has caught up.",
    ),
    E.GROUP_MAX_SIZE_REACHED: Meaning(
        "The group has `group.max.size` members, or members of all groups say more of "
        "themselves than 256 MiB.",
        "Fewer members, or a larger setting.",
    ),
    E.FENCED_INSTANCE_ID: Meaning(
        "Another member uses the same `group.instance.id`.",
        "A different one for each member.",
    ),
    E.ELIGIBLE_LEADERS_NOT_AVAILABLE: Meaning(
        "An unclean election is asked for, which no request can cause.",
        "Bring a majority back, or read [recovery.md](recovery.md).",
    ),
    E.ELECTION_NOT_NEEDED: Meaning("The replica asked for leads already.", "Nothing."),
    E.GROUP_SUBSCRIBED_TO_TOPIC: Meaning(
        "Offsets of a topic that members of the group read are to be deleted.",
        "Stop those members first.",
    ),
    E.INVALID_RECORD: Meaning(
        "A batch contradicts itself, or is not exactly one batch.",
        _BUG_OF_CLIENT,
    ),
    E.UNKNOWN_TOPIC_ID: Meaning(
        "No topic has this id: it was deleted, perhaps made anew.",
        _CLIENT,
    ),
    E.MISMATCHED_ENDPOINT_TYPE: Meaning(
        "DescribeCluster asks for controllers at a broker's address.",
        "`bootstrap.servers`, not `bootstrap.controllers`.",
    ),
}

BETWEEN_BROKERS = frozenset(
    {
        E.BROKER_ID_NOT_REGISTERED,
        E.DUPLICATE_BROKER_REGISTRATION,
        E.INCONSISTENT_CLUSTER_ID,
        E.INVALID_REGISTRATION,
        E.INVALID_UPDATE_VERSION,
        E.STALE_BROKER_EPOCH,
    }
)
"""The controller answers them to brokers that register; no client sees them."""
TRANSLATED = frozenset({E.INVALID_FETCH_SIZE, E.RECORD_LIST_TOO_LARGE})
"""Named only where a group's coordinator says which code stands for which."""
