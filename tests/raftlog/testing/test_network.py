"""The virtual network: delay, loss, duplication, cuts, partitions and healing."""

from __future__ import annotations

from random import Random

from raftlog.testing.network import LinkQuality, VirtualNetwork
from raftlog.testing.reactor import VirtualReactor


class Bench:
    """Three addresses and what each received: (time, sender, item)."""

    def __init__(self, quality: LinkQuality, seed: int = 1) -> None:
        self.reactor = VirtualReactor(seed)
        self.network: VirtualNetwork[int] = VirtualNetwork(self.reactor, Random(seed), quality)
        self.seen: dict[int, list[tuple[int, int, int]]] = {1: [], 2: [], 3: []}
        self.processes = {a: self.reactor.process(f"p{a}") for a in self.seen}
        for address, process in self.processes.items():
            self.network.attach(address, process, self._receiver(address))

    def _receiver(self, address: int):  # type: ignore[no-untyped-def]
        return lambda sender, item: self.seen[address].append((self.reactor.now_us(), sender, item))

    def items(self, address: int) -> list[int]:
        return [item for _, _, item in self.seen[address]]


def test_delays_lie_within_the_quality() -> None:
    bench = Bench(LinkQuality(delay_min_us=100, delay_max_us=200))
    for item in range(200):
        bench.network.send(1, 2, item)
    bench.reactor.run_until(1_000)
    times = [time for time, _, _ in bench.seen[2]]
    assert len(times) == 200
    assert 100 <= min(times) < 110 < 190 < max(times) <= 200


def test_packets_overtake_each_other() -> None:
    bench = Bench(LinkQuality(slow=0.2))
    for item in range(50):
        bench.network.send(1, 2, item)
    bench.reactor.run_until(1_000_000)
    assert sorted(bench.items(2)) == list(range(50)) != bench.items(2)


def test_loss_and_duplication_are_counted() -> None:
    bench = Bench(LinkQuality(loss=0.3, duplicate=0.3))
    for item in range(1_000):
        bench.network.send(1, 2, item)
    bench.reactor.run_until(1_000_000)
    counts = bench.network.statistics()
    assert 200 < counts.lost < 400
    assert 130 < counts.duplicated < 290
    assert counts.delivered == len(bench.items(2)) == 1_000 - counts.lost + counts.duplicated


def test_a_cut_has_one_direction_and_swallows_what_is_in_flight() -> None:
    bench = Bench(LinkQuality())
    bench.network.send(1, 2, 1)
    bench.network.cut(1, 2)
    bench.network.send(1, 2, 2)
    bench.network.send(2, 1, 3)
    bench.reactor.run_until(10_000)
    assert (bench.items(2), bench.items(1)) == ([], [3])
    bench.network.mend(1, 2)
    bench.network.send(1, 2, 4)
    bench.reactor.run_until(20_000)
    assert bench.items(2) == [4]


def test_partition_and_heal() -> None:
    bench = Bench(LinkQuality())
    bench.network.partition([1], [2, 3])
    assert bench.network.is_cut(1, 2)
    assert bench.network.is_cut(3, 1)
    assert not bench.network.is_cut(2, 3)
    bench.network.heal()
    assert not bench.network.is_cut(1, 2)


def test_a_paused_process_receives_when_it_resumes_and_a_dead_one_never() -> None:
    bench = Bench(LinkQuality())
    bench.processes[2].pause(50_000)
    bench.processes[3].crash()
    bench.network.send(1, 2, 1)
    bench.network.send(1, 3, 2)
    bench.reactor.run_until(40_000)
    assert bench.items(2) == []
    bench.reactor.run_until(60_000)
    assert bench.seen[2] == [(50_000, 1, 1)]
    assert bench.items(3) == []


def test_links_degrade_one_by_one() -> None:
    bench = Bench(LinkQuality())
    bench.network.degrade(1, 2, loss=1.0)
    bench.network.send(1, 2, 1)
    bench.network.send(1, 3, 2)
    bench.reactor.run_until(10_000)
    assert (bench.items(2), bench.items(3)) == ([], [2])


def test_the_same_seed_gives_the_same_arrivals() -> None:
    def arrivals(seed: int) -> list[tuple[int, int, int]]:
        bench = Bench(LinkQuality(loss=0.1, duplicate=0.1, slow=0.1), seed)
        for item in range(100):
            bench.network.send(1, 2, item)
        bench.reactor.run_until(1_000_000)
        return bench.seen[2]

    assert arrivals(7) == arrivals(7)
    assert arrivals(7) != arrivals(8)
