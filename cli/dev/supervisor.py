"""Runs the brokers as processes: starts, watches, restarts and stops them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from cli.context import Address
from cli.dev import probe, ready
from cli.dev.plan import BrokerPlan, Plan
from cli.dev.restarts import RestartPolicy
from cli.exits import CommandFailed, ExitCode

GRACE_S = 10.0
"""How long a broker may take to stop after SIGTERM before it is killed."""
TAIL_LINES = 15
TAIL_BYTES = 16 * 1024

Say = Callable[[str], None]
CommandOf = Callable[[BrokerPlan], list[str]]


@dataclass(frozen=True, slots=True)
class Options:
    """How to supervise."""

    restart: bool = True
    ready_file: Path | None = None
    ready_timeout_s: float = 60.0
    grace_s: float = GRACE_S


def broker_command(broker: BrokerPlan) -> list[str]:
    """What an operator would type, with the interpreter and the code that run here."""
    python = [sys.executable, "-P", "-m", "cli.main"]
    return [*python, "broker", "start", "--config", str(broker.config), "--stop-with-stdin"]


class Supervisor:
    """One cluster's processes. `run` is called once."""

    def __init__(
        self,
        plan: Plan,
        options: Options,
        say: Say,
        command: CommandOf | None = None,
        refused: Mapping[int, str] | None = None,
    ) -> None:
        """`refused`: brokers that are not even started, and why."""
        self._plan = plan
        self._options = options
        self._say = say
        self._command = command or broker_command
        self._pids: dict[int, int] = {}
        self._down = dict(refused or {})
        self._code = ExitCode.PRECONDITION if self._down else ExitCode.FAILED
        """Of a failure to come up."""
        self._serving = False
        self._failure: CommandFailed | None = None
        self._scope = trio.CancelScope()
        self._grace = trio.Event()

    @property
    def pids(self) -> dict[int, int]:
        """Broker id -> pid of those that run now."""
        return dict(self._pids)

    @property
    def down(self) -> dict[int, str]:
        """Broker id -> why it is not started (again)."""
        return dict(self._down)

    def stop(self) -> None:
        """Stop the brokers, with patience; called again, without."""
        if self._scope.cancel_called:
            self._grace.set()
        self._scope.cancel()

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Run until `stop`, calling `on_ready` once the cluster serves.

        Brokers that do not start are left out while the others are a majority of the voters.
        Raises CommandFailed when it does not come up, or when no broker is left.
        """
        self._need_majority()
        if self._failure is not None:
            raise self._failure
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for broker in self._plan.brokers:
                        if broker.id not in self._down:
                            nursery.start_soon(self._keep, broker)
                    await self._wait_ready()
                    self._serving = True
                    self._publish()
                    on_ready()
        finally:
            if self._options.ready_file is not None:
                ready.remove(self._options.ready_file)
        if self._failure is not None:
            raise self._failure

    async def _wait_ready(self) -> None:
        with trio.move_on_after(self._options.ready_timeout_s) as scope:
            await probe.wait_until_serving(self._expected)
        if scope.cancelled_caught:
            for number, reason in sorted(self._down.items()):
                self._say(f"broker {number} is down: {reason}")
            for broker in self._plan.brokers:
                self._say(f"last lines of {broker.log}:\n{tail(broker.log)}")
            self._fail(
                f"the cluster did not serve within {self._options.ready_timeout_s:g} s; the logs "
                "above may say why",
                ExitCode.TIMED_OUT,
            )
            await trio.lowlevel.checkpoint()

    def _expected(self) -> dict[int, Address]:
        """The brokers that have to serve: those that are not given up."""
        return {b.id: b.kafka for b in self._plan.brokers if b.id not in self._down}

    def _need_majority(self) -> None:
        """Fail when too few voters are left to serve."""
        voters = self._plan.voters
        left = [broker for broker in voters if broker.id not in self._down]
        if len(left) >= self._plan.majority:
            return
        reasons = "; ".join(f"broker {b.id}: {self._down[b.id]}" for b in voters if b not in left)
        self._fail(
            f"{len(left)} of {len(voters)} voters can start, and it takes {self._plan.majority} "
            f"to serve: {reasons}",
            self._code,
        )

    def _fail(self, message: str, code: ExitCode) -> None:
        if self._failure is None:
            self._failure = CommandFailed(message, code)
        self._scope.cancel()

    async def _keep(self, broker: BrokerPlan) -> None:
        """Run one broker, again and again if need be."""
        policy = RestartPolicy()
        while True:
            started = trio.current_time()
            status = await self._run_once(broker)
            self._say(
                f"broker {broker.id} ended: {how(status)}; last lines of {broker.log}:\n"
                f"{tail(broker.log)}"
            )
            if not self._options.restart:
                self._give_up(broker, "restarts are off", status)
                return
            if status == ExitCode.PRECONDITION:
                self._give_up(broker, "starting it again does not help", status)
                return
            uptime_s = trio.current_time() - started
            delay_s = policy.died(uptime_s, killed=status == -signal.SIGKILL)
            if delay_s is None:
                self._give_up(broker, policy.reason, status)
                return
            self._say(f"broker {broker.id} is started again in {delay_s:g} s")
            await trio.sleep(delay_s)

    def _give_up(self, broker: BrokerPlan, reason: str, status: int) -> None:
        self._down[broker.id] = f"{reason}; {how(status)}: {last_words(broker.log)}"
        self._say(f"broker {broker.id} is not started again: {reason}")
        if status == ExitCode.PRECONDITION:
            self._code = ExitCode.PRECONDITION
        if not self._serving:
            self._need_majority()
        elif len(self._down) == len(self._plan.brokers):
            self._fail("no broker is left", ExitCode.FAILED)
        self._publish()

    async def _run_once(self, broker: BrokerPlan) -> int:
        """Start one process and wait for its end; returns its exit status, negative: a signal."""
        async with self._process(broker) as process:
            return await process.wait()

    @asynccontextmanager
    async def _process(self, broker: BrokerPlan) -> AsyncIterator[trio.Process]:
        with broker.log.open("ab") as log:
            # Spawning happens in a thread; cancelled in the middle it would leave an orphan.
            with trio.CancelScope(shield=True):
                process = await trio.lowlevel.open_process(
                    self._command(broker),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=_environment(),
                    # Ctrl-C in the terminal is for the supervisor, which stops brokers in order.
                    start_new_session=True,
                )
        self._pids[broker.id] = process.pid
        self._publish()
        try:
            yield process
        finally:
            await self._stop_process(process, broker)
            del self._pids[broker.id]
            self._publish()

    async def _stop_process(self, process: trio.Process, broker: BrokerPlan) -> None:
        """SIGTERM, then SIGKILL when the grace has passed or `stop` was called twice."""
        assert process.stdin is not None
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.terminate()
                await self._wait_gracefully(process)
            if process.returncode is None:
                self._say(f"broker {broker.id} (pid {process.pid}) did not stop: killed")
                process.kill()
                await process.wait()
            await process.stdin.aclose()

    async def _wait_gracefully(self, process: trio.Process) -> None:
        with trio.move_on_after(self._options.grace_s) as scope:
            async with trio.open_nursery() as nursery:

                async def give_in() -> None:
                    await self._grace.wait()
                    scope.cancel()

                nursery.start_soon(give_in)
                await process.wait()
                nursery.cancel_scope.cancel()

    def _publish(self) -> None:
        """Tell others about the present processes, once there is a cluster to tell of."""
        if self._options.ready_file is not None and self._serving:
            ready.write(
                self._options.ready_file, ready.document(self._plan, self._pids, self._down)
            )


def how(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exit code {status}"
    return f"killed by {signal.Signals(-status).name}"


def tail(path: Path) -> str:
    """The last lines of a log, indented."""
    return "\n".join(f"    {line}" for line in _last_lines(path)[-TAIL_LINES:]) or "    (empty)"


def last_words(path: Path) -> str:
    """The last line of a log: where a command says why it failed."""
    lines = [line for line in _last_lines(path) if line.strip()]
    return lines[-1].removeprefix("quorate: ") if lines else f"nothing is said in {path}"


def _last_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read(TAIL_BYTES).decode("utf-8", "replace").splitlines()
    except OSError as error:
        return [f"({path} cannot be read: {error.strerror})"]


def _environment() -> dict[str, str]:
    """Ours, with the code that runs here first on the path (-P keeps the directory off it)."""
    root = str(Path(__file__).resolve().parent.parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": f"{root}{os.pathsep}{inherited}" if inherited else root,
        "PYTHONUNBUFFERED": "1",
    }
