"""A virtual network of datagrams between addresses: it delays, loses, doubles and reorders.

This is harsher than what replicas meet in production, where a TCP connection keeps order until
it breaks: whatever holds here holds there. `raftlog.testing.streams` adds connections on top.

Rules:
- Items are opaque and are handed over as they are; senders must not change them afterwards.
- Every directed link has its own quality and may be cut on its own. A cut also swallows what
  was in flight.
- An item reaches whoever is attached at its address when it arrives, so that late packets of
  an earlier incarnation meet the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Generic, NamedTuple, TypeVar

from raftlog.testing.reactor import VirtualProcess, VirtualReactor

Item = TypeVar("Item")
Address = int


@dataclass(frozen=True, slots=True)
class LinkQuality:
    """How one direction of a link treats packets; probabilities are 0..1 per packet."""

    delay_min_us: int = 100
    delay_max_us: int = 1_000
    loss: float = 0.0
    duplicate: float = 0.0
    slow: float = 0.0
    """Probability of a delay `slow_factor` times as long, which overtakes and reorders."""
    slow_factor: int = 20


PERFECT = LinkQuality()


class NetworkStatistics(NamedTuple):
    """Packets since the start."""

    sent: int
    delivered: int
    lost: int
    """By chance."""
    cut: int
    """Because the link was cut or nobody listened."""
    duplicated: int


@dataclass(slots=True)
class _Endpoint(Generic[Item]):
    process: VirtualProcess
    receive: Callable[[Address, Item], None]


@dataclass(slots=True)
class _Link:
    quality: LinkQuality
    cut: bool = False


class VirtualNetwork(Generic[Item]):
    """All links between all addresses; faults are set by link, by partition or for all."""

    def __init__(
        self, reactor: VirtualReactor, random: Random, quality: LinkQuality = PERFECT
    ) -> None:
        self.quality = quality
        """What a link without a quality of its own has."""
        self._reactor = reactor
        self._random = random
        self._endpoints: dict[Address, _Endpoint[Item]] = {}
        self._links: dict[tuple[Address, Address], _Link] = {}
        self._sent = self._delivered = self._lost = self._cut = self._duplicated = 0

    # ------------------------------------------------------------------------------ endpoints

    def attach(
        self,
        address: Address,
        process: VirtualProcess,
        receive: Callable[[Address, Item], None],
    ) -> None:
        """From now on `receive(sender, item)` gets what arrives at `address`."""
        self._endpoints[address] = _Endpoint(process, receive)

    def detach(self, address: Address) -> None:
        """What arrives at `address` is dropped."""
        self._endpoints.pop(address, None)

    def send(self, sender: Address, target: Address, item: Item) -> None:
        """Put one item on its way; nothing tells whether it arrives."""
        self._sent += 1
        link = self._links.get((sender, target))
        if link is None:
            link = self._links[sender, target] = _Link(self.quality)
        if link.cut:
            self._cut += 1
            return
        quality, random = link.quality, self._random.random
        if quality.loss and random() < quality.loss:
            self._lost += 1
            return
        if quality.duplicate and random() < quality.duplicate:
            self._duplicated += 1
            self._dispatch(sender, target, item, link)
        self._dispatch(sender, target, item, link)

    def _dispatch(self, sender: Address, target: Address, item: Item, link: _Link) -> None:
        reactor = self._reactor
        arrival = reactor.now_us() + self.delay_us(link.quality)
        reactor.post_at(arrival, partial(self._arrive, sender, target, item, link))

    def _arrive(self, sender: Address, target: Address, item: Item, link: _Link) -> None:
        endpoint = self._endpoints.get(target)
        if endpoint is None or link.cut or not endpoint.process.alive:
            self._cut += 1
            return
        if endpoint.process.paused:
            again = partial(self._arrive, sender, target, item, link)
            endpoint.process.deliver_at(self._reactor.now_us(), again)
            return
        self._delivered += 1
        endpoint.receive(sender, item)

    # --------------------------------------------------------------------------------- faults

    def delay_us(self, quality: LinkQuality) -> int:
        """Draw one packet's delay."""
        random = self._random.random
        spread = quality.delay_max_us - quality.delay_min_us
        delay = quality.delay_min_us + int(random() * spread)
        if quality.slow and random() < quality.slow:
            delay *= quality.slow_factor
        return delay

    def set_quality(self, quality: LinkQuality) -> None:
        """Give every link, present and future, this quality."""
        self.quality = quality
        for link in self._links.values():
            link.quality = quality

    def degrade(self, sender: Address, target: Address, **changes: float) -> None:
        """Change fields of one direction's LinkQuality."""
        link = self._link(sender, target)
        link.quality = replace(link.quality, **changes)  # type: ignore[arg-type]

    def quality_of(self, sender: Address, target: Address) -> LinkQuality:
        """The present quality of one direction."""
        link = self._links.get((sender, target))
        return self.quality if link is None else link.quality

    def is_cut(self, sender: Address, target: Address) -> bool:
        """True when nothing passes from `sender` to `target`."""
        link = self._links.get((sender, target))
        return link is not None and link.cut

    def cut(self, sender: Address, target: Address) -> None:
        """Swallow everything in this one direction."""
        self._link(sender, target).cut = True

    def mend(self, sender: Address, target: Address) -> None:
        """Undo `cut`."""
        self._link(sender, target).cut = False

    def partition(self, *sides: Sequence[Address]) -> None:
        """Cut both directions between addresses of different `sides`; mend them within one.

        An address that no side names keeps its links.
        """
        side_of = {address: n for n, side in enumerate(sides) for address in side}
        for one, side in side_of.items():
            for other, opposite in side_of.items():
                if one != other:
                    self._link(one, other).cut = side != opposite

    def isolate(self, address: Address, others: Iterable[Address]) -> None:
        """Cut both directions between `address` and each of `others`."""
        for other in others:
            if other != address:
                self.cut(address, other)
                self.cut(other, address)

    def heal(self) -> None:
        """Mend every cut and give every link the default quality."""
        for link in self._links.values():
            link.cut = False
            link.quality = self.quality

    def statistics(self) -> NetworkStatistics:
        """Counts since the start."""
        return NetworkStatistics(
            self._sent, self._delivered, self._lost, self._cut, self._duplicated
        )

    def _link(self, sender: Address, target: Address) -> _Link:
        link = self._links.get((sender, target))
        if link is None:
            link = self._links[sender, target] = _Link(self.quality)
        return link
