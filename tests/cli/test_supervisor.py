"""`quorate dev`'s supervision, with processes that only look like brokers."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from cli.dev import plan as plans
from cli.dev.plan import BrokerPlan, Plan
from cli.dev.supervisor import Options, Supervisor
from cli.exits import CommandFailed, ExitCode
from tests.cli import fake_broker

PATIENCE_S = 20.0


class Bench:
    """A supervisor over fake brokers, and what it says."""

    def __init__(
        self,
        root: Path,
        behaviours: Mapping[int, str],
        nodes: int = 3,
        refused: Mapping[int, str] | None = None,
        **options: Any,
    ) -> None:
        self.plan: Plan = plans.create(root, nodes, port=0)
        for broker in self.plan.brokers:
            broker.data.mkdir(parents=True)
        self.behaviours = dict(behaviours)
        self.said: list[str] = []
        self.ready = trio.Event()
        self.ready_file = root / "ready.json"
        self.options = Options(ready_file=self.ready_file, **options)
        self.supervisor = Supervisor(
            self.plan, self.options, self.said.append, self.command, refused
        )

    def command(self, broker: BrokerPlan) -> list[str]:
        ids = ",".join(str(each.id) for each in self.plan.brokers)
        behaviour = self.behaviours.get(broker.id, "serve")
        return [sys.executable, fake_broker.__file__, str(broker.kafka.port), ids, behaviour]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve inside the block, stop at its end."""
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.supervisor.run, self.ready.set)
                await self.ready.wait()
                yield
                self.supervisor.stop()

    async def fails(self) -> CommandFailed:
        """Run to the failure that must come."""
        with trio.fail_after(PATIENCE_S), pytest.raises(CommandFailed) as caught:
            await self.supervisor.run(self.ready.set)
        return caught.value

    def published(self) -> dict[int, int | None]:
        content = json.loads(self.ready_file.read_text(encoding="utf-8"))
        return {broker["id"]: broker["pid"] for broker in content["brokers"]}


async def until(condition: Callable[[], bool]) -> None:
    """Look again until it holds; the caller's time-out bounds it."""
    while not condition():  # noqa: ASYNC110
        await trio.sleep(0.01)


def alive(pid: int | None) -> bool:
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_cluster_comes_up_is_published_and_goes_without_a_trace(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {})
    async with bench.running():
        pids = bench.published()
        assert pids == bench.supervisor.pids
        assert sorted(pids) == [1, 2, 3]
        assert all(map(alive, pids.values()))
        content = json.loads(bench.ready_file.read_text(encoding="utf-8"))
        assert content["bootstrap"] == bench.plan.bootstrap
    assert not any(map(alive, pids.values()))
    assert not bench.ready_file.exists()


async def test_a_killed_broker_is_started_again_and_published(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {})
    async with bench.running():
        before = bench.published()
        victim = before[2]
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        await until(lambda: bench.published()[2] not in (None, victim))
        after = bench.published()
        assert (after[1], after[3]) == (before[1], before[3])
    assert any("broker 2 ended: killed by SIGKILL" in line for line in bench.said)


async def test_without_restarts_the_others_go_on_and_the_log_is_shown(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, restart=False)
    async with bench.running():
        before = bench.published()
        victim = before[1]
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        await until(lambda: bench.published()[1] is None)
        await until(lambda: any("not started again" in line for line in bench.said))
        assert alive(before[2])
        assert alive(before[3])
    assert any("    serving" in line for line in bench.said)


async def test_a_broker_that_fails_at_its_start_is_not_retried_for_ever(tmp_path: Path) -> None:
    """The others serve, and the ready file says why it does not."""
    bench = Bench(tmp_path, {3: "fail"})
    async with bench.running():
        assert sum("broker 3 ended: exit code 3" in line for line in bench.said) == 2
        content = json.loads(bench.ready_file.read_text(encoding="utf-8"))
        assert [broker["down"] is None for broker in content["brokers"]] == [True, True, False]
        assert "the disk is on fire" in content["brokers"][2]["down"]
        assert bench.published()[3] is None
        assert alive(bench.published()[1])
    assert any("the disk is on fire" in line for line in bench.said)
    assert bench.supervisor.pids == {}


async def test_a_broker_that_says_it_is_of_no_use_is_started_once(tmp_path: Path) -> None:
    """Exit code 5: this machine is not as needed."""
    bench = Bench(tmp_path, {3: "fail-5"})
    async with bench.running():
        assert sum("broker 3 ended: exit code 5" in line for line in bench.said) == 1
        down = bench.supervisor.down[3]
        assert "starting it again does not help" in down
        assert "the disk is on fire" in down


async def test_a_broker_that_must_not_start_is_left_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, refused={2: "its directory is gone"})
    async with bench.running():
        assert sorted(bench.supervisor.pids) == [1, 3]
        assert bench.published()[2] is None
        assert bench.supervisor.down == {2: "its directory is gone"}


async def test_observers_are_no_majority(tmp_path: Path) -> None:
    """Five brokers, three of which vote: two of those are needed."""
    bench = Bench(tmp_path, {4: "fail", 5: "fail"}, nodes=5, refused={2: "its directory is gone"})
    async with bench.running():
        assert sorted(bench.supervisor.pids) == [1, 3]
    failure = await Bench(tmp_path / "b", {1: "fail"}, nodes=5, refused={2: "gone"}).fails()
    assert failure.exit_code == ExitCode.PRECONDITION
    assert "1 of 3 voters can start, and it takes 2" in failure.message
    assert "broker 2: gone" in failure.message
    assert "broker 1: it failed right after its start" in failure.message


@pytest.mark.parametrize(("status", "code"), [("fail", ExitCode.FAILED), ("fail-5", 5)])
async def test_without_a_majority_all_reasons_are_named(
    tmp_path: Path, status: str, code: int
) -> None:
    bench = Bench(tmp_path, {1: status, 3: status})
    failure = await bench.fails()
    assert failure.exit_code == code
    for broker in (1, 3):
        assert f"broker {broker}: " in failure.message
    assert "the disk is on fire" in failure.message
    assert not bench.ready.is_set()
    assert bench.supervisor.pids == {}


async def test_refused_by_too_many_nothing_is_started(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, refused={1: "gone", 2: "gone too"})
    logs = [broker.log for broker in bench.plan.brokers]
    failure = await bench.fails()
    assert failure.exit_code == ExitCode.PRECONDITION
    assert "broker 2: gone too" in failure.message
    assert not any(map(os.path.exists, logs))


async def test_a_broker_that_breaks_later_does_not_take_the_others_along(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {})
    async with bench.running():
        bench.behaviours[1] = "fail"
        victim = bench.published()[1]
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        await until(lambda: any("broker 1 is not started again" in line for line in bench.said))
        assert sorted(bench.supervisor.pids) == [2, 3]


async def test_the_last_broker_gone_is_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, nodes=1, restart=False)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:

            async def kill() -> None:
                await bench.ready.wait()
                os.kill(bench.supervisor.pids[1], signal.SIGKILL)

            nursery.start_soon(kill)
            failure = await bench.fails()
    assert "no broker is left" in failure.message


async def test_a_cluster_that_does_not_serve_times_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {2: "silent"}, ready_timeout_s=0.5)
    failure = await bench.fails()
    assert failure.exit_code == ExitCode.TIMED_OUT
    assert not bench.ready.is_set()
    assert not bench.ready_file.exists()
    assert bench.supervisor.pids == {}


async def test_a_broker_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {1: "stubborn"}, grace_s=0.2)
    async with bench.running():
        pids = bench.published()
    assert not any(map(alive, pids.values()))
    assert [line for line in bench.said if "did not stop: killed" in line]


async def test_stopping_twice_does_not_wait_for_the_grace(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {1: "stubborn"}, grace_s=3600)
    async with bench.running():
        pids = bench.published()
        bench.supervisor.stop()
    assert not any(map(alive, pids.values()))
