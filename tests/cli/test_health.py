"""What `quorate cluster status` concludes from the brokers' answers, and how it gets them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cli.connection import Silence
from cli.context import Address
from cli.exits import ExitCode
from cli.health import summarize, verdict
from cli.survey import View, ask, survey
from partitions import wire
from tests.cli.conftest import Runner

AT = {node: Address("host", 9000 + node) for node in (1, 2, 3)}
REFUSED = Silence("connection refused", connected=False)
SLOW = Silence("no answer within 3 s", connected=True)
_M = wire.messages(wire.ApiKey.METADATA)


def topic(*leaders: int, live: tuple[int, ...] = (1, 2, 3)) -> Any:
    parts = [
        _M.MetadataResponsePartition(
            partition_index=n, leader_id=leader, replica_nodes=[1, 2, 3], isr_nodes=list(live)
        )
        for n, leader in enumerate(leaders)
    ]
    return _M.MetadataResponseTopic(name="t", partitions=parts)


WELL = View("c", 2, AT, (topic(1, 2, 3),), (1, 2, 3))


def asked(*answers: View | Silence) -> dict[Address, View | Silence]:
    return dict(zip(AT.values(), answers, strict=True))


def test_a_cluster_whose_brokers_agree_is_healthy() -> None:
    found = summarize(asked(WELL, WELL, WELL))
    assert (found["healthy"], found["reasons"]) == (True, [])
    assert (found["controller"], found["voters"]) == (2, [1, 2, 3])
    assert [row["leads"] for row in found["brokers"]] == [1, 1, 1]
    assert [row["controller"] for row in found["brokers"]] == [False, True, False]


def test_a_dead_broker_that_is_still_listed_is_seen_to_be_dead() -> None:
    found = summarize(asked(WELL, WELL, REFUSED))
    assert not found["healthy"]
    assert found["reasons"] == ["broker 3 at host:9003: unreachable, connection refused"]
    assert [row["reachable"] for row in found["brokers"]] == [True, True, False]


def test_an_address_that_nobody_advertises_explains_a_broker_out_of_reach() -> None:
    """The usual mistake of a first cluster; a name for a broker that is reached is none."""
    other = Address("other", 9003)
    found = summarize(asked(WELL, WELL, REFUSED) | {other: WELL})
    assert found["reasons"][1:] == [
        "other:9003 answers, but no broker advertises it: are the advertised.listeners of the "
        "unreachable ones right?"
    ]
    assert summarize(asked(WELL, WELL, WELL) | {other: WELL})["healthy"]


def test_an_observer_that_is_not_listed_any_more_is_missed_by_its_replicas() -> None:
    """Its session has ended, so that no broker names it; nothing else would say who is away."""
    listed = {1: AT[1], 2: AT[2]}
    left = replace(WELL, brokers=listed, topics=(topic(1, live=(1, 2)),), voters=(1, 2))
    found = summarize({AT[1]: left, AT[2]: left})
    assert found["reasons"] == [
        "broker 3: has replicas, and the others do not list it: stopped, or lost",
        "1 partition without all replicas",
    ]
    row = found["brokers"][2]
    assert (row["id"], row["address"], row["leads"], row["replicas"]) == (3, None, 0, 1)


def test_a_copy_that_a_living_broker_has_given_up_is_that_broker_s() -> None:
    damaged = topic(1, 2, live=(1, 2))
    for part in damaged.partitions:
        part.offline_replicas = [3]
    view = replace(WELL, topics=(damaged,))
    assert summarize(asked(view, view, view))["reasons"] == [
        "broker 3 at host:9003: 2 replicas out of service: damaged (its log says so), or lost with "
        "a former directory",
        "2 partitions without all replicas",
    ]
    assert len(summarize(asked(view, view, REFUSED))["reasons"]) == 2, "it is away, that is all"


def test_a_voter_that_is_not_listed_any_more_is_missed() -> None:
    listed = {1: AT[1], 2: AT[2]}
    left = replace(WELL, brokers=listed, topics=(topic(1, live=(1, 2)),))
    found = summarize({AT[1]: left, AT[2]: left})
    assert found["brokers"][2]["id"] == 3
    assert any(reason.startswith("broker 3: a voter that") for reason in found["reasons"])
    assert any("1 partition without all replicas" in reason for reason in found["reasons"])


@pytest.mark.parametrize(
    ("voters", "said"),
    [((1, 2, 3), "no controller: 1 of 3 voters"), (None, "no controller: 1 of 3 brokers")],
)
def test_without_a_controller_the_reachable_voters_are_counted(
    voters: tuple[int, ...] | None, said: str
) -> None:
    alone = replace(WELL, controller=None, voters=voters)
    found = summarize(asked(REFUSED, alone, REFUSED))
    assert found["controller"] is None
    assert found["reasons"][0].startswith(said)


def test_an_observer_is_no_voter() -> None:
    places = {**AT, 4: Address("host", 9004)}
    view = replace(WELL, brokers=places, controller=None)
    answers: list[View | Silence] = [REFUSED, view, REFUSED, view]
    found = summarize(dict(zip(places.values(), answers, strict=True)))
    assert found["reasons"][0].startswith("no controller: 1 of 3 voters")


def test_what_the_controller_says_counts_and_contradictions_are_named() -> None:
    late = replace(WELL, controller=1, brokers={1: AT[1], 2: AT[2]}, topics=())
    found = summarize(asked(replace(late, controller=None), WELL, replace(late, controller=1)))
    assert (found["controller"], found["topics"]) == (2, 1)
    assert "brokers disagree on the controller: 1 says none, 2 says 2, 3 says 1" in found["reasons"]
    assert any("2 lists 1,2,3; 3 lists 1,2" in reason for reason in found["reasons"])


def test_an_address_that_is_no_brokers_is_reported() -> None:
    stray = Address("host", 1)
    found = summarize({stray: REFUSED, **asked(WELL, WELL, WELL)})
    assert not found["healthy"]
    assert found["brokers"][-1] == {
        **found["brokers"][-1],
        "id": None,
        "address": "host:1",
        "reachable": False,
    }


def test_a_broker_that_is_drained_is_shown_and_is_healthy(
    quorate: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = asked(replace(WELL, draining=False), replace(WELL, draining=True), REFUSED)
    assert [row["draining"] for row in summarize(answers)["brokers"]] == [False, True, None]
    monkeypatch.setattr("cli.survey.survey", lambda bootstrap, limit_s: answers)
    shown = quorate("cluster", "status").out
    assert "DRAINING" in shown
    well = asked(WELL, replace(WELL, draining=True), WELL)
    assert summarize(well)["healthy"]
    monkeypatch.setattr("cli.survey.survey", lambda bootstrap, limit_s: asked(WELL, WELL, WELL))
    assert "DRAINING" not in quorate("cluster", "status").out


def test_voters_are_known_from_a_broker_that_is_listed_elsewhere() -> None:
    alone = replace(WELL, brokers={1: AT[1], 2: AT[2]})
    found = summarize({Address("name", 9001): alone, AT[1]: REFUSED, AT[2]: REFUSED})
    assert found["voters"] == [1, 2, 3]


class Telling:
    """A connection to broker 3, which answers for itself only."""

    def __init__(self, listed: tuple[int, ...]) -> None:
        self._listed = listed

    def call(self, key: wire.ApiKey, version: int, question: Any) -> Any:
        if key is wire.ApiKey.METADATA:
            brokers = [SimpleNamespace(node_id=n, host="host", port=1) for n in self._listed]
            return SimpleNamespace(brokers=brokers, cluster_id="c", controller_id=-1, topics=[])
        if key is wire.ApiKey.DESCRIBE_CLUSTER:
            brokers = [SimpleNamespace(broker_id=n, host="host", port=n) for n in (1, 2, 3)]
            return SimpleNamespace(brokers=brokers, error_code=0)
        own = {"controller.quorum.voters": "1@a:1:aa,3@b:1:bb", "broker.drain.enable": "true"}
        configs = [SimpleNamespace(name=name, value=value) for name, value in own.items()]
        return SimpleNamespace(
            results=[
                SimpleNamespace(configs=configs if each.resource_name == "3" else [])
                for each in question.resources
            ]
        )


@pytest.mark.parametrize("listed", [(1, 2, 3), (1, 2), ()])
def test_a_broker_tells_of_itself_though_nobody_lists_it(
    monkeypatch: pytest.MonkeyPatch, listed: tuple[int, ...]
) -> None:
    monkeypatch.setattr("cli.survey.attempt", lambda address, limit_s, work: work(Telling(listed)))
    view = ask(AT[3], 1.0)
    assert isinstance(view, View)
    assert (view.voters, view.draining) == ((1, 3), True)


def test_leaderless_partitions_are_no_health() -> None:
    view = replace(WELL, topics=(topic(1, -1),))
    found = summarize(asked(view, view, view))
    assert found["leaderless"] == ["t-1"]
    assert found["reasons"] == ["1 partition without a leader"]


# --- asking


@pytest.fixture
def mute() -> Iterator[Address]:
    """Accepts connections (the kernel does) and never answers, like a paused broker."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Address(*listener.getsockname())


def test_a_broker_that_does_not_answer_costs_a_bounded_time(mute: Address) -> None:
    answer = ask(mute, 0.2)
    assert answer == Silence("no answer within 0.2 s", connected=True)


def test_a_closed_port_is_refused_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address(*listener.getsockname())
    assert ask(address, 60) == REFUSED
    assert survey([address, address], 60) == {address: REFUSED}


def test_no_answer_at_all_says_how_it_failed(quorate: Runner, mute: Address) -> None:
    result = quorate("cluster", "status", "-b", str(mute), "--timeout", "0.2")
    assert result.code == ExitCode.TIMED_OUT
    assert str(mute) in result.err
    result = quorate("cluster", "status", "-X", "a=b")
    assert result.code == ExitCode.USAGE


def test_a_silent_address_beside_a_good_one_is_shown(
    quorate: Runner, mute: Address, mock: Any
) -> None:
    addresses = f"{mute},{mock.bootstrap}"
    result = quorate("cluster", "status", "-b", addresses, "--timeout", "0.5", "-o", "json")
    assert result.code == ExitCode.FAILED
    found = json.loads(result.out)
    assert [row["reachable"] for row in found["brokers"]] == [True, True, True, False]
    assert len(found["reasons"]) == 1
    assert str(mute) in found["reasons"][0]


@pytest.mark.parametrize(
    ("answers", "word", "code"),
    [
        ((WELL, WELL, WELL), "ok", ExitCode.OK),
        ((WELL, WELL, REFUSED), "degraded", ExitCode.FAILED),
        ((replace(WELL, topics=(topic(1, -1, 3),)),) * 3, "unavailable", ExitCode.UNAVAILABLE),
        ((replace(WELL, controller=None),) * 3, "unavailable", ExitCode.UNAVAILABLE),
        ((REFUSED,) * 3, "unavailable", ExitCode.UNREACHABLE),
        ((REFUSED, SLOW, REFUSED), "unavailable", ExitCode.TIMED_OUT),
    ],
)
def test_the_verdict_and_its_exit_code(
    quorate: Runner,
    monkeypatch: pytest.MonkeyPatch,
    answers: tuple[View | Silence, ...],
    word: str,
    code: ExitCode,
) -> None:
    monkeypatch.setattr("cli.survey.survey", lambda bootstrap, limit_s: asked(*answers))
    result = quorate("cluster", "health", "-o", "json")
    found = json.loads(result.out)
    assert (found["verdict"], result.code) == (word, code)
    assert bool(found["reasons"]) == (word != "ok")
    assert quorate("cluster", "health").out.startswith(word)


def test_a_copy_that_is_missing_makes_it_degraded_only() -> None:
    behind = replace(WELL, topics=(topic(1, live=(1, 2)),))
    assert verdict(summarize(asked(behind, behind, behind))) == "degraded"
