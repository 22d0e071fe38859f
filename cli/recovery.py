"""The work of `quorate cluster recover`: look, compare, say, and force what was named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import NamedTuple

from cli import recovery_text as text
from cli.exits import CommandFailed, ExitCode
from cli.output import emit_json
from partitions import recover
from partitions.recover import Comparison, Copy, Directory, Forced, Report
from raftlog.disk.fs import OsFileSystem
from raftlog.errors import Misconfigured
from raftlog.types import ReplicaId

REPORT_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Choice:
    """What the operator named, and how far it may go."""

    metadata: bool
    partitions: tuple[str, ...]
    topics: tuple[str, ...]
    accept_worse: bool
    forced: bool

    @property
    def named(self) -> bool:
        """Is any group?"""
        return bool(self.metadata or self.partitions or self.topics)

    def pick(self, copies: Sequence[Copy]) -> list[Copy]:
        """The named copies, by group; CommandFailed (USAGE) for a name that is not here."""
        picked: dict[int, Copy] = {}
        if self.metadata:
            found = [copy for copy in copies if copy.topic is None]
            self._add(picked, "--metadata", found, "it holds no copy of the metadata")
        for name in self.partitions:
            found = [copy for copy in copies if copy.topic is not None and copy.name == name]
            here = ", ".join(copy.name for copy in copies if copy.topic is not None) or "none"
            self._add(picked, f"--partition {name}", found, f"the partitions here are: {here}")
            if len(found) > 1:
                groups = ", ".join(str(copy.group) for copy in found)
                raise CommandFailed(
                    f"--partition {name}: groups {groups} have that name, of a topic that was "
                    "deleted and made again; this copy has not heard which of them is gone. "
                    "Recover the metadata first, and start the broker once",
                    ExitCode.USAGE,
                )
        for topic in self.topics:
            found = [copy for copy in copies if copy.topic == topic]
            topics = ", ".join(sorted({copy.topic for copy in copies if copy.topic})) or "none"
            self._add(picked, f"--all-partitions-of {topic}", found, f"topics here: {topics}")
        return [picked[group] for group in sorted(picked)]

    @staticmethod
    def _add(picked: dict[int, Copy], option: str, found: list[Copy], here: str) -> None:
        if not found:
            raise CommandFailed(f"{option}: not in this directory; {here}", ExitCode.USAGE)
        picked.update({copy.group: copy for copy in found})


class Session(NamedTuple):
    """One run on one locked directory."""

    data: Path
    part_bytes: int
    wall_ms: int
    output: str

    def recover(self, choice: Choice, reports: Sequence[Path], digits: bytes) -> None:
        """List, or plan, or force."""
        fs = OsFileSystem(self.data)
        here = recover.examine(fs, self.part_bytes)
        mine = Report(here.properties, here.copies)
        picked = choice.pick(here.copies)
        alone = [copy for copy in picked if copy.alone(here.properties.replica)]
        todo = [copy for copy in picked if copy not in alone]
        others = [(str(path), _read(path)) for path in reports]
        groups = [copy.group for copy in (todo if choice.named else here.copies)]
        compared = recover.compare(mine, others, groups)
        if choice.named:
            refuse_comparison(compared, others, accept_worse=choice.accept_worse)
        survivors = [other.properties.replica for _, other in others]
        plan = self._plan(here, todo, survivors, choice, digits)
        done = None
        if choice.forced and plan is not None:
            mine = Report(plan.properties, here.copies, tuple([copy.group for copy in todo]))
            document = recover.encode_report(mine, plan)
            done = recover.keep_report(fs, self.wall_ms, json.dumps(document))
            random = SystemRandom()
            recover.force(fs, plan, self.wall_ms, part_bytes=self.part_bytes, random=random)
        if self.output == "json":
            document = recover.encode_report(mine, plan)
            emit_json({**document, "compared": [text.compared_row(each) for each in compared]})
        else:
            text.show(self.data, here, alone, plan, compared if others else [], done)

    def _plan(
        self,
        here: Directory,
        todo: Sequence[Copy],
        survivors: Sequence[ReplicaId],
        choice: Choice,
        digits: bytes,
    ) -> Forced | None:
        if not todo:
            return None
        worse = choice.accept_worse
        return recover.plan(here.properties, todo, survivors, accept_worse=worse, digits=digits)

    def follow(self, path: Path, *, forced: bool) -> None:
        """Plan, or carry out, what another broker's report asks of this directory."""
        fs = OsFileSystem(self.data)
        leader = _read(path)
        here = recover.examine(fs, self.part_bytes)
        plan = recover.plan_follow(here, leader)
        if forced:
            random = SystemRandom()
            recover.follow(
                fs, plan, leader, self.wall_ms, part_bytes=self.part_bytes, random=random
            )
        if self.output == "json":
            emit_json(text.followed(here, plan, leader, done=forced))
        else:
            text.show_followed(here, plan, leader, done=forced)


def refuse_comparison(
    compared: Sequence[Comparison], others: Sequence[tuple[str, Report]], *, accept_worse: bool
) -> None:
    """CommandFailed (PRECONDITION) when forcing would throw away what need not be lost."""
    for each in compared:
        if each.majority and others:
            nodes = ", ".join(str(replica.node) for replica in each.present)
            raise CommandFailed(
                f"{each.copy.name}: nothing is lost: brokers {nodes} hold a majority of its "
                "copies. Start them, and force nothing",
                ExitCode.PRECONDITION,
            )
        if each.worse and not accept_worse:
            term, index = each.best_rank
            raise CommandFailed(
                f"{each.copy.name}: broker {each.best[0]} has a better copy: it ends at term "
                f"{term}, index {index}, this one at term {each.copy.last.term}, index "
                f"{each.copy.last.index}. Force that one, or add --accept-worse-copy and lose "
                "what only it has",
                ExitCode.PRECONDITION,
            )


def _read(path: Path) -> Report:
    try:
        if path.stat().st_size > REPORT_BYTES_MAX:
            raise CommandFailed(f"{path} is no report: it is too large", ExitCode.USAGE)
        return recover.decode_report(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError, Misconfigured) as error:
        raise CommandFailed(f"cannot take {path} as a report: {error}", ExitCode.USAGE) from error
