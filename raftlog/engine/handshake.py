"""The first frame in each direction of a peer connection: who we are and what we speak.

A frame of u32 length and a CBOR map, at most 4 KiB. Either side closes the connection when
the cluster differs, when there is no common protocol version, or when the node is not the
one that was dialled. Or when a forced recovery lies between the two (`OtherSide`): one has gone on
without what the other still holds, and would be overruled by it.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, NamedTuple

import cbor2

from raftlog.errors import PeerFault
from raftlog.plain import NotPlain, decode_plain
from raftlog.types import ReplicaId

MAGIC = b"quorate-peer"
PROTOCOL_MIN = 1
PROTOCOL_MAX = 1
HELLO_BYTES_MAX = 4096
CONTROL, BULK = 0, 1
"""The two lanes of a pair of brokers, one connection each."""

_LENGTH = Struct(">I")
_VOTER = Struct(">i16s")
RECOVERY_CHARACTERS_MAX = 64
_ITEMS_MAX = 64
"""A later release may add fields to the map; this one looks at those it knows."""
_DEPTH_MAX = 4
_NODE_MAX = 2**31 - 1


class OtherSide(PeerFault):
    """The two are of one cluster and must not talk; the other side should be told as well."""


class Hello(NamedTuple):
    """What a broker says of itself when a peer connection begins."""

    cluster_id: str
    replica: ReplicaId
    incarnation: int
    """Differs after each start of the process."""
    lane: int
    features: int = 0
    versions: tuple[int, int] = (PROTOCOL_MIN, PROTOCOL_MAX)
    voters: tuple[ReplicaId, ...] = ()
    """The first quorum, as its directory was formatted; empty: it does not say."""
    recovery: str = ""
    """Which forced recovery of the metadata quorum it belongs to; "": there was none."""
    abandoned: tuple[ReplicaId, ...] = ()
    """Replicas that a forced recovery of its directory left for lost."""
    formatting: bytes = b""
    """Which formatting made its directory; empty: it does not say."""
    met: tuple[bytes, bytes] = (b"", b"")
    """The directory of the other side that it met last, and that directory's formatting then."""


def encode_hello(hello: Hello) -> bytes:
    """The frame, length included."""
    body = MAGIC + cbor2.dumps(
        {
            "cluster": hello.cluster_id,
            "node": hello.replica.node,
            "directory": hello.replica.directory,
            "incarnation": hello.incarnation,
            "lane": hello.lane,
            "features": hello.features,
            "versions": list(hello.versions),
            # one value, because their number is bounded
            "voters": _pack(hello.voters),
            "recovery": hello.recovery,
            "abandoned": _pack(hello.abandoned),
            "formatting": hello.formatting,
            "met": b"".join(hello.met),
        }
    )
    return _LENGTH.pack(len(body)) + body


def _pack(replicas: tuple[ReplicaId, ...]) -> bytes:
    return b"".join([_VOTER.pack(*replica) for replica in replicas])


def _unpack(packed: bytes) -> tuple[ReplicaId, ...]:
    return tuple([ReplicaId(*replica) for replica in _VOTER.iter_unpack(packed)])


def hello_bytes(prefix: bytes | memoryview) -> int:
    """Length of the hello that follows the 4-byte `prefix`; PeerFault if it cannot be one."""
    (length,) = _LENGTH.unpack(prefix)
    if not len(MAGIC) < length <= HELLO_BYTES_MAX:
        raise PeerFault("not a quorate peer: is a Kafka client configured with the peer port?")
    return int(length)


def decode_hello(body: bytes) -> Hello:
    """Parse a hello frame (without its length)."""
    if body[: len(MAGIC)] != MAGIC:
        raise PeerFault("not a quorate peer: is a Kafka client configured with the peer port?")
    try:
        fields = decode_plain(body[len(MAGIC) :], items_max=_ITEMS_MAX, depth_max=_DEPTH_MAX)
        return _hello(fields)
    except NotPlain as error:
        raise PeerFault(f"unreadable hello: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise PeerFault(f"hello lacks a field or has one of another shape: {error!r}") from error


def _hello(fields: dict[str, Any]) -> Hello:
    low, high = fields["versions"]
    node, directory = fields["node"], fields["directory"]
    voters = fields.get("voters", b"")  # former releases did not tell
    recovery, abandoned = fields.get("recovery", ""), fields.get("abandoned", b"")
    formatting, met = fields.get("formatting", b""), fields.get("met", b"")
    typed: list[tuple[object, type]] = [
        (fields["cluster"], str),
        (node, int),
        (directory, bytes),
        (fields["incarnation"], int),
        (fields["lane"], int),
        (fields["features"], int),
        (low, int),
        (high, int),
        (voters, bytes),
        (recovery, str),
        (abandoned, bytes),
        (formatting, bytes),
        (met, bytes),
    ]
    if (
        any(type(value) is not wanted for value, wanted in typed)
        or len(directory) != 16
        or len(voters) % _VOTER.size
        or len(abandoned) % _VOTER.size
        or len(formatting) not in (0, 16)
        or len(met) not in (0, 32)
        or len(recovery) > RECOVERY_CHARACTERS_MAX
    ):
        raise PeerFault("hello has a field of the wrong type")
    if not 0 <= node <= _NODE_MAX:
        raise PeerFault(f"hello names node {node}, which cannot be a node id")
    return Hello(
        cluster_id=fields["cluster"],
        replica=ReplicaId(node, directory),
        incarnation=fields["incarnation"],
        lane=fields["lane"],
        features=fields["features"],
        versions=(low, high),
        voters=_unpack(voters),
        recovery=recovery,
        abandoned=_unpack(abandoned),
        formatting=formatting,
        met=(met[:16], met[16:]),
    )


def other_voters(mine: Hello, theirs: Hello) -> str | None:
    """A sentence if the two were formatted for different quorums, which cannot both exist."""
    if not theirs.voters or set(theirs.voters) == set(mine.voters):
        return None
    return (
        f"this directory was formatted with other voters ({_listed(mine.voters)}) than the one of "
        f"node {theirs.replica.node} ({_listed(theirs.voters)}); there is one quorum, so one of "
        "them waits for what does not exist. `quorate storage show` tells a directory's voters: "
        "format one anew with those of the cluster"
    )


def _listed(voters: tuple[ReplicaId, ...]) -> str:
    return ", ".join(f"{voter.node}:{voter.directory.hex()}" for voter in voters) or "none"


def check_hello(mine: Hello, theirs: Hello, dialled_node: int | None) -> None:
    """PeerFault with a sentence unless the two may talk."""
    if theirs.cluster_id != mine.cluster_id:
        raise PeerFault(
            f"node {theirs.replica.node} belongs to cluster {theirs.cluster_id!r}, this one to "
            f"{mine.cluster_id!r}: a data directory was formatted for another cluster"
        )
    _check_sides(mine, theirs)
    _check_memory(mine, theirs)
    if theirs.replica.node == mine.replica.node:
        raise PeerFault(f"another broker uses node.id {mine.replica.node} too")
    if dialled_node is not None and theirs.replica.node != dialled_node:
        raise PeerFault(
            f"dialled node {dialled_node} but node {theirs.replica.node} answered: "
            "check the voters' addresses"
        )
    if theirs.lane not in (CONTROL, BULK) or (
        dialled_node is not None and theirs.lane != mine.lane
    ):
        raise PeerFault("hello names an unknown lane")
    low, high = theirs.versions
    if low > PROTOCOL_MAX or high < PROTOCOL_MIN:
        raise PeerFault(
            f"node {theirs.replica.node} speaks peer protocol {low}-{high}, "
            f"this one {PROTOCOL_MIN}-{PROTOCOL_MAX}: upgrade one release at a time"
        )


def _check_sides(mine: Hello, theirs: Hello) -> None:
    node = theirs.replica.node
    if theirs.replica in mine.abandoned:
        raise OtherSide(
            f"node {node} comes with directory {theirs.replica.directory.hex()}, which a forced "
            "recovery of this directory left for lost: it can never rejoin, because what it holds "
            "may contradict what was decided without it. Stop it, and format a new directory for it"
        )
    if mine.replica in theirs.abandoned:
        raise OtherSide(
            f"node {node} was recovered by force, and left this directory "
            f"({mine.replica.directory.hex()}) for lost: STOP THIS BROKER. It can never rejoin; "
            "move its data away and format a new directory"
        )
    if theirs.recovery != mine.recovery:
        raise OtherSide(
            f"node {node} belongs to the cluster {_when(theirs)}, this directory to the one "
            f"{_when(mine)}: they must not be mixed. Stop the brokers of the side that was given "
            "up; a survivor is brought along by `quorate cluster recover --follow`, a lost one by "
            "`quorate storage format --recovery`"
        )


def _check_memory(mine: Hello, theirs: Hello) -> None:
    """A directory that was wiped and formatted under its old id has forgotten its promises."""
    directory, formatting = mine.met
    if directory == theirs.replica.directory and theirs.formatting not in (b"", formatting):
        raise OtherSide(
            f"node {theirs.replica.node}: directory {directory.hex()} was formatted again since it "
            "was met. It has forgotten what it voted for and acknowledged, and is refused under "
            "that id: format it with `--directory-id new`"
        )
    directory, formatting = theirs.met
    if directory == mine.replica.directory and mine.formatting not in (b"", formatting):
        raise OtherSide(
            f"node {theirs.replica.node} has met this directory ({directory.hex()}) before it was "
            "formatted again: it has forgotten what it voted for and acknowledged, so the others "
            "refuse it. Stop this broker, and format the directory with `--directory-id new`: it "
            "then takes part as a new replica, without a vote in the metadata quorum"
        )


def _when(hello: Hello) -> str:
    return f"after recovery {hello.recovery}" if hello.recovery else "before any forced recovery"
