"""The transcript language: commands, `----`, and the trace that they must produce.

A block is one or more command lines, a line of four dashes, the expected trace, and an empty
line. `#` starts a comment. QUORATE_REWRITE=1 rewrites expectations with what happened: read
the difference before you keep it. The commands are the `do_` methods below.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from raftlog.core.membership import encode_configuration
from raftlog.errors import RaftError
from raftlog.messages import Message
from raftlog.ready import Ready
from raftlog.testing.words import of_members, of_message, of_ready
from raftlog.types import (
    ZERO_POSITION,
    Configuration,
    Entry,
    EntryKind,
    HardState,
    ReplicaId,
    SnapshotMeta,
)

from .harness import MS, TIMING, World
from .values import chain, name_of, rid


def run_file(path: Path, rewrite: bool) -> tuple[str, str]:
    """(expected, happened), both as the file's whole text."""
    text = path.read_text()
    script = Script()
    out: list[str] = []
    for block in text.strip("\n").split("\n\n"):
        commands, _, expected = block.partition("\n----")
        out.append(commands)
        lines = [line for line in commands.splitlines() if line and not line.startswith("#")]
        if lines:
            out[-1] += "\n----\n" + script.run(lines)
        assert expected or not lines or rewrite, f"{path.name}: no expectation in {block!r}"
    happened = "\n\n".join(out) + "\n"
    if rewrite:
        path.write_text(happened)
        return happened, happened
    return text, happened


class Script:
    """A world driven by lines of text."""

    def __init__(self) -> None:
        self.world = World()
        self.world.trace, self.world.delivered = self._trace, self._delivered
        self._out: list[str] = []
        self._seen: dict[str, int] = {}
        self._configuration = Configuration(())

    def run(self, lines: list[str]) -> str:
        """Carry the lines out; the trace of all of them."""
        self._out = []
        for line in lines:
            word, *arguments = line.split()
            command: Callable[..., None] = getattr(self, f"do_{word.replace('-', '_')}")
            plain = [item for item in arguments if "=" not in item]
            named = dict(item.split("=", 1) for item in arguments if "=" in item)
            try:
                command(*plain, **named)
            except RaftError as error:
                self._say(f"{type(error).__name__}: {self._short(str(error))}")
        return "\n".join(self._out) or "nothing"

    def _say(self, text: str) -> None:
        self._out.append(text)

    def _short(self, text: str) -> str:
        for name in self.world.hosts:
            text = text.replace(str(rid(name)), name)
        return text

    def _trace(self, name: str, ready: Ready) -> None:
        for line in of_ready(ready, self._seen.get(name, 0), name_of):
            self._say(f"{name} {line}")
        self._seen[name] = ready.commit

    def _delivered(self, source: str, target: str, message: Message) -> None:
        self._say(f"  {source}->{target} {of_message(message)}")

    # -- setting up

    def do_group(self, voters: str, outgoing: str = "", learners: str = "") -> None:
        """Name the members; `start` them afterwards."""
        fields = (tuple(rid(name) for name in names) for names in (voters, outgoing, learners))
        self._configuration = Configuration(*fields)
        self._say(f"voters {voters}{' outgoing ' * bool(outgoing)}{outgoing}")

    def do_timing(self, **settings: str) -> None:
        """Change settings of the replicas started from now on."""
        numbers: dict[str, Any] = {name: int(value) for name, value in settings.items()}
        self.world.timing = self.world.timing._replace(**numbers)
        self._say(" ".join(f"{name} {value}" for name, value in settings.items()))

    def do_start(self, names: str, log: str = "", term: str = "0") -> None:
        """Start replicas with a log of the given terms, e.g. log=1,1,2."""
        terms = [int(item) for item in log.split(",") if item]
        hard = HardState(max([int(term), *terms]), None)
        for name in names:
            meta = SnapshotMeta(ZERO_POSITION, self._configuration)
            silenced, self._out = self._out, []
            self.world.add(name, meta, chain(terms), hard).pump()
            self._out = silenced
        self._say(f"started {' '.join(names)} at term {hard.term}, log {terms}")

    # -- events

    def do_campaign(self, name: str) -> None:
        """Start a pre-vote."""
        self.world[name].campaign(self.world.now)
        self.world.hosts[name].pump()

    def do_propose(self, name: str, *payloads: str) -> None:
        """Append entries; one Ready for all."""
        for payload in payloads:
            self.world[name].propose(EntryKind.DATA, 1, payload.encode())
        self.world.hosts[name].pump()

    def do_advance(self, ms: str, names: str = "", hold: str = "") -> None:
        """Let time pass for `names` (default all), delivering unless hold=1."""
        self.world.advance(int(ms) * MS, *names, quiet=bool(hold))

    def do_wait(self, ms: str) -> None:
        """Let time pass while nobody ticks."""
        self.world.now += int(ms) * MS
        self._say(f"now {self.world.now // MS} ms")

    def do_tick(self, names: str) -> None:
        """Tick those that are due."""
        for name in names:
            self.world.tick(name)

    def do_read(self, name: str, context: str) -> None:
        """Ask for a linearizable read."""
        self.world[name].read(int(context), self.world.now)
        self.world.hosts[name].pump()

    def do_transfer(self, name: str, target: str) -> None:
        """Hand leadership over."""
        self.world[name].transfer(rid(target))
        self.world.hosts[name].pump()

    def do_change(self, name: str, voters: str, learners: str = "") -> None:
        """Make these the members."""
        lists = (tuple(rid(item) for item in names) for names in (voters, learners))
        self.world[name].change(*lists)
        self.world.hosts[name].pump()

    def do_compact(self, name: str, index: str) -> None:
        """Take a snapshot of ten bytes."""
        self.world.compact(name, int(index))
        self._say(f"{name} holds a snapshot up to {index}")

    def do_chunks(self, name: str) -> None:
        """The host answers its node's wishes for snapshot chunks."""
        self.world.feed_snapshots(name)

    def do_later(self, ms: str, names: str = "") -> None:
        """Like `advance`, without showing how."""
        silenced, self._out = self._out, []
        self.world.advance(int(ms) * MS, *names)
        self._out = silenced
        self._say(f"now {self.world.now // MS} ms")

    def do_elect(self, name: str, voters: str = "") -> None:
        """Make `name` leader without showing how; `voters` alone hear of it (default: all)."""
        silenced, self._out = self._out, []
        self.world.elect(name, *voters)
        self.world.advance(50 * MS, *(name + voters if voters else ()))
        self._out = silenced
        self._say(f"{name} leads term {self.world[name].term}")

    # -- disks and processes

    def do_disk(self, name: str, speed: str) -> None:
        """disk A slow: writes wait for `sync`."""
        self.world.hosts[name].slow = speed == "slow"
        self._say(f"disk of {name} is {speed}")

    def do_sync(self, name: str, count: str = "1000") -> None:
        """The disk finishes its oldest writes."""
        host = self.world.hosts[name]
        host.sync(int(count))
        host.pump()

    def do_crash(self, name: str) -> None:
        """kill -9 and power loss at once."""
        self.world.crash(name)
        self._say(f"{name} is down")

    def do_restart(self, name: str) -> None:
        """Start again from the disk."""
        self.world.restart(name)
        self._seen[name] = self.world[name].commit
        self._say(f"{name} is up, log {self.world.terms(name)}, term {self.world[name].term}")

    # -- network

    def do_run(self, names: str = "") -> None:
        """Deliver everything (between `names`) until nothing moves."""
        self.world.settle(*names)

    def do_deliver(self, source: str, target: str, count: str = "1000") -> None:
        """Deliver the oldest messages of one link."""
        self.world.deliver(source, target, int(count))

    def do_drop(self, source: str, target: str, count: str = "1000") -> None:
        """Lose them."""
        for message in self.world.queue(source, target)[: int(count)]:
            self._say(f"  lost {source}->{target} {of_message(message)}")
        self.world.drop(source, target, int(count))

    def do_repeat(self, source: str, target: str) -> None:
        """Put a copy of the oldest message of a link at its end."""
        message = self.world.queue(source, target)[0]
        self.world.links[source, target].append(message)
        self._say(f"  copied {source}->{target} {of_message(message)}")

    def do_hold(self, source: str, target: str) -> None:
        """Show what is in flight."""
        for message in self.world.queue(source, target):
            self._say(f"  {source}..{target} {of_message(message)}")

    def do_cut(self, *pairs: str) -> None:
        """Cut links such as AB both ways."""
        self.world.cut(*pairs)
        self._say(f"cut {' '.join(pairs)}")

    def do_heal(self, *pairs: str) -> None:
        """Undo cuts."""
        self.world.heal(*pairs)
        self._say(f"healed {' '.join(pairs) or 'all'}")

    # -- looking

    def do_status(self, names: str) -> None:
        """One line per node."""
        for name in names:
            node = self.world[name]
            self._say(
                f"{name} {node.role.name.lower()} term={node.term} commit={node.commit} "
                f"offset={node.commit_offset} log={self.world.terms(name)}"
            )

    def do_progress(self, name: str) -> None:
        """What a leader knows of the others."""
        for replica, progress in self.world[name].progress.items():
            self._say(
                f"{name_of(replica)} {progress.state.name.lower()} match={progress.match} "
                f"next={progress.next} commit={progress.known_commit}"
            )

    def do_configuration(self, names: str) -> None:
        """The configuration in force."""
        for name in names:
            self._say(f"{name} {of_members(self.world[name].configuration, name_of)}")

    def do_config_entry(self, source: str, target: str, index: str, term: str, **to: str) -> None:
        """Inject an append that holds one CONFIG entry, as leader `source` would send it."""
        from raftlog.messages import AppendRequest

        parts: list[tuple[ReplicaId, ...]] = [
            tuple(rid(name) for name in to.get(key, "")) for key in ("voters", "outgoing")
        ]
        payload = encode_configuration(Configuration(parts[0], parts[1]))
        node = self.world[target]
        at = int(index)
        item = Entry(at, int(term), EntryKind.CONFIG, node.next_offset, 0, payload)
        previous = node.term_of(at - 1)
        self.world.inject(source, target, AppendRequest(int(term), at - 1, previous, 0, (item,)))


assert TIMING.heartbeat_us == 50 * MS, "transcripts are written for this heartbeat"
