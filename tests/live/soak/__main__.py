"""Consumer groups and administration under faults: real brokers and real clients, and members
whose every answer is known.

    python -m tests.live.soak --seed 7 --seconds 120

The seed decides what happens to whom, not when processes react: another run is similar, not the
same. Printed is, after each fault, how long every steady group took until a commit that began after
the fault was acknowledged; `*` marks groups whose coordinator it hit. Members of the soak wait 3 s
for an answer before they look for another coordinator, which is their part of a pause's figure.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from confluent_kafka import Consumer

from partitions import wire
from partitions.wire import ApiKey
from tests.live.clients.confluent_client import silent
from tests.live.cluster import Cluster, running
from tests.live.soak.admin import LONE, Admin
from tests.live.soak.asking import Cast, Unanswered
from tests.live.soak.faults import Faults, Watch, complaints_of
from tests.live.soak.history import History
from tests.live.soak.members import Lone, Member, Reader
from tests.live.soak.real import Producing, RealGroup
from tests.live.waiting import wait_for

STEADY = ("raw-0", "raw-1", "raw-2")
GROUPS = (*STEADY, "raw-fleeting", "raw-churn", LONE)
STATIC = "raw-2"
RECOVER_S = 60.0
SHOWN = 40


class Soak:
    """One run."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.cluster = cluster
        self.cast = Cast(cluster, seed + 1)
        self.history = History()
        self.admin = Admin(self.cast, self.history, seed + 2)
        self.problems: list[str] = []
        self.recoveries: dict[str, list[float]] = {}
        self.began = time.monotonic()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:7.1f} {text}", flush=True)

    def prepare(self) -> None:
        for name in ("raw", "fleeting", "real"):
            wait_for(partial(self.admin.create, name, 4), 30, f"topic {name}")
        wait_for(lambda: all(self.cast.coordinator(g) for g in GROUPS), 30, "coordinators")
        self.members = [
            Member(self.cast, self.history, group, "raw", 4, instance)
            for group in STEADY
            for instance in (("one", "two") if group == STATIC else (None, None))
        ]
        self.fleeting = [
            Member(self.cast, self.history, "raw-fleeting", "fleeting", 4) for _ in range(2)
        ]
        self.churn: list[Member] = []
        self.lone = Lone(self.cast, self.history, LONE)
        self.readers = [
            Reader(self.cast, self.history, b, list(GROUPS)) for b in self.cluster.brokers
        ]
        self.watch = Watch(self.cast)
        self.faults = Faults(
            self.cast, self.history, self.watch, self.admin, self.members, self.random
        )
        self.producing = Producing(self.cast)
        self.admin.grown = self.producing.grew
        self.real = [RealGroup(self.cluster, each) for each in ("confluent-kafka", "aiokafka")]
        for group in self.real:
            group.join()
            group.join()

    def recovered(self, group: str, since: float) -> float:
        """Seconds from `since` until the first commit that was begun and acknowledged after it."""

        def first() -> float | None:
            done = [
                w.end
                for w in self.history.writes[-20000:]
                if w.place[0] == group and w.acknowledged and w.start > since
            ]
            return min(done) if done else None

        return wait_for(first, RECOVER_S, f"a commit in {group}") - since

    def churning(self) -> None:
        """The group that is deleted has members in turns."""
        if self.churn:
            for each in self.churn:
                each.leaving.set()
            self.churn = []
        else:
            self.churn = [Member(self.cast, self.history, "raw-churn", "raw", 4) for _ in range(2)]

    def one_fault(self) -> None:
        f = self.faults
        acts = [f.kill] * 4 + [f.pause] * 5 + [f.terminate] * 2 + [f.kill_all, f.drain]
        acts += [f.pause_two, f.sleepy_member, f.restarted_member, f.restarted_member, self.disturb]
        act = self.random.choice(acts)
        before = {group: self.cast.coordinator(group) for group in STEADY}
        what, at = act()
        name = act.__name__
        f.counts[name] += 1
        took = []
        for group in STEADY:
            try:
                seconds = self.recovered(group, at)
            except AssertionError as error:
                self.problems.append(f"after {what}: {error}")
                self.say(f"STUCK {group} after {what}")
                continue
            hit = f"broker {before[group]}" in what
            took.append(f"{seconds:.2f}{'*' if hit else ''}")
            if hit or name == "kill_all":
                self.recoveries.setdefault(name, []).append(seconds)
        self.say(f"{what}: first commits after {' '.join(took)} s")

    def disturb(self) -> tuple[str, float]:
        group = self.random.choice(self.real)
        return group.disturb(self.random, self.cast), time.monotonic()

    def attack(self, seconds: float) -> None:
        self.admin.start()
        for group in STEADY:
            self.recovered(group, self.began)
        end = time.monotonic() + seconds
        self.say("groups work; faults begin")
        while time.monotonic() < end:
            if self.random.random() < 0.5:
                self.churning()
            self.one_fault()
            self.cast.sleep(self.random.uniform(0.5, 5))
        self.say("faults end")

    # --- afterwards

    def settle(self) -> None:
        at = time.monotonic()
        self.cluster.wait_ready()
        self.say(f"all brokers list all after {time.monotonic() - at:.1f} s")
        for group in (*STEADY, "raw-fleeting"):
            took = self.recovered(group, at)
            stable = self.stable(group, 2, at)
            self.say(f"{group}: a commit after {took:.2f} s, stable with 2 after {stable:.1f} s")
        self.consumed(at)
        for thread in self.faults.probes:
            thread.join(60)
        members = (*self.members, *self.fleeting, *self.churn)
        for member in members:
            member.leaving.set()
        for member in members:
            member.join_thread()
        self.cast.sleep(1)
        self.cast.ended.set()
        for reader in self.readers:
            reader.join_thread()
        self.admin.join_thread()
        self.lone.join_thread()
        self.watch.look()

    def stable(self, group: str, members: int, since: float) -> float:
        types = wire.messages(ApiKey.DESCRIBE_GROUPS)
        body = types.DescribeGroupsRequest(groups=[group])

        def look() -> bool:
            broker = self.cast.coordinator(group)
            if broker is None:
                return False
            try:
                (found,) = self.cast.ask(ApiKey.DESCRIBE_GROUPS, body, broker).groups
            except Unanswered:
                return False
            return bool(found.group_state == "Stable" and len(found.members) == members)

        wait_for(look, RECOVER_S, f"{group} to be stable")
        return time.monotonic() - since

    def consumed(self, since: float) -> None:
        """All that was acknowledged is consumed; after a clean leave nothing comes twice."""
        self.producing.finish()
        for group in self.real:
            watcher = Consumer(
                {
                    "bootstrap.servers": self.cluster.bootstrap,
                    "group.id": group.name,
                    "logger": silent,
                }
            )
            parts = self.producing.partitions

            def caught_up(group: RealGroup = group, watcher: Consumer = watcher) -> bool:
                return not group.lag(watcher, parts)  # noqa: B023

            if parts > 4:
                # Clients look for new partitions every five minutes, new members at once.
                group.end()
                group.join()
                group.join()
            try:
                wait_for(caught_up, RECOVER_S, f"{group.name} to have all")
            except AssertionError as error:
                self.problems.append(f"{error}: {group.lag(watcher, parts)}")
                for member in group.members:
                    print(member.report())
                continue
            self.say(f"{group.name}: no lag {time.monotonic() - since:.1f} s after the faults")
            missed = set(self.producing.acknowledged) - set(group.seen)
            if missed:
                self.problems.append(f"{group.name} never saw {sorted(missed)[:20]}")
            group.end()
            before = len(group.seen)
            group.join()
            for _ in range(40):
                self.producing.one()
            self.producing.flush()
            wait_for(caught_up, RECOVER_S, f"{group.name} again")
            group.end()
            more = group.seen[before:]
            if len(more) != 40 or len(set(more)) != 40:
                self.problems.append(f"{group.name}: of 40 after a clean leave saw {len(more)}")
            watcher.close()

    def report(self) -> int:
        """Print what was done and found; how many problems there are."""
        problems = [*self.problems, *self.admin.complaints, *self.watch.deaths]
        problems += self.history.violations()
        problems += [f"the producer: {each}" for each in self.producing.failures]
        for broker in self.cluster.brokers.values():
            problems += [f"broker {broker.id} logged: {line}" for line in complaints_of(broker.log)]
        print(f"faults: {dict(self.faults.counts)}")
        writes, reads = self.history.writes, self.history.reads
        print(
            f"{len(writes)} commits and deletions ({sum(w.acknowledged for w in writes)} "
            f"acknowledged), {len(reads)} offsets read, {len(self.history.syncs)} assignments, "
            f"{len(self.producing.acknowledged)} records acknowledged, "
            f"{self.producing.unplaced} more without an offset"
        )
        for name, times in self.recoveries.items():
            print(f"first commit after {name}: {sorted(round(t, 2) for t in times)}")
        for line in self.watch.summary():
            print(line)
        for name, count in sorted(self.cast.told.items()):
            print(f"  {count:7} {name}")
        print(f"seed {self.seed}: {len(problems)} problems")
        for problem in problems[:SHOWN]:
            print("PROBLEM", problem[:1500])
        return len(problems)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--keep", default="")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(options.keep or scratch)
        with running(root / "cluster") as cluster:
            cluster.wait_ready()
            soak = Soak(cluster, seed)
            try:
                soak.prepare()
                soak.attack(options.seconds)
                soak.settle()
                soak.admin.check_everywhere()
            except AssertionError as error:
                soak.problems.append(f"gave up: {error}")
            finally:
                soak.cast.ended.set()
                for each in list(cluster._paused):
                    cluster.resume(each)
                for group in getattr(soak, "real", ()):
                    group.kill()
            return min(1, soak.report())


if __name__ == "__main__":
    sys.exit(main())
