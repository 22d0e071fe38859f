"""The invariants, asserted at every step of a simulation and only where the step was.

The checker sees a replica at three moments: after every input to its core (`observed`), for
every Ready before it is carried out (`decided`), and once the Ready has been carried out
(`settled`). What spans replicas and incarnations is in `History` and `Promises`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from raftlog.core import decode_configuration
from raftlog.core.node import Node
from raftlog.messages import Message
from raftlog.ready import Ready
from raftlog.testing.history import History, Violation
from raftlog.testing.machine import Machine
from raftlog.testing.promises import Promises
from raftlog.testing.store import Image, Store
from raftlog.types import Configuration, Entry, EntryKind, ReplicaId, Role


class Subject(Protocol):
    """What the checker looks at: one incarnation of one replica."""

    id: ReplicaId
    incarnation: int
    node: Node
    store: Store
    machine: Machine
    seen: Seen


class Seen:
    """What the checker last saw of an incarnation."""

    __slots__ = (
        "check_configuration",
        "commit",
        "configuration",
        "matches",
        "role",
        "term",
    )

    def __init__(self) -> None:
        self.role = Role.FOLLOWER
        self.term = 0
        self.commit = 0
        self.matches: dict[ReplicaId, int] = {}
        self.configuration = Configuration(())
        """In force before the present input, whose commit may bring the next one."""
        self.check_configuration = True
        """The log's configurations may have changed since they were last compared."""


class Checker:
    """Invariants of DESIGN section 4 over all replicas of one group."""

    def __init__(self) -> None:
        self.history = History()
        self.promises = Promises(self.history)
        self.probes: Counter[str] = Counter()
        """How often each rare path was taken."""
        self.stores: dict[ReplicaId, Store] = {}
        """Every replica's directory; the cluster fills it."""

    # ------------------------------------------------------------------------------- moments

    def started(self, subject: Subject) -> None:
        """A new incarnation has recovered its directory."""
        self.promises.restarted(subject.id, subject.store.visible.hard_state)
        subject.seen = seen = Seen()
        seen.commit = subject.store.visible.meta.position.index
        seen.configuration = subject.node.configuration

    def observed(self, subject: Subject) -> None:
        """The core has just taken one input."""
        node, seen = subject.node, subject.seen
        term, role, commit = node.term, node.role, node.commit
        led_before = seen.role is Role.LEADER and term == seen.term
        if term != seen.term or role is not seen.role:
            self._changed(subject, term, role)
        if commit != seen.commit:
            if commit < seen.commit:
                raise Violation(
                    "commit is monotonic",
                    f"n{subject.id.node} goes from {seen.commit} back to {commit}",
                )
            if commit > self.history.commit:
                self._commits(subject, commit, led_before or role is Role.LEADER)
            seen.commit = commit
        seen.configuration = node.configuration
        if role is Role.LEADER:
            self._matches(subject)

    def decided(self, subject: Subject, ready: Ready) -> None:
        """A Ready is about to be carried out."""
        visible = subject.store.visible
        if ready.truncate_from:
            subject.seen.check_configuration = True
            self._truncates(subject, ready, visible)
        if ready.entries:
            for entry in ready.entries:
                if entry.kind == EntryKind.CONFIG:
                    self._changes(subject, ready)
                    break
            before = ready.entries[0].index - 1
            install = ready.snapshot
            if install is not None and install.done and install.meta.position.index == before:
                previous: int | None = install.meta.position.term
            else:
                previous = visible.term_at(before)
            if previous is None:
                raise Violation("the log has no gap", f"n{subject.id.node} writes {before + 1}")
            self.history.written(subject.id.node, previous, ready.entries)
        if ready.hard_state is not None:
            self.promises.wrote(subject.id, visible.hard_state, ready.hard_state)

    def sent(self, subject: Subject, target: ReplicaId, message: Message) -> None:
        """A message is about to leave."""
        self.promises.sent(subject.id, subject.store.durable, target, message)

    def learned(self, subject: Subject, commit: int, entries: Sequence[Entry]) -> None:
        """A replica is about to apply `entries`, the rest of what it calls committed."""
        if not entries or entries[-1].index != commit:
            raise Violation(
                "snapshot <= applied <= committed <= last",
                f"n{subject.id.node} calls {commit} committed and holds {entries[-1:]}",
            )
        self.history.check_committed(subject.id.node, entries)

    def settled(self, subject: Subject) -> None:
        """Every Ready has been carried out: the views of core, store and machine must agree."""
        node, machine, visible = subject.node, subject.machine, subject.store.visible
        commit = node.commit
        snapshot, end = visible.meta.position.index, visible.last()
        last = end.index
        if not snapshot <= machine.applied <= commit <= last or last != node.last_index:
            raise Violation(
                "snapshot <= applied <= committed <= last",
                f"n{subject.id.node}: {snapshot} {machine.applied} {commit} {last},"
                f" the core's last is {node.last_index}",
            )
        high_watermark, ends_at = node.commit_offset, self.history.committed[commit].end
        if high_watermark != ends_at:
            raise Violation(
                "the high watermark is the end of what is committed",
                f"n{subject.id.node}: {high_watermark} at commit {commit}, which ends at {ends_at}",
            )
        reader = subject.store.reader
        if reader is not visible and reader.last() != end:
            raise Violation(
                "the log is what was written to it",
                f"n{subject.id.node}: {reader.last()}, not {end}",
            )
        if node.next_offset != end.offset:
            raise Violation(
                "offsets are dense",
                f"n{subject.id.node}: next offset {node.next_offset}, the log ends at {end.offset}",
            )
        if subject.seen.check_configuration:
            self._obeys_its_log(subject)

    def _obeys_its_log(self, subject: Subject) -> None:
        """The configuration in force is the newest in the log, committed or not."""
        subject.seen.check_configuration = False
        visible = subject.store.visible
        logged = visible.configurations()
        newest = logged[-1][1] if logged else visible.meta.configuration
        if subject.node.configuration != newest:
            raise Violation(
                "the newest configuration is in force",
                f"n{subject.id.node} obeys {_brief(subject.node.configuration)}, its log says"
                f" {_brief(newest)}",
            )

    def applied(self, subject: Subject) -> None:
        """The machine has moved."""
        machine = subject.machine
        self.history.applied(subject.id.node, machine.applied, machine.digest, machine.next_offset)

    # ------------------------------------------------------------------------------- details

    def _changed(self, subject: Subject, term: int, role: Role) -> None:
        seen = subject.seen
        if term < seen.term:
            raise Violation(
                "term is monotonic", f"n{subject.id.node} goes from {seen.term} back to {term}"
            )
        if role is Role.LEADER:
            self.history.elected(term, subject.id, subject.incarnation)
            if seen.role is not Role.LEADER or term != seen.term:
                self._chosen(subject, term)
                self._complete(subject)
                self.probes["elections"] += 1
                if subject.node.configuration.outgoing:
                    self.probes["joint configuration taken over"] += 1
                if subject.store.visible.last_index > self.history.commit:
                    self.probes["leader elected with uncommitted entries"] += 1
            seen.matches = {}
        elif seen.role is Role.LEADER:
            self.probes["leader stepped down"] += 1
            if term == seen.term and subject.id not in subject.node.configuration.voters:
                self.probes["leader left the group"] += 1
            if subject.node.commit < subject.node.last_index:
                self.probes["leader stepped down with entries in flight"] += 1
        seen.term, seen.role = term, role

    def _chosen(self, subject: Subject, term: int) -> None:
        """A quorum of every active configuration has voted, each for itself and durably."""
        me = subject.id
        configuration = subject.seen.configuration
        own = subject.store.durable.hard_state == (term, me)
        for voters in (configuration.voters, configuration.outgoing):
            given = [v for v in voters if (own if v == me else self.promises.has_vote(me, v, term))]
            if voters and len(given) <= len(voters) // 2:
                raise Violation(
                    "a leader has the votes of a quorum",
                    f"n{me.node} leads term {term} with the votes of {[v.node for v in given]}",
                )

    def _complete(self, subject: Subject) -> None:
        """Leader completeness (Raft paper, 5.4): it has all that lower terms have committed.

        Log matching, checked as entries are written, extends this from the last one to all.
        Not more than that: votes may arrive late, for a term that others have left behind.
        """
        commit = self.history.commit_before(subject.node.term)
        visible = subject.store.visible
        if commit <= visible.meta.position.index:
            return
        term = visible.term_at(commit)
        if term != self.history.committed[commit].term:
            raise Violation(
                "leader completeness",
                f"n{subject.id.node} leads term {subject.node.term} and has term {term} at"
                f" {commit}, committed was {self.history.committed[commit]}",
            )

    def _commits(self, subject: Subject, commit: int, led: bool) -> None:
        """A replica calls committed what none did before: it must be a leader with a quorum.

        `led`: it was one until now, though the commit of its own removal may have ended that.
        """
        node, visible = subject.node, subject.store.visible
        term = visible.term_at(commit)
        who = f"n{subject.id.node}"
        if not led:
            raise Violation("only a leader commits", f"{who} commits {commit}, it is {node.role!r}")
        if term != node.term:
            raise Violation(
                "a leader counts only entries of its own term",
                f"{who} commits {commit}/{term} in term {node.term} (Raft paper, figure 8)",
            )
        configuration = subject.seen.configuration
        for voters in (configuration.voters, configuration.outgoing):
            holders = [v for v in voters if self._holds(v, commit, term)]
            if voters and len(holders) <= len(voters) // 2:
                raise Violation(
                    "a commit is durable on a quorum",
                    f"{who} commits {commit}/{term}, durable on {[h.node for h in holders]}",
                )
        if not self._holds(subject.id, commit, term):
            self.probes["commit before the leader's own sync"] += 1
        first = self.history.commit + 1
        if visible.term_at(first) != term:
            self.probes["older terms committed by a new leader"] += 1
        self.history.commits(node.term, visible.read(first, commit + 1, 1 << 40))

    def _changes(self, subject: Subject, ready: Ready) -> None:
        """A leader's change is joint, and starts only when the one before is committed."""
        node, visible = subject.node, subject.store.visible
        known = [(visible.meta.position.index, visible.meta.configuration)]
        known += visible.configurations()
        for entry in ready.entries:
            if entry.kind != EntryKind.CONFIG:
                continue
            subject.seen.check_configuration = True
            before, old = known[-1]
            new = decode_configuration(entry.payload)
            known.append((entry.index, new))
            if node.role is not Role.LEADER:
                continue
            self.probes["joint configuration" if new.outgoing else "simple configuration"] += 1
            if set(new.voters) & set(old.learners):
                self.probes["learner became a voter"] += 1
            if before > node.commit or node.term_of(node.commit) != node.term:
                raise Violation(
                    "one uncommitted configuration at a time",
                    f"n{subject.id.node} appends one at {entry.index}, there is one at {before},"
                    f" committed is {node.commit}/{node.term_of(node.commit)} in term {node.term}",
                )
            wanted = old.voters if set(old.voters) != set(new.voters) else ()
            ends = not new.outgoing and new.voters == old.voters
            if not ends if old.outgoing else new.outgoing != wanted:
                raise Violation(
                    "voters change jointly",
                    f"n{subject.id.node}: from {_brief(old)} to {_brief(new)}",
                )

    def _holds(self, replica: ReplicaId, index: int, term: int) -> bool:
        durable = self.stores[replica].durable
        known = durable.term_at(index)
        return known == term or (known is None and index < durable.meta.position.index)

    def _matches(self, subject: Subject) -> None:
        """`match[f]` is a prefix that f has durable and shares with this leader."""
        known, own = subject.seen.matches, subject.store.visible
        for follower, progress in subject.node.progress.items():
            match = progress.match
            if match == known.get(follower, 0) or follower == subject.id:
                continue
            known[follower] = match
            theirs = self.stores[follower].durable
            said = self.promises.acknowledged(follower, subject.node.term)
            if match > said:
                raise Violation(
                    "match rests on acknowledgements of the leader's own term",
                    f"n{subject.id.node} believes n{follower.node} matches {match} in term"
                    f" {subject.node.term}, acknowledged in it was {said}",
                )
            if theirs.hard_state.term > subject.node.term:
                continue  # deposed without knowing it: its followers owe it nothing any more
            mine, other = own.term_at(match), theirs.term_at(match)
            lost = other is None and match > theirs.last_index
            if lost or (mine is not None and other is not None and mine != other):
                raise Violation(
                    "match never passes the matching prefix",
                    f"n{subject.id.node} believes n{follower.node} matches {match}/{mine},"
                    f" it has {other} there and ends at {theirs.last_index}",
                )

    def _truncates(self, subject: Subject, ready: Ready, visible: Image) -> None:
        seen, node = subject.seen, subject.node
        who, first = f"n{subject.id.node}", ready.truncate_from
        self.probes["truncation"] += 1
        if any(at >= first for at, _ in visible.configurations()):
            self.probes["configuration rolled back"] += 1
        if node.role is Role.LEADER and seen.role is Role.LEADER:
            raise Violation("a leader only appends", f"{who} leads and cuts at {first}")
        if first <= subject.machine.applied:
            raise Violation(
                "committed entries never change",
                f"{who} cuts at {first}, it has applied {subject.machine.applied}",
            )
        if self.promises.acknowledged(subject.id, node.term) >= first:
            raise Violation(
                "a matching suffix is never cut",
                f"{who} cuts at {first} what it acknowledged in the same term {node.term}",
            )
        replaced = visible.term_at(first)
        if ready.entries and ready.entries[0][:2] == (first, replaced):
            raise Violation(
                "a matching suffix is never cut", f"{who} cuts {first}/{replaced} and rewrites it"
            )


def _brief(configuration: Configuration) -> str:
    """Voters, outgoing voters and learners, by node."""
    return str([[member.node for member in part] for part in configuration])
