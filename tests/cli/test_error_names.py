"""Error codes of a release that is newer than this command."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from cli import clients, configs, logdirs, offsetdeletion, quorum
from cli.codes import code_name
from cli.commands import group_changes
from cli.connection import Unavailable
from cli.context import Address, Target
from cli.exits import CommandFailed, ExitCode
from partitions import wire
from partitions.errors import ErrorCode
from tests.cli.conftest import Runner

LATER = 9_999
AT = Address("host", 9092)
TARGET = Target((AT,), 1.0)


class Answering:
    """A connection whose broker answers with one thing only."""

    def __init__(self, **fields: Any) -> None:
        self._answer = SimpleNamespace(**{"error_code": 0, "error_message": None, **fields})

    def call(self, key: wire.ApiKey, version: int, question: Any) -> Any:
        return self._answer


REFUSING: Any = Answering(error_code=LATER, topics=())
OWNER = configs.Owner(configs.BROKER, "1")
RESULT = SimpleNamespace(
    error_code=LATER, error_message=None, resource_type=configs.BROKER, resource_name="1"
)


def test_codes_have_kafkas_names_or_their_numbers() -> None:
    assert code_name(ErrorCode.NOT_CONTROLLER) == "NOT_CONTROLLER"
    assert code_name(LATER) == "error 9999"


@pytest.mark.parametrize(
    "ask",
    [
        lambda: configs.given(Answering(results=[RESULT]), [OWNER]),  # type: ignore[arg-type]
        lambda: logdirs.brokers(REFUSING),
        lambda: quorum.describe(REFUSING),
        lambda: offsetdeletion.coordinator(REFUSING, "g"),
        lambda: offsetdeletion._ask(REFUSING, "g", {}),
    ],
    ids=["settings", "brokers", "quorum", "coordinator", "offsets"],
)
def test_what_is_refused_is_refused_by_number(ask: Any) -> None:
    with pytest.raises(Unavailable, match=r"\[error 9999\]"):
        ask()


def test_a_change_that_is_refused() -> None:
    with pytest.raises(CommandFailed, match=r"changing broker 1: error 9999 \[error 9999\]"):
        configs._check(RESULT, "changing broker 1", TARGET)


def test_a_directory_that_has_failed() -> None:
    assert logdirs.row(1, AT, Answering(error_code=LATER)._answer, set())["reason"] == "error 9999"


def test_offsets_that_are_not_deleted(quorate: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.commands.cluster.first_answer", lambda target, work: AT)
    monkeypatch.setattr(group_changes, "_places", lambda *_: [("t", 0)])
    part = SimpleNamespace(partition_index=0, error_code=LATER)
    answer: Any = Answering(topics=[SimpleNamespace(name="t", partitions=[part])])
    monkeypatch.setattr(offsetdeletion, "attempt", lambda address, limit_s, work: work(answer))
    result = quorate("group", "delete-offsets", "g", "--topic", "t")
    assert (result.code, "failed   error 9999" in result.out) == (ExitCode.FAILED, True), result


def test_what_the_library_does_not_know_either() -> None:
    assert clients.told(KafkaError(LATER)).endswith("[error 9999]")
    assert clients.told(KafkaError(KafkaError._TRANSPORT)).endswith("[_TRANSPORT]")
