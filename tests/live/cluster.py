"""A cluster of broker processes under a test's control."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cli.context import Address
from cli.dev import probe
from tests.live.waiting import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
READY_S = 60.0
STOP_S = 30.0
ASK_S = 2.0
LOG_CHARACTERS_SHOWN = 6000


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker; `pid` is None while it is down."""

    id: int
    pid: int | None
    kafka: Address
    peer: Address
    admin: Address
    config: Path
    log: Path


class Cluster:
    """`quorate dev` and its brokers.

    With `restart` off (the default) a killed broker stays down until `start`, which makes a process
    of the test's own, as an operator would. With it on, `quorate dev` starts it again by itself.
    """

    def __init__(self, root: Path, *, nodes: int = 3, restart: bool = False) -> None:
        self.root = root
        self._nodes = nodes
        self._restart = restart
        self._ready_file = root / "ready.json"
        self._own: dict[int, subprocess.Popen[bytes]] = {}
        self._paused: list[int] = []
        self._dev: subprocess.Popen[bytes] | None = None
        self.brokers: dict[int, Broker] = {}
        self.bootstrap = ""

    def start_dev(self) -> None:
        """Start `quorate dev` on the cluster's directory."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._ready_file.unlink(missing_ok=True)
        # Ports are kept in the data directory, so that a second start finds the same cluster.
        arguments = [
            *("dev", "--nodes", str(self._nodes), "--port", "0", "--data", str(self.root / "data")),
            *("--ready-file", str(self._ready_file), "--ready-timeout", str(READY_S)),
            "--restart" if self._restart else "--no-restart",
        ]
        with self.dev_log.open("ab") as log:
            self._dev = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_published(self) -> None:
        """Until `quorate dev` says that the cluster serves."""
        wait_for(self._is_published, READY_S + 10, "the ready file")
        self.refresh()

    @property
    def dev_log(self) -> Path:
        """What `quorate dev` printed."""
        return self.root / "dev.log"

    @property
    def dev_pid(self) -> int:
        """Pid of `quorate dev`."""
        assert self._dev is not None
        return self._dev.pid

    def ended(self) -> list[int]:
        """The exit status of `quorate dev`, if it has ended."""
        assert self._dev is not None
        status = self._dev.poll()
        return [] if status is None else [status]

    def _is_published(self) -> bool:
        ended = self.ended()
        assert not ended, f"quorate dev ended with {ended[0]}:\n{self.dev_log.read_text()}"
        return self._ready_file.exists()

    def refresh(self) -> None:
        """Read the ready file again (with `restart`, pids change)."""
        content = json.loads(self._ready_file.read_text(encoding="utf-8"))
        self.bootstrap = content["bootstrap"]
        self.brokers = {each["id"]: _broker(each) for each in content["brokers"]}

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Until every broker that should run lists all brokers and a controller."""
        for broker in self.brokers.values():
            if broker.pid is not None and broker.id not in self._paused:
                what = f"broker {broker.id} to list the whole cluster"
                wait_for(partial(self._lists_all, broker), timeout_s, what)

    def _lists_all(self, broker: Broker) -> bool:
        view = ask(broker.kafka)
        running = {each.id for each in self.brokers.values() if each.pid is not None}
        return view is not None and running <= set(view.brokers) and view.controller in view.brokers

    def controller(self) -> int:
        """The controller's id, as any running broker sees it."""

        def look() -> int | None:
            views = [ask(broker.kafka) for broker in self.brokers.values() if broker.pid]
            return next((view.controller for view in views if view and view.controller), None)

        return wait_for(look, READY_S, "a controller")

    def kill(self, broker_id: int) -> None:
        """SIGKILL, and wait until the process is gone."""
        pid = self._pid(broker_id)
        os.kill(pid, signal.SIGKILL)
        self._gone(broker_id, pid)

    def kill_all(self) -> None:
        """SIGKILL to every running broker before any is waited for, as when the power fails."""
        pids = {each.id: each.pid for each in self.brokers.values() if each.pid is not None}
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        for broker_id, pid in pids.items():
            self._gone(broker_id, pid)

    def terminate(self, broker_id: int) -> None:
        """SIGTERM, and wait until the broker has stopped in order."""
        pid = self._pid(broker_id)
        os.kill(pid, signal.SIGTERM)
        self._gone(broker_id, pid)

    def _gone(self, broker_id: int, pid: int) -> None:
        process = self._own.pop(broker_id, None)
        if process is not None:
            process.wait(STOP_S)
            _close(process)
        else:
            # A child of `quorate dev`, which collects it.
            wait_for(lambda: not exists(pid), STOP_S, f"process {pid} to be gone")
        self.brokers[broker_id] = replace(self.brokers[broker_id], pid=None)

    def pause(self, broker_id: int) -> None:
        """SIGSTOP: connections stay open, nothing is answered."""
        os.kill(self._pid(broker_id), signal.SIGSTOP)
        self._paused.append(broker_id)

    def resume(self, broker_id: int) -> None:
        """SIGCONT."""
        os.kill(self._pid(broker_id), signal.SIGCONT)
        self._paused.remove(broker_id)

    def start(self, broker_id: int, environment: Mapping[str, str] | None = None) -> None:
        """Start a broker that is down, from its own configuration file; see `wait_ready`.

        `environment` goes on top of the test's own.
        """
        broker = self.brokers[broker_id]
        assert broker.pid is None, f"broker {broker_id} runs already"
        assert not self._restart, "with `restart`, quorate dev starts brokers"
        command = [sys.executable, "-m", "cli.main", "broker", "start"]
        with broker.log.open("ab") as log:
            process = subprocess.Popen(
                [*command, "--config", str(broker.config), "--stop-with-stdin"],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._own[broker_id] = process
        self.brokers[broker_id] = replace(broker, pid=process.pid)

    def own(self, broker_id: int) -> subprocess.Popen[bytes]:
        """The process that `start` made."""
        return self._own[broker_id]

    def stop(self) -> int:
        """Stop everything in order; returns the exit status of `quorate dev`."""
        for broker_id in list(self._paused):
            self.resume(broker_id)
        for process in self._own.values():
            process.terminate()
        assert self._dev is not None, "never launched"
        if self._dev.poll() is None:
            self._dev.terminate()
        for process in (*self._own.values(), self._dev):
            _stop(process)
        self._own.clear()
        self.brokers = {key: replace(each, pid=None) for key, each in self.brokers.items()}
        return self._dev.returncode

    def logs(self) -> Iterator[tuple[str, str]]:
        """(title, end of the log) of `quorate dev` and of every broker."""
        logs = [("quorate dev", self.dev_log)]
        logs += [(f"broker {each.id}", each.log) for each in self.brokers.values()]
        if not self.brokers:
            logs += [(str(path), path) for path in sorted(self.root.glob("data/*/broker.log"))]
        for title, path in logs:
            if path.exists():
                yield title, path.read_text(errors="replace")[-LOG_CHARACTERS_SHOWN:]

    def _pid(self, broker_id: int) -> int:
        pid = self.brokers[broker_id].pid
        assert pid is not None, f"broker {broker_id} is down"
        return pid


@contextmanager
def running(root: Path, **options: Any) -> Iterator[Cluster]:
    """A cluster that serves inside the block, and of which nothing is left after it."""
    cluster = Cluster(root, **options)
    cluster.start_dev()
    try:
        cluster.wait_published()
        yield cluster
    finally:
        cluster.stop()


def ask(address: Address) -> probe.View | None:
    """What one broker says of the cluster, None when it does not answer."""
    try:
        with socket.create_connection((address.host, address.port), ASK_S) as connection:
            connection.settimeout(ASK_S)
            connection.sendall(probe.request())
            with connection.makefile("rb") as stream:
                size = int.from_bytes(stream.read(4), "big")
                return probe.parse(stream.read(min(size, probe.ANSWER_BYTES_MAX)))
    except (OSError, ValueError):
        return None


def exists(pid: int) -> bool:
    """True while the process runs; a zombie that nobody collects yet has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] not in ("Z", "X")


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_S)
    _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()


def _broker(about: dict[str, Any]) -> Broker:
    return Broker(
        int(about["id"]),
        about["pid"],
        _address(about["kafka"]),
        _address(about["peer"]),
        _address(about["admin"]),
        Path(about["config"]),
        Path(about["log"]),
    )


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host, int(port))
