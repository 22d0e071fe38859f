"""What the leader of the metadata group knows of the quorum, for whoever asks it.

    describe_quorum  []  ->  [leader, term, commit, voters, observers]

Leader is a node. A row of voters or observers is `[node, directory, end, heard, caught up]`: the
index of the replica's last entry, and when, in wall-clock ms, it was last heard and last known to
have everything. Each of the three is UNKNOWN where the leader does not know it.

A voter's end is what it has acknowledged in this term, so one that has said nothing since the
leader was elected has none. An observer's is what it last asked this broker for.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from metadata.quorum.application import MetadataApplication
from metadata.quorum.client import NOT_CONTROLLER
from metadata.quorum.fetch import MetadataSource
from metadata.quorum.rpc import Answer, OnAnswer, Rpc
from raftlog.core import members_of
from raftlog.core.membership import voters_of
from raftlog.core.progress import Progress
from raftlog.seams import Reactor
from raftlog.types import MAX_TERM, ReplicaId, Role

DESCRIBE_QUORUM = "describe_quorum"
UNKNOWN = -1
_ROWS_MAX = 10_000
_DIRECTORY_BYTES = 16


class QuorumMember(NamedTuple):
    """One replica of the metadata log. See the module for the last three."""

    node: int
    directory: bytes
    end: int
    heard_ms: int
    caught_up_ms: int


class QuorumView(NamedTuple):
    """The quorum as its leader sees it."""

    leader: int
    term: int
    commit: int
    """Index of the last committed entry."""
    voters: tuple[QuorumMember, ...]
    observers: tuple[QuorumMember, ...]
    """Brokers that follow the log without a vote."""


class QuorumDescriber:
    """Serves DESCRIBE_QUORUM on a voter; only the leader answers it."""

    def __init__(
        self, reactor: Reactor, rpc: Rpc, app: MetadataApplication, source: MetadataSource
    ) -> None:
        self._reactor = reactor
        self._app = app
        self._source = source
        rpc.serve(DESCRIBE_QUORUM, self._serve)

    def _serve(self, sender: ReplicaId, arguments: Any, on_answer: OnAnswer) -> None:
        node = self._app.group.node
        if node.role is not Role.LEADER or not node.confirmed:
            on_answer(Answer(error=NOT_CONTROLLER, message="this broker is not the controller"))
            return
        members = [list(self._member(replica)) for replica in voters_of(node.configuration)]
        observers = [list(each) for each in self._observers()]
        on_answer(Answer([node.me.node, node.term, node.commit, members, observers]))

    def _member(self, replica: ReplicaId) -> QuorumMember:
        node = self._app.group.node
        if replica == node.me:
            now_ms = self._reactor.wall_ms()
            return QuorumMember(*replica, node.last_index, now_ms, now_ms)
        progress = node.progress.get(replica)
        if progress is None or not progress.match:
            return QuorumMember(*replica, UNKNOWN, UNKNOWN, UNKNOWN)
        heard_ms = self._heard_ms(progress)
        caught_up_ms = heard_ms if progress.match == node.last_index else UNKNOWN
        return QuorumMember(*replica, progress.match, heard_ms, caught_up_ms)

    def _heard_ms(self, progress: Progress) -> int:
        """A covered follower is heard with every heartbeat of its broker."""
        now = self._reactor.now_us()
        heard = now if progress.covered or progress.heard_us < 0 else progress.heard_us
        return self._wall_ms(heard)

    def _wall_ms(self, at_us: int) -> int:
        return self._reactor.wall_ms() - (self._reactor.now_us() - at_us) // 1000

    def _observers(self) -> list[QuorumMember]:
        """Learners, and every registered broker that is no member of the group."""
        node = self._app.group.node
        configuration = node.configuration
        members = members_of(configuration)
        others = [broker.replica for _, broker in sorted(self._app.image.brokers.items())]
        return [
            *map(self._member, configuration.learners),
            *(self._observer(replica) for replica in others if replica not in members),
        ]

    def _observer(self, replica: ReplicaId) -> QuorumMember:
        asked = self._source.asked.get(replica)
        if asked is None:
            return QuorumMember(*replica, UNKNOWN, UNKNOWN, UNKNOWN)
        heard_ms = self._wall_ms(asked.at_us)
        end = asked.next_index - 1
        caught_up_ms = heard_ms if end >= self._app.group.node.commit else UNKNOWN
        return QuorumMember(*replica, end, heard_ms, caught_up_ms)


def quorum_view(value: Any) -> QuorumView:
    """Another broker's answer to DESCRIBE_QUORUM; ValueError when it is not one."""
    if type(value) is not list or len(value) != 5:
        raise ValueError(f"{DESCRIBE_QUORUM}: not a list of five values")
    leader, term, commit, voters, observers = value
    _number(leader, 0, 2**31 - 1, "leader")
    _number(term, 0, MAX_TERM, "term")
    _number(commit, 0, 2**63 - 1, "commit")
    return QuorumView(leader, term, commit, _members(voters), _members(observers))


def _members(rows: Any) -> tuple[QuorumMember, ...]:
    if type(rows) is not list or len(rows) > _ROWS_MAX:
        raise ValueError(f"{DESCRIBE_QUORUM}: not a list of at most {_ROWS_MAX} members")
    return tuple([_member(row) for row in rows])


def _member(row: Any) -> QuorumMember:
    if type(row) is not list or len(row) != len(QuorumMember._fields):
        raise ValueError(f"{DESCRIBE_QUORUM}: a member is not a list of five values")
    member = QuorumMember(*row)
    if type(member.directory) is not bytes or len(member.directory) != _DIRECTORY_BYTES:
        raise ValueError(f"{DESCRIBE_QUORUM}: a directory id is not {_DIRECTORY_BYTES} bytes")
    _number(member.node, 0, 2**31 - 1, "node")
    for number in member[2:]:
        _number(number, UNKNOWN, 2**63 - 1, "member")
    return member


def _number(value: Any, low: int, high: int, what: str) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{DESCRIBE_QUORUM}: {what} is {value!r}, expected {low} to {high}")
