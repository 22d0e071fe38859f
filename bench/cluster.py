"""A throwaway quorum for a benchmark: `quorate dev` in a temporary folder, on free ports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

START_S = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class BenchCluster:
    """Three brokers that serve."""

    bootstrap: str
    pids: tuple[int, ...]
    directory: Path
    addresses: Mapping[int, tuple[str, int]]
    """Where clients reach each broker, by node id."""
    admin: Mapping[int, str]
    """Where each broker's metrics are, host:port."""

    def kill(self, node: int) -> None:
        """SIGKILL; `quorate dev` starts the broker again."""
        os.kill(self.pids[list(self.addresses).index(node)], signal.SIGKILL)

    def cpu_seconds(self) -> list[float]:
        """User and system time of each broker so far."""
        return [_cpu(pid) for pid in self.pids]

    def memory_mib(self) -> list[float]:
        """Proportional set size of each broker."""
        return [_pss(pid) for pid in self.pids]

    def connect(self) -> socket.socket:
        """A plain connection to the first broker."""
        host, _, port = self.bootstrap.partition(",")[0].rpartition(":")
        return socket.create_connection((host, int(port)), START_S)

    def create_topic(self, name: str, partitions: int) -> None:
        """A topic of three replicas, ready to be written to."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_topics([NewTopic(name, partitions, 3)])[name].result(30)
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            topic = admin.list_topics(name, timeout=10).topics[name]
            leaders = [p.leader for p in topic.partitions.values()]
            if len(leaders) == partitions and min(leaders) >= 0:
                return
            time.sleep(0.05)
        raise SystemExit(f"topic {name} has no leaders after {START_S} s")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"no Pss for process {pid}")


def _free_port_range(count: int) -> int:
    """A port that is free together with the 100 + `count` above it that `dev` uses."""
    for base in range(20_000, 60_000, 211):
        wanted = [base + offset for n in range(count) for offset in (n, 100 + n)]
        if all(_is_free(port) for port in wanted):
            return base
    raise SystemExit("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


@contextmanager
def running(directory: Path, *flags: str) -> Iterator[BenchCluster]:
    """Start, wait for the ready file, stop at the end."""
    ready = directory / "ready.json"
    command = [sys.executable, "-m", "cli.main", "dev", "--data", str(directory / "data")]
    command += ["--port", str(_free_port_range(3)), "--ready-file", str(ready), *flags]
    with (directory / "dev.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        end = time.monotonic() + START_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit((directory / "dev.log").read_text())
            time.sleep(0.05)
        facts = json.loads(ready.read_text())
        pids = tuple(broker["pid"] for broker in facts["brokers"])
        addresses = {int(each["id"]): _address(each["kafka"]) for each in facts["brokers"]}
        admin = {int(each["id"]): str(each["admin"]) for each in facts["brokers"]}
        yield BenchCluster(facts["bootstrap"], pids, directory, addresses, admin)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
