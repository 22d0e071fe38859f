"""Runs a scenario from a seed to its verdict, and says how to see a failure again."""

from __future__ import annotations

import logging
import multiprocessing
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import Pool
from random import Random

import structlog

from partitions.testing import verdict
from partitions.testing.client import SimClient
from partitions.testing.cluster import SimCluster
from partitions.testing.options import Options
from partitions.testing.scenarios import PARTITIONS, SCENARIOS, TOPIC
from partitions.testing.workload import Consumer, Producer

REPLICAS = 3
TRACE_LINES = 80
DEPTH = 3
"""Batches that the pipelining producer has on their way to one partition."""
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Result:
    """A run that kept every promise."""

    seed: int
    scenario: str
    digest: str
    """SHA-256 of the trace."""
    events: int
    simulated_us: int
    acknowledged: int
    """Batches."""
    records: int
    """Read in the end, over all partitions."""
    retries: int
    longest_us: int
    """What the slowest acknowledged batch took."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that broke one."""

    seed: int
    scenario: str
    report: str


class Run:
    """One seed of one scenario."""

    def __init__(self, options: Options, *, whole_trace: bool = True) -> None:
        self.options = options
        self.cluster = SimCluster(options.seed, whole_trace=whole_trace)
        self.cluster.world.network.set_quality(options.wire)
        self._working = True

    def run(self) -> Result:
        """Work under faults, heal, and check. Raises what was broken."""
        return self.cluster.run(self._story())

    async def _story(self) -> Result:
        cluster = self.cluster
        cluster.start()
        clients = [cluster.client() for _ in range(5)]
        configs = {"segment.bytes": str(self.options.segment_bytes)}
        await clients[0].create_topic(TOPIC, PARTITIONS, REPLICAS, configs)
        producers = self._producers(clients)
        watcher = Consumer(clients[3], TOPIC, PARTITIONS)
        tasks = [
            cluster.spawn(producer.run(TOPIC, PARTITIONS, lambda: self._working))
            for producer in producers
        ]
        tasks.append(cluster.spawn(watcher.follow(lambda: self._working)))
        await self._leaders()
        scenario = SCENARIOS[self.options.scenario]
        await scenario(cluster, Random(f"scenario/{self.options.seed}"))
        await self._mend()
        for task in tasks:
            await task
        await verdict.settle(cluster, TOPIC, PARTITIONS)  # without any more writes to help
        for producer in producers:
            await producer.finish(TOPIC, PARTITIONS)
        reader = Consumer(clients[4], TOPIC, PARTITIONS)
        await self._judge(producers, watcher, reader)
        return Result(
            self.options.seed,
            self.options.scenario,
            cluster.trace.digest(),
            cluster.reactor.events,
            cluster.reactor.now_us(),
            sum(producer.acknowledged for producer in producers),
            sum(len(values) for values in reader.values.values()),
            sum(client.retries for client in clients),
            max(producer.longest_us for producer in producers),
        )

    def _producers(self, clients: list[SimClient]) -> list[Producer]:
        world, padding = self.cluster.world, self.options.padding_bytes_max
        return [
            Producer(
                world,
                client,
                name,
                idempotent=name != "plain",
                depth=DEPTH if name == "piped" else 1,
                padding_bytes_max=padding,
            )
            for client, name in zip(clients, ("once", "plain", "piped"), strict=False)
        ]

    async def _leaders(self) -> None:
        """Faults begin when every partition is led."""
        while any(self.cluster.leader(TOPIC, n) is None for n in range(PARTITIONS)):
            await self.cluster.sleep(_SECOND // 50)

    async def _mend(self) -> None:
        """End all faults; then clients must get on, which proves that it heals."""
        self.cluster.heal()
        self.cluster.start()
        await self.cluster.sleep(_SECOND)
        self._working = False

    async def _judge(self, producers: list[Producer], watcher: Consumer, reader: Consumer) -> None:
        await verdict.settle(self.cluster, TOPIC, PARTITIONS)
        await reader.read_to_end()
        await watcher.read_to_end()
        verdict.check_readers(watcher, reader)
        verdict.check_records(producers, reader)
        verdict.check_copies(self.cluster, TOPIC, PARTITIONS)
        await verdict.check_directories(self.cluster)


def run_seed(scenario: str, seed: int) -> Result | Failure:
    """Run one seed to its end or to its first broken promise."""
    run = Run(Options.draw(seed, scenario))
    try:
        with quiet_logs():
            return run.run()
    except Exception as error:  # whatever comes out of a simulation is the finding
        return failure(run, error)


def failure(run: Run, error: Exception) -> Failure:
    """Describe what ended a run."""
    now = run.cluster.reactor.now_us()
    options = run.options
    where = f"scenario {options.scenario}, seed {options.seed}"
    lines = [f"{where}: failed at {now} us: {error!r}", f"  {options}"]
    lines += [f"  {line}" for line in run.cluster.trace.lines(TRACE_LINES)]
    lines += traceback.format_exception(error)
    lines.append(f"again: {replay_command(options.scenario, options.seed)}")
    return Failure(options.seed, options.scenario, "\n".join(lines))


def replay_command(scenario: str, seed: int) -> str:
    """The command that runs a seed again."""
    return f"python -m partitions.testing --scenario {scenario} --seed {seed} --trace"


@contextmanager
def workers(processes: int) -> Iterator[Pool | None]:
    """So many processes for `run_many`, to be kept over scenarios: each takes seconds to warm up.

    None for one process, which is this one.
    """
    if processes == 1:
        yield None
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield pool


def run_many(
    scenario: str, seeds: Iterable[int], pool: Pool | None = None
) -> Iterator[Result | Failure]:
    """Run seeds, over the processes of `pool` if there is one; in any order."""
    run = partial(run_seed, scenario)
    return map(run, seeds) if pool is None else pool.imap_unordered(run, seeds)


@contextmanager
def quiet_logs() -> Iterator[None]:
    """The trace says what brokers do; their log lines would cost more than the simulation."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
