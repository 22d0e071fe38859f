"""A simulated consumer: it joins, syncs, sends heartbeats, and has mishaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partitions.coordinators.groups import HeartbeatAsk, JoinAnswer, JoinAsk, LeaveAsk, SyncAnswer
from partitions.coordinators.groups import SyncAsk as Sync
from partitions.errors import ErrorCode
from tests.partitions.coordinators.groups.oracle import require

if TYPE_CHECKING:
    from tests.partitions.coordinators.groups.world import World

SECOND = 1_000_000
PROTOCOLS = (b"one", b"two")


class Client:
    """One consumer program, started again and again."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.random = world.random
        self.instance = f"static-{name}" if self.random.random() < 0.4 else None
        self.version = self.random.choice((3, 4, 9))
        self.running = False
        self.paused = False
        self.life = 0
        """Of what belongs to an earlier one nothing happens any more."""
        self.ids = 0
        self.member_id = ""
        self.generation = -1
        self.ticket: str | None = None
        self.joining: JoinAsk | None = None
        self.roster: list[str] | None = None  # whom to assign to, as the leader
        self.in_generation = False
        self.sound = False
        """A member that did everything in time since it became one: it must not be dropped."""

    # What it does

    def start(self) -> None:
        """A new process: it knows nothing but its instance id."""
        if self.running:
            return
        self.running, self.paused = True, False
        self.life += 1
        self.member_id, self.generation, self.ticket = "", -1, None
        self.in_generation = self.sound = False
        self._soon(self.join)

    def stop(self) -> None:
        """The process is gone; the broker notices the end of the connection, most of the time."""
        self.running = self.sound = False
        self.life += 1
        if self.random.random() < 0.8:
            self.hang_up()

    def hang_up(self) -> None:
        """The connection breaks; nobody hears the answer."""
        if self.ticket is not None:
            ticket, self.ticket = self.ticket, None
            self.world.oracle.open.pop(ticket)
            self.world.group.forget(self.world.now_us, ticket)
            self.world.settle()
            self.sound = False

    def _soon(self, what: object, most_us: int = SECOND) -> None:
        life = self.life

        def happen() -> None:
            if life == self.life and self.running and not self.paused:
                what()  # type: ignore[operator]

        self.world.at(self.random.randrange(most_us), happen)

    def join(self) -> None:
        """A JoinGroup."""
        if self.ticket is not None:
            return
        self.in_generation = False
        world = self.world
        old = self._static_id()
        if not self.member_id:
            self.ids += 1
        ask = JoinAsk(
            self.member_id,
            f"{self.name}-{self.ids}",
            self.instance,
            self.name,
            "/host",
            10_000,
            15_000,
            "consumer",
            (("range", self.random.choice(PROTOCOLS)), ("sticky", b"")),
            requires_known_member_id=self.version >= 4,
            can_skip_assignment=self.version >= 9,
        )
        if old and not self.member_id:
            world.oracle.replaced(old, ask.new_member_id)
        self.ticket = world.oracle.issue(self.name, self.generation)
        world.group.join(world.now_us, self.ticket, ask)

    def _static_id(self) -> str:
        for member in self.world.group.describe().members:
            if self.instance is not None and member.group_instance_id == self.instance:
                return member.member_id
        return ""

    def joined(self, answer: JoinAnswer) -> None:
        """The answer to a join."""
        if answer.error is ErrorCode.NONE:
            self.member_id, self.generation = answer.member_id, answer.generation_id
            self.roster = [m.member_id for m in answer.members]
            if answer.skip_assignment:
                self.roster = None
            self._soon(self.sync, 2 * SECOND)
        elif answer.error is ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = answer.member_id
            self._soon(self.join)
        else:
            self._refused(answer.error)

    def sync(self) -> None:
        """A SyncGroup; the leader's comes with an assignment for everyone."""
        if self.ticket is not None:
            return
        world = self.world
        self.ticket = world.oracle.issue(self.name, self.generation)
        number = world.oracle.issued
        parts = {m: f"{self.generation}/{number}/{m}".encode() for m in self.roster or ()}
        ask = Sync(self.generation, self.member_id, self.instance, assignments=parts)
        self._soon(self.beat, 3 * SECOND)
        world.group.sync(world.now_us, self.ticket, ask)

    def assigned(self, answer: SyncAnswer) -> None:
        """The answer to a sync."""
        if answer.error is ErrorCode.NONE:
            self.in_generation = True
            self.sound = self.running and not self.paused
            self._soon(self.beat, 3 * SECOND)
        else:
            self._refused(answer.error)

    def beat(self) -> None:
        """A heartbeat, or now and then a commit, or a change of what it subscribes to."""
        world = self.world
        if not self.in_generation:
            return
        if world.faults and self.random.random() < 0.02:
            self._soon(self.join)
            return
        if self.random.random() < 0.2:
            error = world.group.check_commit(
                world.now_us, self.member_id, self.instance, self.generation
            )
        else:
            ask = HeartbeatAsk(self.member_id, self.generation, self.instance)
            error = world.group.heartbeat(world.now_us, ask)
        if error is ErrorCode.NONE:
            self._soon(self.beat, 3 * SECOND)
        elif self.in_generation:
            self.in_generation = False
            self._refused(error)

    def _refused(self, error: ErrorCode) -> None:
        if error in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID):
            require(not self.sound, "who lives stays", self.name, error)
            self.member_id = ""
        if error is ErrorCode.GROUP_MAX_SIZE_REACHED:
            self.sound, self.member_id = False, ""
            self._soon(self.join, 5 * SECOND)
            return
        self._soon(self.join)

    # What befalls it

    def misfortune(self) -> None:
        """One of those things."""
        if not self.running:
            self.start()
            return
        what = self.random.random()
        if what < 0.2:
            self.stop()
        elif what < 0.4:  # a restart that the old process does not live to see
            self.stop()
            self._again()
        elif what < 0.6:
            self.pause()
        elif what < 0.75:
            self.leave()
        elif self.ticket is not None:
            self.ask_again()

    def ask_again(self) -> None:
        """Its connection is of no use any more, whether the broker knows or not."""
        if self.random.random() < 0.5:
            self.hang_up()
        self.ticket, self.sound = None, False
        self._soon(self.sync if self.random.random() < 0.5 else self.join)

    def _again(self) -> None:
        life = self.life
        self.world.at(
            self.random.randrange(3 * SECOND), lambda: self.start() if life == self.life else None
        )

    def pause(self) -> None:
        """It stands still, connections open, and may go on later."""
        self.paused, self.sound = True, False
        self.life += 1
        if self.random.random() < 0.7:
            self.world.at(self.random.randrange(20 * SECOND), self.resume)

    def resume(self) -> None:
        """It goes on where it was: with a request if it waits for nothing."""
        if self.running and self.paused:
            self.paused = False
            self.life += 1
            self._soon(self.join if self.random.random() < 0.5 else self.sync)

    def leave(self) -> None:
        """It says so and stops."""
        ask = LeaveAsk(self.member_id, self.instance)
        self.sound = False
        self.world.group.leave(self.world.now_us, [ask])
        self.world.settle()
        self.stop()

    def stay(self, *, alive: bool) -> None:
        """From now on it lives without trouble, or is dead."""
        if not alive:
            if self.running and not self.paused:
                self.stop()
            self.running = False
            self.life += 1
        elif self.paused:
            self.resume()
        else:
            self.start()
