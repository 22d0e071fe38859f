"""A rolling restart under load: what two producers and a consumer notice of it.

    python -m tests.live.rolling --rounds 10

Every broker is stopped with SIGTERM and started again, one after the other, and takes its
preferred leaderships back before the next one goes. Printed are the slowest acknowledgements.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cli.configs import BROKER, Change, Owner, alter
from cli.context import Target
from partitions import wire
from partitions.wire import ApiKey
from tests.live.clients.confluent_client import ConfluentClient
from tests.live.cluster import Cluster, running
from tests.live.load import PATIENCE_S, check_exactly_once, read_all
from tests.live.raw import METADATA_VERSION, connected, wait_for_leaders
from tests.live.rolling_load import Loads, Producing, Stall, steady_loads
from tests.live.waiting import wait_for

TOPICS = ["rolling-a", "rolling-b"]
PARTITIONS = 12
TARGET_S = 1.0
SETTLE = 200
"""Records of each producer before a broker is stopped, and after: a second of steady load."""


class Restart(NamedTuple):
    """One broker's, in seconds."""

    broker: int
    stopping: float
    """From SIGTERM to the process's end."""
    serving: float
    """From the start until every broker lists all and has a controller."""
    led_again: float
    """From then until every partition is led by its preferred replica."""
    stalls: dict[str, tuple[Stall, Stall]]
    """By client: while it was stopped, and from its start on."""

    @property
    def longest(self) -> float:
        """The slowest acknowledgement that any producer waited for."""
        return max(stall.seconds for both in self.stalls.values() for stall in both)


def roll(
    cluster: Cluster, rounds: int, say: Callable[[str], None], settle: int = SETTLE
) -> list[Restart]:
    """Restart every broker `rounds` times. AssertionError when a record is lost or there twice."""
    for topic in TOPICS:
        ConfluentClient(cluster.bootstrap).create_topic(topic, PARTITIONS)
        wait_for_leaders(cluster, topic)
    _rebalance_soon(cluster)
    restarts = []
    with steady_loads(cluster.bootstrap, TOPICS, PARTITIONS) as loads:
        for number in range(rounds):
            for broker in sorted(cluster.brokers):
                restarts.append(_restart(cluster, broker, loads, settle))
                say(f"round {number + 1}: {describe(restarts[-1])}")
    assert loads.consumer.failures == []
    for producer in loads.producers:
        check_exactly_once(producer, read_all(cluster, producer.topic, PARTITIONS))
    return restarts


def _restart(cluster: Cluster, broker: int, loads: Loads, settle: int) -> Restart:
    _progress(loads, settle, "before the restart")
    for producer in loads.producers:
        producer.take_slowest()
    began = time.monotonic()
    cluster.terminate(broker)
    stopped = time.monotonic()
    _progress(loads, settle, f"without broker {broker}")
    gone = {each.name: each.take_slowest() for each in loads.producers}
    started = time.monotonic()
    cluster.start(broker)
    cluster.wait_ready()
    ready = time.monotonic()
    wait_for(lambda: _is_balanced(cluster), PATIENCE_S, "preferred leaders")
    balanced = time.monotonic()
    _progress(loads, settle, f"with broker {broker} again")
    back = {each.name: each.take_slowest() for each in loads.producers}
    stalls = {name: (gone[name], back[name]) for name in gone}
    return Restart(broker, stopped - began, ready - started, balanced - ready, stalls)


def _progress(loads: Loads, more: int, what: str) -> None:
    """Until all that each producer has sent by now, and so many more, are acknowledged."""
    wanted = [producer.sent + more for producer in loads.producers]
    for producer, sent in zip(loads.producers, wanted, strict=True):
        _wait_acknowledged(producer, sent, what)


def _wait_acknowledged(producer: Producing, sent: int, what: str) -> None:
    def enough() -> bool:
        assert not producer.failures, producer.failures
        return len(producer.delivered) >= sent

    wait_for(enough, PATIENCE_S, f"acknowledgements to {producer.name} {what}")


def _rebalance_soon(cluster: Cluster) -> None:
    """Five minutes, the default, are too long to wait for."""
    address = next(iter(cluster.brokers.values())).kafka
    change = Change("set", "leader.imbalance.check.interval.seconds", "2")
    alter(Owner(BROKER, ""), [change], Target((address,), PATIENCE_S))


def _is_balanced(cluster: Cluster) -> bool:
    address = next(iter(cluster.brokers.values())).kafka
    types = wire.messages(ApiKey.METADATA)
    wanted = types.MetadataRequest(
        topics=[types.MetadataRequestTopic(name=topic) for topic in TOPICS],
        allow_auto_topic_creation=False,
    )
    with connected(address) as connection:
        found = connection.ask(ApiKey.METADATA, METADATA_VERSION, wanted).topics
    parts = [part for topic in found for part in topic.partitions]
    return all(part.leader_id == part.replica_nodes[0] for part in parts)


def describe(restart: Restart) -> str:
    """One line."""
    stalls = "; ".join(
        f"{name} waited {gone.seconds * 1000:.0f} ms at most without it, "
        f"{back.seconds * 1000:.0f} ms when it came back"
        for name, (gone, back) in restart.stalls.items()
    )
    return (
        f"broker {restart.broker} stopped in {restart.stopping:.2f} s, served after "
        f"{restart.serving:.1f} s, led again after {restart.led_again:.1f} s; {stalls}"
    )


def summary(restarts: list[Restart]) -> Iterator[str]:
    """Lines: per client and for all."""
    names = restarts[0].stalls
    for name in names:
        for which, when in enumerate(("while a broker was away", "when it came back")):
            seen = sorted(restart.stalls[name][which].seconds for restart in restarts)
            median, most = seen[len(seen) // 2], seen[-1]
            yield f"{name:16} {when:24} median {median * 1000:5.0f} ms, most {most * 1000:5.0f} ms"
    over = [restart for restart in restarts if restart.longest > TARGET_S]
    slowest = max(restarts, key=lambda restart: restart.longest)
    yield f"slowest stop: {max(restart.stopping for restart in restarts):.2f} s"
    yield (
        f"longest stall: {slowest.longest:.2f} s, {len(over)} of {len(restarts)} restarts above "
        f"{TARGET_S:g} s"
    )
    for restart in over:
        for name, both in restart.stalls.items():
            for stall in both:
                if stall.seconds > TARGET_S:
                    at = time.strftime("%H:%M:%S", time.gmtime(stall.began))
                    yield (
                        f"  broker {restart.broker}, {name}, partition {stall.partition}: "
                        f"{stall.seconds:.2f} s from {at}.{int(stall.began % 1 * 1000):03} UTC on"
                    )


def main(arguments: list[str]) -> int:
    """Exit code 1 when a stall was above TARGET_S."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="leave data and logs in this new directory")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="quorate-rolling-") as scratch:
        with running(options.keep or Path(scratch) / "cluster") as cluster:
            restarts = roll(cluster, options.rounds, lambda line: print(line, flush=True))
    print("\n".join(summary(restarts)))
    return int(any(restart.longest > TARGET_S for restart in restarts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
