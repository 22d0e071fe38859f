"""`quorate broker drain`: what a broker leads, and the wait until that is nothing."""

from __future__ import annotations

from typing import Any

import pytest

from cli.draining import Leads, look, wait_until_drained
from cli.exits import ExitCode
from partitions import wire
from tests.cli.conftest import Runner

M = wire.messages(wire.ApiKey.METADATA)


class Asked:
    """A connection whose other end says this."""

    def call(self, key: wire.ApiKey, version: int, question: Any) -> Any:
        assert question.topics is None
        assert not question.allow_auto_topic_creation
        partitions = [
            M.MetadataResponsePartition(
                partition_index=number, leader_id=leader, replica_nodes=replicas
            )
            for number, (leader, replicas) in enumerate(
                [(1, [1, 2]), (2, [2, 1]), (-1, [3]), (2, [2])]
            )
        ]
        return M.MetadataResponse(
            brokers=[M.MetadataResponseBroker(node_id=node) for node in (3, 2, 1)],
            controller_id=3,
            topics=[M.MetadataResponseTopic(name="t", partitions=partitions)],
        )


def test_what_a_broker_leads() -> None:
    connection: Any = Asked()
    assert look(connection, 2) == Leads((1, 2, 3), False, ("t-1", "t-3"), ("t-3",))
    third = look(connection, 3)
    assert (str(third), third.nothing) == ("0 partitions and the metadata quorum", False)
    assert look(connection, 7).nothing


def test_progress_is_told_once_per_change(capsys: pytest.CaptureFixture[str]) -> None:
    some = Leads((1, 2), True, ("t-0", "t-1"))
    fewer = Leads((1, 2), False, ("t-0",))
    answers = iter([some, some, fewer, fewer, Leads((1, 2), False, ())])
    assert wait_until_drained(2, lambda: next(answers), 60).nothing
    assert capsys.readouterr().err.splitlines() == [
        "quorate: broker 2 leads 2 partitions and the metadata quorum",
        "quorate: broker 2 leads 1 partition",
    ]


def test_the_wait_ends() -> None:
    left = Leads((1, 2), False, ("alone-0",))
    assert wait_until_drained(2, lambda: left, 0) is left


def test_what_has_no_other_replica_is_not_waited_for() -> None:
    """They were waited for to the end of --wait, without a word of why."""
    some = Leads((1, 2), False, ("alone-0", "t-0"), ("alone-0",))
    controller = Leads((1, 2), True, ("alone-0",), ("alone-0",))
    stuck = Leads((1, 2), False, ("alone-0",), ("alone-0",))
    answers = iter([some, controller, stuck])
    assert wait_until_drained(2, lambda: next(answers), 60) is stuck
    assert not Leads((1, 2), False, ()).stuck


def test_without_a_cluster_it_says_so(quorate: Runner) -> None:
    result = quorate("broker", "drain", "1", "-b", "127.0.0.1:1", "--timeout", "1")
    assert result.code == ExitCode.UNREACHABLE
    assert "127.0.0.1:1" in result.err
    result = quorate("broker", "drain", "1", "--undo", "-b", "127.0.0.1:1", "--timeout", "1")
    assert result.code == ExitCode.UNREACHABLE


def test_a_number_is_wanted(quorate: Runner) -> None:
    assert quorate("broker", "drain", "first").code == ExitCode.USAGE
