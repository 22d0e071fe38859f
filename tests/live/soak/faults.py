"""What happens to brokers, as the seed says, and what was seen of them meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from tests.live.cluster import ROOT, Cluster, exists
from tests.live.soak.admin import LONE, Admin
from tests.live.soak.asking import Cast, Peer, Unanswered
from tests.live.soak.history import History
from tests.live.soak.members import Member, commit, read

WAKE_S = 30.0


class Watch:
    """Processes: who ended by itself, what they take of memory and descriptors."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self.expected: set[int] = set()
        """Brokers that are being ended or started."""
        self.deaths: list[str] = []
        self.samples: dict[tuple[int, int], list[tuple[float, int, int]]] = defaultdict(list)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._cast.ended.is_set():
            self.look()
            self._cast.sleep(2)

    def look(self) -> None:
        for broker in list(self._cast.cluster.brokers.values()):
            pid = broker.pid
            if pid is None or broker.id in self.expected:
                continue
            try:
                status = Path(f"/proc/{pid}/status").read_text()
                kib = int(status.split("VmRSS:")[1].split()[0])
                count = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            except (OSError, IndexError):
                again = self._cast.cluster.brokers[broker.id].pid
                if broker.id not in self.expected and again == pid and not exists(pid):
                    self.deaths.append(f"broker {broker.id} ({pid}) ended by itself")
                    self.expected.add(broker.id)
                continue
            self.samples[broker.id, pid].append((time.monotonic(), kib, count))

    def summary(self) -> Iterator[str]:
        """Of every process that was seen for a while."""
        for (broker, pid), samples in self.samples.items():
            if len(samples) > 5:
                seconds = samples[-1][0] - samples[0][0]
                mib = [kib // 1024 for _, kib, _ in samples]
                files = [count for _, _, count in samples]
                yield (
                    f"broker {broker} ({pid}) for {seconds:.0f} s: {mib[0]}, at most {max(mib)}, "
                    f"at last {mib[-1]} MiB; {files[0]}, at most {max(files)}, "
                    f"at last {files[-1]} descriptors"
                )


class Faults:
    """One at a time."""

    def __init__(
        self,
        cast: Cast,
        history: History,
        watch: Watch,
        admin: Admin,
        members: list[Member],
        chance: Random,
    ) -> None:
        self.cast, self.history, self.watch, self.admin = cast, history, watch, admin
        self.members, self.random = members, chance
        self.cluster: Cluster = cast.cluster
        self.counts: Counter[str] = Counter()
        self.probes: list[threading.Thread] = []
        self._gap = 0

    def coordinator(self) -> int:
        """Of one of the steady groups, mostly; else any broker."""
        group = self.random.choice([*{member.group: None for member in self.members}, LONE])
        found = self.cast.coordinator(group) if self.random.random() < 0.8 else None
        return found or self.random.choice(list(self.cluster.brokers))

    def kill(self) -> tuple[str, float]:
        broker = self.coordinator()
        self.watch.expected.add(broker)
        at = time.monotonic()
        self.cluster.kill(broker)
        self.cast.sleep(self.random.uniform(0.2, 8))
        self._start(broker)
        return f"kill -9 broker {broker}", at

    def _start(self, broker: int) -> None:
        self.cluster.start(broker)
        self.watch.expected.discard(broker)

    def terminate(self) -> tuple[str, float]:
        broker = self.coordinator()
        self.watch.expected.add(broker)
        at = time.monotonic()
        self.cluster.terminate(broker)
        self.cast.sleep(self.random.uniform(0.2, 3))
        self._start(broker)
        return f"SIGTERM broker {broker}", at

    def kill_all(self) -> tuple[str, float]:
        self.watch.expected |= set(self.cluster.brokers)
        at = time.monotonic()
        self.cluster.kill_all()
        for broker in self.random.sample(list(self.cluster.brokers), len(self.cluster.brokers)):
            self._start(broker)
            self.cast.sleep(self.random.uniform(0, 1))
        return "kill -9 of all", at

    def pause(self) -> tuple[str, float]:
        """Requests reach it while it sleeps, and are read when it wakes up deposed."""
        broker = self.coordinator()
        # What it holds nothing of, and another one will: an offset that is committed meanwhile.
        self._gap = self.random.randrange(4)
        self.admin.delete_offsets(LONE, broker, [self._gap])
        at = time.monotonic()
        self.cluster.pause(broker)
        long = self.random.uniform(2, 15)
        end = at + long
        while time.monotonic() < end:
            self._probe(broker)
            self.cast.sleep(min(self.random.uniform(0.2, 1), max(0.0, end - time.monotonic())))
        self.cluster.resume(broker)
        return f"SIGSTOP broker {broker} for {long:.1f} s", at

    def pause_two(self) -> tuple[str, float]:
        """No majority: the third may not answer either."""
        first, second = self.random.sample(list(self.cluster.brokers), 2)
        at = time.monotonic()
        for each in (first, second):
            self.cluster.pause(each)
        self.cast.sleep(self.random.uniform(1, 8))
        for each in (first, second):
            self._probe(each)
            self.cluster.resume(each)
            self.cast.sleep(self.random.uniform(0, 3))
        return f"SIGSTOP brokers {first} and {second}", at

    def drain(self) -> tuple[str, float]:
        broker = self.coordinator()
        at = time.monotonic()
        for last in ([], ["--undo"]):
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "cli.main", "broker", "drain", str(broker), *last),
                    *("-b", self.cluster.bootstrap),
                ],
                cwd=ROOT,
                capture_output=True,
                timeout=120,
                check=False,
            )
            self.cast.told[f"broker drain ended with {done.returncode}"] += 1
            if done.returncode:
                print("   drain:", done.stdout.decode()[-300:], done.stderr.decode()[-300:])
        return f"drain broker {broker}", at

    def sleepy_member(self) -> tuple[str, float]:
        """It misses its session and commits then as if nothing were."""
        member = self.random.choice(self.members)
        member.sleepy = self.random.uniform(6.5, 9)
        self.cast.sleep(1)
        return f"a member of {member.group} sleeps {member.sleepy:.1f} s", time.monotonic()

    def restarted_member(self) -> tuple[str, float]:
        """A static member takes its own place again, others come anew."""
        member = self.random.choice(self.members)
        member.restarts = True
        self.cast.sleep(1)
        return f"a member of {member.group} starts anew", time.monotonic()

    def _probe(self, broker: int) -> None:
        """A fetch, a commit as one of the members would send it, or a deletion, to a broker that
        sleeps."""
        member = self.random.choice(self.members)
        held = [place for place in member.held if place[0] and self.random.random() < 0.5]
        identity = (member.generation, member.member, member.instance)
        send = partial(self._send, broker, member.group, held, identity)
        if self.random.random() < 0.3:
            send = partial(self.admin.delete_offsets, LONE, broker, [self._gap], WAKE_S)
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        self.probes.append(thread)

    def _send(
        self,
        broker: int,
        group: str,
        held: list[tuple[str, int]],
        identity: tuple[int, str, str | None],
    ) -> None:
        peer = None
        try:
            peer = Peer(self.cast.addresses[broker], self.cast.told, WAKE_S)
            if not held:
                error = read(self.cast, self.history, peer, broker, group)
                self.cast.told[f"fetch in a pause told {error}"] += 1
                return
            topic, partition = held[0]
            write = self.history.writing((group, topic, partition), *identity)
            error = commit(peer, write)
            self.cast.told[f"commit in a pause told {error}"] += 1
        except Unanswered:
            self.cast.told["probe without answer"] += 1
        finally:
            if peer is not None:
                peer.close()


def complaints_of(log: Path) -> list[str]:
    """Lines of a broker's log that it should not have written."""
    text = log.read_text(errors="replace")
    words = ("Traceback", "[error", '"level": "error"', "[critical", "Exception", "Task was")
    return [line for line in text.splitlines() if any(word in line for word in words)]
