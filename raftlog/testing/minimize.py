"""Finds the short schedule in a long one: what can be left out while the same invariant breaks.

First in bulk (all reads, all of one node, all messages of one kind), then by delta debugging
(Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002): pieces half
as long, a quarter as long, down to single events. After every success what did nothing goes,
too, and a `deliver` names what it really delivered. Nothing is drawn and nothing is timed, so
that the same list always shrinks to the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from raftlog.core.timing import Timing
from raftlog.testing.options import Options
from raftlog.testing.player import Player
from raftlog.testing.schedule import SETTINGS, Event, Schedule
from raftlog.testing.words import kind_of

EVENTS_MAX = 1_500_000
"""Events played before the search ends with the best it has: about a minute."""


class Minimizer:
    """One search; `schedule` is the shortest so far that breaks `invariant`."""

    def __init__(self, schedule: Schedule, invariant: str, events_max: int = EVENTS_MAX) -> None:
        self.schedule = schedule
        self.invariant = invariant
        self.replays = 0
        self._left = events_max

    def run(self) -> bool:
        """Shorten as far as it goes; False when the whole schedule does not break it."""
        if not self._holds_up(self.schedule.options, self.schedule.events):
            return False
        self._simplify_passes()
        self._map(lambda event: event._replace(draws=()))
        self._in_bulk()
        self._in_pieces()
        self._without_draws()
        self._simplify_options()
        self._simplify_times()
        self._in_bulk()
        self._in_pieces()
        self._renumber()
        return True

    def _holds_up(self, options: Options, events: Sequence[Event]) -> bool:
        """Keep this schedule, less what did nothing, if it breaks the same invariant."""
        if self._left <= 0:
            return False
        self.replays += 1
        self._left -= len(events)
        played = Player(options).play(events)
        if played.invariant != self.invariant:
            return False
        self.schedule = Schedule(options, tuple(played.events))
        return True

    def _keep(self, wanted: Callable[[Event], bool]) -> bool:
        events = self.schedule.events
        fewer = [event for event in events if wanted(event)]
        return len(fewer) < len(events) and self._holds_up(self.schedule.options, fewer)

    def _map(self, change: Callable[[Event], Event]) -> bool:
        return self._holds_up(self.schedule.options, list(map(change, self.schedule.events)))

    # ----------------------------------------------------------------------------------- fewer

    def _in_bulk(self) -> None:
        for nodes in sorted({event.node for event in self.schedule.events}, reverse=True):
            self._keep(lambda event, node=nodes: node not in (event.node, event.peer))  # type: ignore[misc]
        for word in dict.fromkeys(event.word for event in self.schedule.events):
            self._keep(lambda event, word=word: event.word != word)  # type: ignore[misc]
        for group in dict.fromkeys(map(_group, self.schedule.events)):
            self._keep(lambda event, group=group: _group(event) != group)  # type: ignore[misc]

    def _in_pieces(self) -> None:
        size = len(self.schedule.events) // 2
        while size and self._left > 0:
            shorter = self._pass(size)
            if size > 1 or not shorter:
                size //= 2

    def _pass(self, size: int) -> bool:
        """Try without each piece of this many events; True when any could go."""
        before = len(self.schedule.events)
        start = 0
        while start < len(self.schedule.events):
            events = self.schedule.events
            if not self._holds_up(self.schedule.options, events[:start] + events[start + size :]):
                start += size
        return len(self.schedule.events) < before

    # ----------------------------------------------------------------------------------- simpler

    def _simplify_passes(self) -> None:
        """A host that takes a Ready after every input needs no `drain`."""
        options = replace(self.schedule.options, pass_us=0)
        if options != self.schedule.options:
            events = [event for event in self.schedule.events if event.word != "drain"]
            self._holds_up(options, events)

    def _without_draws(self) -> None:
        """Every replica waits as short as it may, except where it must not."""
        if not self._map(lambda event: event._replace(draws=())):
            self._one_by_one(lambda event: event._replace(draws=()))

    def _simplify_options(self) -> None:
        for options in _simpler(self.schedule.options):
            self._holds_up(options(self.schedule.options), self.schedule.events)

    def _simplify_times(self) -> None:
        """Clocks stand still but for ticks; what must be later is so by whole milliseconds."""
        if self.schedule.options.timing.lease_reads:
            return  # leases hold while clocks run alike, as they did in the run
        if not self._map(lambda event: event._replace(at_us=0)):
            self._map(lambda event: event._replace(at_us=-(-event.at_us // 1000) * 1000))
            self._one_by_one(lambda event: event._replace(at_us=0))

    def _one_by_one(self, change: Callable[[Event], Event]) -> None:
        place = 0
        while place < len(self.schedule.events):
            events = self.schedule.events
            changed = change(events[place])
            if changed != events[place]:
                self._holds_up(
                    self.schedule.options, (*events[:place], changed, *events[place + 1 :])
                )
            place += 1

    def _renumber(self) -> None:
        """Operations count from 1."""
        numbers: dict[int, int] = {}
        for event in self.schedule.events:
            if event.word in ("write", "read"):
                numbers[event.number] = len(numbers) + 1
        self._map(lambda event: _renumbered(event, numbers))


def _renumbered(event: Event, numbers: dict[int, int]) -> Event:
    if event.word in ("write", "read"):
        return event._replace(number=numbers[event.number])
    return event


def _group(event: Event) -> tuple[str, int, int, str]:
    return event.word, event.node, event.peer, kind_of(event.message)


def _simpler(options: Options) -> Iterator[Callable[[Options], Options]]:
    """One change towards the defaults each."""
    usual, default = Options(seed=0), Timing()
    yield lambda now: replace(now, nodes=min(3, now.nodes))
    for name in SETTINGS:
        if name != "nodes" and getattr(options, name) != getattr(usual, name):
            yield lambda now, name=name: replace(now, **{name: getattr(usual, name)})  # type: ignore[misc]
    yield lambda now: replace(now, timing=default)
    for name in Timing._fields:
        if getattr(options.timing, name) != getattr(default, name):
            yield lambda now, name=name: replace(  # type: ignore[misc]
                now, timing=now.timing._replace(**{name: getattr(default, name)})
            )
