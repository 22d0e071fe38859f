"""A small language for what happens to one group.

A transcript is lines of commands, each followed by what came out of it, indented by two. `run`
plays the commands and gives the transcript with what really came out; a test compares the two.

    set a [OPTION=VALUE ...]    of later joins: static (an instance id), session and rebalance
                                (seconds), protocols (NAME:METADATA,...), type, v (version)
    join a [OPTION=VALUE ...]   the same options, which stay
    settle a b ...              these join, sync and are Stable with assignments xa, xb, ...; unseen
    sync a [MEMBER=BYTES ...]   with an assignment if there are any; "as N": of generation N
    beat a, beat a as N         a heartbeat
    commits a, commits a as N   an offset commit (N: "none" is one from outside the group)
    leave a b, expel INSTANCE   one LeaveGroup
    restart a                   the client forgets its member id
    claim a ID                  the client uses that member id from now on
    hang up a                   the connection of a's last request is gone
    wait SECONDS                with a tick at every deadline
    commit, refuse ERROR        the outcome of all records under way
    commit N, refuse N ERROR    of one
    restore                     a new coordinator loads the last record
    drop, delete, describe, snapshot
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from partitions.coordinators.groups import (
    ClassicGroup,
    Effect,
    GroupSettings,
    GroupSnapshot,
    GroupState,
    HeartbeatAsk,
    JoinAnswer,
    JoinAsk,
    LeaveAsk,
    Persist,
    SyncAnswer,
    SyncAsk,
)
from partitions.errors import ErrorCode


@dataclass
class Client:
    """What one client knows and asks for."""

    name: str
    member_id: str = ""
    generation: int = -1
    ids: int = 0
    ticket: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def option(self, name: str, default: str) -> str:
        return self.options.get(name, default)

    def join_ask(self) -> JoinAsk:
        self.ids += self.member_id == ""
        pairs = [pair.partition(":") for pair in self.option("protocols", "range:").split(",")]
        version = int(self.option("v", "4"))
        return JoinAsk(
            self.member_id,
            f"{self.name}-{self.ids}",
            self.options.get("static"),
            self.name,
            "/127.0.0.1",
            int(float(self.option("session", "10")) * 1000),
            int(float(self.option("rebalance", "60")) * 1000),
            self.option("type", "consumer"),
            tuple((name, metadata.encode()) for name, _, metadata in pairs if name),
            requires_known_member_id=version >= 4,
            can_skip_assignment=version >= 9,
        )


class Stage:
    """One group, its clients and its clock."""

    def __init__(self, settings: GroupSettings, group_id: str = "g") -> None:
        self.now_us = 0
        self.settings = settings
        self.group = ClassicGroup(group_id, settings)
        self.clients: dict[str, Client] = {}
        self.asked = 0
        self.under_way: list[Persist] = []
        self.shown = (GroupState.EMPTY, 0)
        self.lines: list[str] = []

    def play(self, line: str) -> list[str]:
        """What comes out of one command."""
        self.lines = []
        verb, *words = line.split()
        said = getattr(self, f"do_{verb}")(*words)
        if said is not None:
            self.lines.append(said)
        self._show_effects()
        return self.lines

    def client(self, name: str) -> Client:
        return self.clients.setdefault(name, Client(name))

    def ticket(self, client: Client) -> str:
        self.asked += 1
        client.ticket = f"{client.name} {self.asked}"
        return client.ticket

    def do_join(self, name: str, *options: str) -> None:
        self.do_set(name, *options)
        client = self.client(name)
        self.group.join(self.now_us, self.ticket(client), client.join_ask())

    def do_settle(self, *names: str) -> None:
        for name in names:
            self.do_join(name)
            self._show_effects()
            if self.lines and self.lines[0].startswith(f"{name}: MEMBER_ID_REQUIRED"):
                self.do_join(name)
            self.lines = []
        self._show_effects()
        self._until_completing()
        for name in names:
            self.do_sync(name, *(f"{self.client(n).member_id}=x{n}" for n in names))
        self._show_effects()
        self.do_commit()
        self._show_effects()
        assert self.group.state is GroupState.STABLE, self.lines
        self.lines = self.lines[-1:]

    def _until_completing(self) -> None:
        while self.group.state is not GroupState.COMPLETING_REBALANCE:
            deadline = self.group.deadline
            assert deadline is not None
            self.now_us = max(self.now_us, deadline)
            self.group.tick(self.now_us)
            self._show_effects()

    def do_sync(self, name: str, *words: str) -> None:
        client = self.client(name)
        generation = client.generation
        if words[:1] == ("as",):
            generation, words = int(words[1]), words[2:]
        assignments = {m: given.encode() for m, given in (word.split("=") for word in words)}
        ask = SyncAsk(
            generation,
            client.member_id,
            client.options.get("static"),
            client.options.get("sync_type"),
            client.options.get("sync_protocol"),
            assignments,
        )
        self.group.sync(self.now_us, self.ticket(client), ask)

    def do_beat(self, name: str, _as: str = "", generation: str = "") -> str:
        client = self.client(name)
        ask = HeartbeatAsk(
            client.member_id,
            int(generation or client.generation),
            client.options.get("static"),
        )
        return self.group.heartbeat(self.now_us, ask).name

    def do_commits(self, name: str, _as: str = "", generation: str = "", kind: str = "") -> str:
        client = self.client(name)
        outside = generation == "none"
        return self.group.check_commit(
            self.now_us,
            "" if outside else client.member_id,
            None if outside else client.options.get("static"),
            -1 if outside else int(generation or client.generation),
            transactional=kind == "transactional",
        ).name

    def do_leave(self, *names: str) -> str:
        asks = [
            LeaveAsk(client.member_id, client.options.get("static"))
            for client in map(self.client, names)
        ]
        return " ".join(error.name for error in self.group.leave(self.now_us, asks))

    def do_expel(self, *instances: str) -> str:
        asks = [LeaveAsk("", instance) for instance in instances]
        return " ".join(error.name for error in self.group.leave(self.now_us, asks))

    def do_restart(self, name: str) -> None:
        self.client(name).member_id = ""

    def do_claim(self, name: str, member_id: str) -> None:
        self.client(name).member_id = member_id

    def do_set(self, name: str, *options: str) -> None:
        for option in options:
            key, _, value = option.partition("=")
            self.client(name).options[key] = value

    def do_hang(self, _up: str, name: str) -> None:
        self.group.forget(self.now_us, self.client(name).ticket)

    def do_wait(self, seconds: str) -> None:
        until_us = self.now_us + int(float(seconds) * 1_000_000)
        while self.group.deadline is not None and self.group.deadline <= until_us:
            self.now_us = max(self.now_us, self.group.deadline)
            self.group.tick(self.now_us)
            self._show_effects(f" at {self.now_us / 1_000_000:g} s")
        self.now_us = until_us

    def do_commit(self, token: str = "") -> None:
        self._outcome(token, ErrorCode.NONE)

    def do_refuse(self, *words: str) -> None:
        self._outcome("".join(words[:-1]), ErrorCode[words[-1]])

    def _outcome(self, token: str, error: ErrorCode) -> None:
        for write in [w for w in self.under_way if token in ("", str(w.token))]:
            self.under_way.remove(write)
            self.group.persisted(self.now_us, write.token, error)

    def do_restore(self, max_size: str = "") -> None:
        snapshot = self.group.snapshot()
        assert snapshot is not None
        if max_size:
            self.settings = GroupSettings(max_size=int(max_size))
        self.under_way = []
        self.group = ClassicGroup.restored("g", self.settings, snapshot, self.now_us)

    def do_drop(self) -> None:
        self.group.drop(ErrorCode.NOT_COORDINATOR)

    def do_delete(self) -> str:
        return self.group.delete().name

    def do_snapshot(self) -> str:
        return show_snapshot(self.group.snapshot())

    def do_describe(self) -> str:
        group = self.group.describe()
        members = [
            f"{m.member_id}({m.client_id} {m.client_host})={text(m.metadata)}->{text(m.assignment)}"
            for m in group.members
        ]
        names = [group.state.value, group.protocol_type or "-", group.protocol or "-"]
        return " ".join(names + members)

    def _show_effects(self, when: str = "") -> None:
        for effect in self.group.effects():
            self.lines.append(self._show(effect) + when)
        if (self.group.state, self.group.generation) != self.shown:
            self.shown = (self.group.state, self.group.generation)
            self.lines.append(f"now {self.group.state.value} {self.group.generation}{when}")

    def _show(self, effect: Effect) -> str:
        if isinstance(effect, Persist):
            self.under_way.append(effect)
            return f"write {effect.token}: {show_snapshot(effect.snapshot)}"
        name = str(effect.ticket).split()[0]
        if isinstance(effect, SyncAnswer):
            if effect.error is ErrorCode.NONE:
                return f"{name}: assigned {effect.assignment.decode() or '-'}"
            return f"{name}: sync {effect.error.name}"
        return self._show_join(name, effect)

    def _show_join(self, name: str, answer: JoinAnswer) -> str:
        client = self.client(name)
        if answer.error is not ErrorCode.NONE:
            if answer.error is ErrorCode.MEMBER_ID_REQUIRED:
                client.member_id = answer.member_id
            return f"{name}: {answer.error.name} {answer.member_id}".rstrip()
        client.member_id, client.generation = answer.member_id, answer.generation_id
        told = [f"{m.member_id}={m.metadata.decode()}" for m in answer.members]
        words = [f"{answer.member_id} in {answer.generation_id} {answer.protocol_name}"]
        words += [f"led by {answer.leader}", *told, *(["skip"] if answer.skip_assignment else [])]
        return f"{name}: {' '.join(words)}"


def text(data: bytes) -> str:
    """Metadata or an assignment, as the transcript gave it."""
    return data.decode()


def show_snapshot(snapshot: GroupSnapshot | None) -> str:
    """A record in one line."""
    if snapshot is None:
        return "none"
    members = [
        f"{m.member_id}={m.subscription.decode()}->{m.assignment.decode()}"
        for m in snapshot.members
    ]
    names = [str(snapshot.generation), snapshot.protocol or "-", f"led by {snapshot.leader or '-'}"]
    return " ".join(names + members)


def run(
    transcript: str, settings: GroupSettings | None = None, group_id: str = "g"
) -> tuple[str, str]:
    """(what came out, what the transcript says), to be compared."""
    expected = textwrap.dedent(transcript).strip("\n").rstrip()
    stage = Stage(settings or GroupSettings(), group_id)
    out: list[str] = []
    for line in expected.split("\n"):
        if line and not line.startswith((" ", "#")):
            out.append(line)
            out += [f"  {said}" for said in stage.play(line)]
        elif not line.startswith(" "):
            out.append(line)
    return "\n".join(out), expected


def check(transcript: str, settings: GroupSettings | None = None, group_id: str = "g") -> None:
    """Play it and compare."""
    came_out, expected = run(transcript, settings, group_id)
    assert came_out == expected
