"""Whole brokers in one thread: virtual time, disks and wires, and faults on demand."""

from __future__ import annotations

from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

from partitions.replicas.replica import PartitionReplica
from partitions.testing.broker import SimBroker
from partitions.testing.client import SimClient
from partitions.testing.tasks import Promise, sleep, spawn
from partitions.testing.world import World

T = TypeVar("T")

LIMIT_US = 120_000_000
CLIENT_ADDRESS_FIRST = 101


class Stuck(Exception):
    """Something did not happen within its limit of virtual time."""


class SimCluster:
    """Brokers 1..`nodes`; unless `voters` says which, all of them found the metadata quorum."""

    def __init__(
        self,
        seed: int,
        nodes: int = 3,
        *,
        voters: tuple[int, ...] = (),
        settings: dict[str, str] | None = None,
        whole_trace: bool = True,
    ) -> None:
        """`settings` go on top of `broker.SETTINGS`."""
        self.seed = seed
        self.world = World(seed, whole_trace=whole_trace)
        self.reactor = self.world.reactor
        self.trace = self.world.trace
        self.brokers = {node: SimBroker(self.world, node, settings) for node in range(1, nodes + 1)}
        self.damaged: set[tuple[int, str, int]] = set()
        """(node, topic, partition) of copies whose files `damage` has changed."""
        self._clients = 0
        for broker in self.brokers.values():
            broker.format([self.brokers[node] for node in voters or self.brokers])

    def start(self) -> None:
        """Start every broker that does not run."""
        for broker in self.brokers.values():
            if not broker.running:
                broker.start()

    def client(self) -> SimClient:
        """A new client with an address of its own."""
        return SimClient(self.world, self.new_address(), list(self.brokers))

    def new_address(self) -> int:
        """For a client."""
        self._clients += 1
        return CLIENT_ADDRESS_FIRST - 1 + self._clients

    # --- running

    def spawn(self, work: Coroutine[Any, Any, T]) -> Promise[T]:
        """Run a coroutine beside others; what it raises comes out of `run`."""
        return spawn(self.reactor, work)

    def run(self, work: Coroutine[Any, Any, T], *, limit_us: int = LIMIT_US) -> T:
        """Run the simulation until `work` is done. Raises Stuck after `limit_us`."""
        result = self.spawn(work)
        if not self.reactor.run_until(
            lambda: result.done, limit_us=self.reactor.now_us() + limit_us
        ):
            raise Stuck(f"not done after {limit_us / 1e6:g} s of virtual time")
        return result.value

    def sleep(self, delay_us: int) -> Promise[None]:
        """For coroutines: `await cluster.sleep(us)`."""
        return sleep(self.reactor, delay_us)

    # --- looking

    def running(self) -> list[SimBroker]:
        """Brokers with a process, by node."""
        return [broker for broker in self.brokers.values() if broker.running]

    def replicas(self, topic: str, partition: int) -> dict[int, PartitionReplica]:
        """A partition's copies on the running brokers, by node."""
        found = {}
        for broker in self.running():
            known = broker.broker.metadata.image.topic(topic)
            if known is not None:
                replica = broker.broker.manager.replica(known.topic_id, partition)
                if replica is not None:
                    found[broker.node] = replica
        return found

    def offline(self, topic: str, partition: int) -> set[int]:
        """The running brokers whose copy of a partition is out of service."""
        return {
            broker.node
            for broker in self.running()
            for found in broker.broker.manager.offline.values()
            if (found.topic, found.partition) == (topic, partition)
        }

    def leader(self, topic: str, partition: int) -> SimBroker | None:
        """Who serves a partition; of two that think they do, the one with the higher epoch."""
        leading = [
            (replica.leader_epoch, node)
            for node, replica in self.replicas(topic, partition).items()
            if replica.is_leader
        ]
        return self.brokers[max(leading)[1]] if leading else None

    def controller(self) -> SimBroker | None:
        """The leader of the metadata quorum, as the brokers see it."""
        for broker in self.running():
            if broker.broker.services.controller_id() == broker.node:
                return broker
        return None

    # --- faults

    def damage(self, node: int, topic: str, partition: int, random: Random) -> bool:
        """Flip a bit in a file of a partition's copy; False when it has none with content."""
        disk = self.brokers[node].disk
        sizes = {}
        for name in disk.listdir("partitions"):
            if name.endswith(f"-{topic}-{partition}"):
                paths = [f"partitions/{name}/{file}" for file in disk.listdir(f"partitions/{name}")]
                sizes = {
                    path: disk.size(path) for path in paths if path.endswith((".log", ".raft"))
                }
        path = random.choice([path for path, size in sizes.items() if size] or [""])
        if not path:
            return False
        position = random.randrange(sizes[path])
        self.world.note(node, "damage", path, position)
        disk.flip_bit(path, position, random.randrange(8))
        self.damaged.add((node, topic, partition))
        return True

    def cut_off(self, node: int) -> None:
        """Nothing passes between `node` and the other brokers; clients still reach it."""
        self.world.note(-1, "cut", node)
        self.world.network.isolate(node, list(self.brokers))

    def cut_one_way(self, source: int, target: int) -> None:
        """What `source` sends to `target` is lost; the other direction works."""
        self.world.note(-1, "cut-one-way", source, target)
        self.world.network.cut(source, target)

    def heal(self) -> None:
        """Mend every link."""
        self.world.note(-1, "heal")
        self.world.network.heal()
