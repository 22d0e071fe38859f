"""`quorate dev`: a whole cluster on this machine."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import DEFAULT_BOOTSTRAP, output_option
from cli.exits import CommandFailed, ExitCode
from cli.output import emit_json, note

if TYPE_CHECKING:
    from cli.dev.plan import BrokerPlan, Plan
    from cli.dev.supervisor import Options, Supervisor

NODES_MAX = 9


@click.command(
    epilog="Example: quorate dev    or, kept for next time: "
    "quorate dev --data ./cluster --port 19092"
)
@click.option(
    "--nodes",
    "-n",
    type=click.IntRange(1, NODES_MAX),
    help="Number of brokers. The first three vote in the metadata quorum, more than that only "
    "observe it. [default: 3]",
)
@click.option(
    "--port",
    "-p",
    type=click.IntRange(0, 65535),
    help="Kafka port of the first broker; the others follow. Peer ports are 100 "
    "higher, admin ports (HTTP: /metrics, /readyz) 200. 0: any free ports. [default: 9092]",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything here, and go on from it next time. [default: a temporary directory]",
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Written (atomically) once the cluster serves and whenever a pid changes; removed at "
    "the end. JSON: bootstrap, cluster_id, brokers with id, pid, kafka, peer, admin, config, log, "
    "down. "
    "pid is null while a broker does not run, down says why it is not started (again), or null.",
)
@click.option(
    "--restart/--no-restart",
    default=True,
    show_default=True,
    help="Start a broker that died again; one that keeps failing at its start is given up, and "
    "the others go on while they are a majority of the voters.",
)
@click.option(
    "--ready-timeout",
    "ready_timeout_s",
    type=click.FloatRange(min=1, max=3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up when the cluster does not serve by then.",
)
@click.option(
    "--unsafe-no-fsync",
    is_flag=True,
    help="Do not wait for the disk: a power loss may lose acknowledged writes.",
)
@output_option
def dev(
    nodes: int | None,
    port: int | None,
    data: Path | None,
    ready_file: Path | None,
    restart: bool,
    ready_timeout_s: float,
    unsafe_no_fsync: bool,
    output: str,
) -> None:
    """Run a cluster on loopback until Ctrl-C. Every broker is a process of its own.

    With --output json, the content of the ready file is printed when the cluster serves.
    """
    from cli.dev import plan as plans
    from cli.dev import ports, temporary
    from cli.dev.directories import about_lost, prepare
    from cli.dev.supervisor import Options

    options = Options(restart, ready_file, ready_timeout_s)
    for left in temporary.remove_abandoned():
        note(f"removed {left}, which a `quorate dev` that was killed left behind")
    with data_directory(data) as root:
        plan = plans.obtain(root, nodes, port)
        ports.check(plan.addresses())
        refused = prepare(plan, root / plans.PLAN_FILE, fsync=not unsafe_no_fsync)
        started = len(plan.brokers) - len(refused)
        note(f"starting {count_of(started, len(plan.brokers))} in {root}")
        for line in about_lost(plan, refused):
            note(line)
        run(plan, options, output, refused)


@contextmanager
def data_directory(data: Path | None) -> Iterator[Path]:
    """The directory to use: the given one, or a new one that is removed unless something failed."""
    from cli.dev import temporary

    if data is not None:
        try:
            data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandFailed(
                f"cannot use --data {data}: {error.strerror}", ExitCode.PRECONDITION
            ) from error
        temporary.keep(data)
        yield data.resolve()
        return
    with temporary.locked_directory() as directory:
        try:
            yield directory
        except CommandFailed:
            # After a failure the logs are what one wants to look at.
            if any(directory.glob("broker-*/broker.log")):
                temporary.keep(directory)
                note(f"the brokers' logs are kept in {directory}")
            else:
                shutil.rmtree(directory, ignore_errors=True)
            raise
        shutil.rmtree(directory, ignore_errors=True)


def run(plan: Plan, options: Options, output: str, refused: Mapping[int, str]) -> None:
    """Supervise until a signal comes or nothing is left to supervise.

    `refused`: brokers that must not be started, and why.
    """
    import trio

    from cli.dev import ready
    from cli.dev.supervisor import Supervisor

    supervisor = Supervisor(plan, options, note, refused=refused)

    def announce() -> None:
        if output == "json":
            emit_json(ready.document(plan, supervisor.pids, supervisor.down))
        else:
            click.echo(welcome(plan, supervisor))

    trio.run(_until_signal, supervisor, announce)
    note("stopped")


async def _until_signal(supervisor: Supervisor, announce: Callable[[], None]) -> None:
    import trio

    async def listen(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            task_status.started()
            async for number in signals:
                note(f"{signal.Signals(number).name}: stopping the brokers (again: at once)")
                supervisor.stop()

    failure: CommandFailed | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(listen)
        try:
            await supervisor.run(announce)
        except CommandFailed as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def welcome(plan: Plan, supervisor: Supervisor) -> str:
    """What to tell the person who started the cluster."""
    up = [broker for broker in plan.brokers if broker.id not in supervisor.down]
    at = "" if str(up[0].kafka) == DEFAULT_BOOTSTRAP else f" -b {up[0].kafka}"
    quorate = own_name()
    bootstrap = ",".join(str(broker.kafka) for broker in up)
    return "\n".join(
        [
            f"{count_of(len(up), len(plan.brokers))} {'serves' if len(up) == 1 else 'serve'}. "
            f"Bootstrap address: {bootstrap}",
            *(f"Broker {each} is down: {why}" for each, why in sorted(supervisor.down.items())),
            "Try, in another terminal:",
            f"  {quorate} topic create greetings --partitions 6{copies(plan, len(up))}{at}",
            f"  seq 10 | {quorate} produce greetings{at}; "
            f"{quorate} consume greetings{at} --until-end",
            *(
                f"  kill -9 {supervisor.pids.get(victim.id)}; {quorate} cluster status{at}    "
                f"(that is broker {victim.id})"
                for victim in expendable(plan, up)
            ),
            f"  curl http://{up[0].admin}/metrics    (admin ports: "
            f"{', '.join(str(broker.admin) for broker in up)})",
            "Ctrl-C stops the cluster.",
        ]
    )


def count_of(some: int, total: int) -> str:
    """`3 brokers`, `2 of 3 brokers`, `1 broker`."""
    of_all = "" if some == total else f" of {total}"
    return f"{some}{of_all} {'broker' if total == 1 else 'brokers'}"


def copies(plan: Plan, up: int) -> str:
    """The option that a new topic needs while fewer brokers live than it has copies by default."""
    from cli.dev.plan import REPLICATION_FACTOR_MAX

    usual = min(len(plan.brokers), REPLICATION_FACTOR_MAX)
    return "" if up >= usual else f" --replication-factor {up}"


def expendable(plan: Plan, up: list[BrokerPlan]) -> list[BrokerPlan]:
    """One broker without which the others are still a majority of the voters, if there is one."""
    left = [broker for broker in up[:-1] if broker.id in {voter.id for voter in plan.voters}]
    return up[-1:] if len(left) >= plan.majority else []


def own_name() -> str:
    """How this program can be called from here: not every environment is on the PATH."""
    if shutil.which("quorate"):
        return "quorate"
    beside = Path(sys.executable).with_name("quorate")
    if not beside.exists():
        return f"{sys.executable} -m cli.main"
    here = Path.cwd()
    return str(beside.relative_to(here) if beside.is_relative_to(here) else beside)
