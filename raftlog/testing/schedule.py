"""A run as a list of inputs, and the language in which such a list is kept.

An `Event` is one input to one replica: a message arrives, its clock reaches a deadline, a sync
returns, a client or an operator asks for something, the process ends or starts. Nothing in it
is drawn by chance, so that `player` can carry out the list, or any part of it.

The text is that of the core's transcripts: blocks of commands, a line of four dashes, the
trace that they gave, an empty line; `#` begins a comment. The trace is there for whoever reads
it. `parse` passes over it: once the defect is mended the same inputs give another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from raftlog.core.timing import Timing
from raftlog.errors import Misconfigured
from raftlog.testing.options import Options

DASHES = "----"
SETTINGS = ("nodes", "spares", "pass_us", "write_first", "chunk_bytes", "payload_bytes")
"""The options that matter to a schedule, besides the timing; a `group` line tells them."""


class Event(NamedTuple):
    """One input to the replica on `node`; the fields that its word does not use stay empty."""

    word: str
    """One of `WORDS`."""
    node: int
    at_us: int = 0
    """The replica's clock is moved on to this; 0: it stands, or goes to the deadline of a tick."""
    peer: int = 0
    """Who sent the message, is to lead, or is to have the chunk."""
    message: str = ""
    """The message's text (`raftlog.testing.words`): whatever the sender said that reads like it."""
    age: int = 0
    """How many messages of its kind the sender had sent since: which to take when none reads so."""
    number: int = 0
    """Of the operation; of the crash point that ends the process."""
    span: int = 0
    voters: tuple[int, ...] = ()
    learners: tuple[int, ...] = ()
    draws: tuple[int, ...] = ()
    """What the core drew at random; without them it draws the least it can."""
    survive: int = 0
    """How many of the rounds in flight a crash leaves on the disk."""


WORDS = {
    "start": "start n1: run a new process on the directory of n1",
    "crash": "crash n1 survive=2: power loss; of its unsynced rounds the oldest two are on disk",
    "trip": "trip n1 step=3 survive=0: the process ends so far into what it does next",
    "deliver": "deliver n1 n2 MESSAGE: what n1 sent reaches n2",
    "tick": "tick n1: its deadline has come",
    "drain": "drain n1: the host takes the Readies (only in a group with pass_us)",
    "sync": "sync n1: the storage thread returns",
    "write": "write n1 op5 span=2: a client appends twice to the list",
    "read": "read n1 op6: a client asks for the list's length",
    "snapshot": "snapshot n1: save the machine, then let the log below it go",
    "chunk": "chunk n1 n2: the host of n1 has read the piece of snapshot that n2 needs",
    "transfer": "transfer n1 n2: hand leadership over",
    "campaign": "campaign n1: start an election at once",
    "change": "change n1 voters=n1,n2 learners=n3: make these the members",
}
"""Every command, by example."""

_WITH_PEER = ("deliver", "transfer", "chunk")
_DETAILS = {
    "write": ("span",),
    "trip": ("step", "survive"),
    "crash": ("survive",),
    "change": ("voters", "learners"),
}


class Schedule(NamedTuple):
    """Who is there, and what happens to them."""

    options: Options
    events: tuple[Event, ...]


# ------------------------------------------------------------------------------------ to text


def opening(options: Options) -> list[str]:
    """The lines that set up the group."""
    usual = Options(seed=0)
    told = {name: getattr(options, name) for name in SETTINGS}
    group = [
        f"{name}={int(value)}"
        for name, value in told.items()
        if name == "nodes" or value != getattr(usual, name)
    ]
    lines = [f"group {' '.join(group)}"]
    timing = [
        f"{name}={int(value)}"
        for name, value, default in zip(Timing._fields, options.timing, Timing(), strict=True)
        if value != default
    ]
    if timing:
        lines.append(f"timing {' '.join(timing)}")
    return lines


def command(event: Event) -> str:
    """The line for `event`."""
    who = f"n{event.node}"
    if event.word == "deliver":
        who = f"n{event.peer} {who}"
    elif event.word in _WITH_PEER:
        who += f" n{event.peer}"
    parts = [event.word, who]
    if event.at_us:
        parts.append(f"at={of_us(event.at_us)}")
    if event.draws:
        parts.append("draws=" + ",".join(of_us(draw) for draw in event.draws))
    parts += _details(event)
    return " ".join(parts)


def _details(event: Event) -> Iterator[str]:
    if event.word in ("write", "read"):
        yield f"op{event.number}"
    if event.word == "write":
        yield f"span={event.span}"
    if event.word == "trip":
        yield f"step={event.number}"
    if event.word in ("trip", "crash"):
        yield f"survive={event.survive}"
    if event.word == "change":
        yield "voters=" + ",".join(f"n{node}" for node in event.voters)
        if event.learners:
            yield "learners=" + ",".join(f"n{node}" for node in event.learners)
    if event.message:
        yield event.message


def of_us(us: int) -> str:
    """Milliseconds, exactly."""
    whole, rest = divmod(us, 1000)
    return f"{whole}.{rest:03}".rstrip("0") if rest else str(whole)


# ---------------------------------------------------------------------------------- from text


def parse(text: str) -> Schedule:
    """The schedule in a transcript; Misconfigured names the line that cannot be read."""
    settings: dict[str, Any] = {}
    timing = Timing()
    events: list[Event] = []
    for number, line in _commands(text):
        word, *rest = line.split(" ")
        try:
            if word == "group":
                settings = {name: int(value) for name, value in _named(rest, SETTINGS)}
            elif word == "timing":
                given: Any = {name: int(value) for name, value in _named(rest, Timing._fields)}
                timing = timing._replace(**given).validated()
            else:
                events.append(_event(word, rest))
        except (ValueError, IndexError) as error:
            raise Misconfigured(f"line {number} cannot be read: {line!r}: {error}") from None
    if not settings or not events:
        raise Misconfigured("a schedule opens with a `group` line, and events follow")
    if "write_first" in settings:
        settings["write_first"] = bool(settings["write_first"])
    return Schedule(Options(seed=0, timing=timing, **settings), tuple(events))


def _commands(text: str) -> Iterator[tuple[int, str]]:
    """The numbered command lines: all but comments and what follows four dashes."""
    told = False
    for number, line in enumerate(text.splitlines(), 1):
        if line == DASHES:
            told = True
        elif not line:
            told = False
        elif not told and not line.startswith("#"):
            yield number, line


def _event(word: str, rest: list[str]) -> Event:
    if word not in WORDS:
        raise ValueError(f"the commands are group, timing, {', '.join(WORDS)}")
    node, peer = _node(rest.pop(0)), 0
    if word in _WITH_PEER:
        peer = _node(rest.pop(0))
    if word == "deliver":
        node, peer = peer, node
    event = Event(word, node, peer=peer)
    if rest and rest[0].startswith("at="):
        event = event._replace(at_us=_us(rest.pop(0)[3:]))
    if rest and rest[0].startswith("draws="):
        event = event._replace(draws=tuple(_us(item) for item in rest.pop(0)[6:].split(",")))
    if word == "deliver":
        return event._replace(message=" ".join(rest))
    if word in ("write", "read"):
        event = event._replace(number=int(rest.pop(0).removeprefix("op")))
    for name, value in _named(rest, _DETAILS.get(word, ())):
        changed: dict[str, Any] = {"number" if name == "step" else name: _detail(word, value)}
        event = event._replace(**changed)
    return event


def _detail(word: str, value: str) -> int | tuple[int, ...]:
    return tuple(map(_node, value.split(","))) if word == "change" else int(value)


def _named(items: Iterable[str], allowed: Iterable[str]) -> Iterator[tuple[str, str]]:
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or name not in allowed:
            raise ValueError(f"what is {item!r}? Known here: {', '.join(allowed) or 'nothing'}")
        yield name, value


def _node(name: str) -> int:
    return int(name.removeprefix("n"))


def _us(text: str) -> int:
    whole, _, rest = text.partition(".")
    return int(whole) * 1000 + int(f"{rest:0<3}"[:3])
