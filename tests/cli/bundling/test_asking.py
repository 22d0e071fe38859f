"""What brokers and their admin ports are asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cli.bundling import asking, grouping, scraping
from cli.configs import BROKER, TOPIC, Owner, given
from cli.connection import Unavailable
from cli.context import Address, Target
from cli.exits import CommandFailed
from cli.survey import View
from partitions import wire
from partitions.errors import ErrorCode

D = wire.messages(wire.ApiKey.DESCRIBE_CONFIGS)
M = wire.messages(wire.ApiKey.METADATA)


class Answering:
    """A connection whose broker says the same always."""

    def __init__(self, *results: Any) -> None:
        self.results = list(results)

    def call(self, key: wire.ApiKey, version: int, question: Any) -> Any:
        return D.DescribeConfigsResponse(results=self.results)


def settings_of(name: str, kind: int, code: int, **values: int) -> Any:
    """A result; `values`: the source of each setting."""
    configs = [
        D.DescribeConfigsResourceResult(
            name=key, value="v", read_only=False, config_source=source, is_sensitive=False
        )
        for key, source in values.items()
    ]
    return D.DescribeConfigsResult(
        error_code=code, resource_type=kind, resource_name=name, configs=configs
    )


def test_only_settings_that_are_no_defaults_are_given() -> None:
    owners = [Owner(BROKER, "1"), Owner(TOPIC, "t"), Owner(TOPIC, "gone")]
    connection: Any = Answering(
        settings_of("1", BROKER, 0, a=4, b=5),
        settings_of("t", TOPIC, 0, c=5),
        settings_of("gone", TOPIC, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    )
    found = given(connection, owners)
    assert found[owners[0]] == [{"name": "a", "value": "v", "source": "file"}]
    assert found[owners[1]] == found[owners[2]] == []
    refused: Any = Answering(settings_of("1", BROKER, ErrorCode.CLUSTER_AUTHORIZATION_FAILED))
    with pytest.raises(Unavailable, match="CLUSTER_AUTHORIZATION_FAILED"):
        given(refused, owners)


def test_groups_are_described_while_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("a", "b", "c")
    rows = [{"group": name, "state": "Empty"} for name in names]

    def describe(client: Any, group: str, target: Target) -> dict[str, Any]:
        if group == "b":
            raise CommandFailed("its coordinator is gone")
        return {"lag": 1, "offsets": [{"topic": "t", "metadata": "private"}]}

    monkeypatch.setattr("cli.clients.admin", lambda target: None)
    monkeypatch.setattr("cli.groups.listing", lambda client, target: (rows, ["broker 3 is away"]))
    monkeypatch.setattr("cli.groups.describe", describe)
    missing: list[str] = []
    target = Target((Address("h", 1),), 1.0)
    found = grouping.collect(target, lambda what, why: missing.append(why), 10)
    assert found[0] == {"group": "a", "state": "Empty", "lag": 1, "offsets": [{"topic": "t"}]}
    assert found[1]["failures"] == ["its coordinator is gone"]
    assert missing == ["a broker's groups are missing: broker 3 is away"]
    assert grouping.collect(target, lambda what, why: missing.append(why), -1) == rows
    assert missing[-1] == "3 of 3 groups are named, not described"


@contextmanager
def server(*pieces: bytes, pause: threading.Event | None = None) -> Iterator[Address]:
    """Sends the pieces to every client, waits for `pause` if there is one, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    for piece in pieces:
                        connection.sendall(piece)
                    if pause is not None:
                        pause.wait(30)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Address("127.0.0.1", listener.getsockname()[1])
        finally:
            if pause is not None:
                pause.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_an_admin_port_that_is_not_ready_is_an_answer() -> None:
    with server(b"HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\nnot", b" ready") as address:
        pages = list(scraping.scrape([address], 10))
    assert [page.path for page in pages] == ["livez", "readyz", "metrics"]
    assert {page.text for page in pages} == {b"HTTP/1.1 503 Service Unavailable\n\nnot ready"}


def test_what_an_admin_port_shows_has_no_secrets() -> None:
    with server(
        b'HTTP/1.1 200 OK\r\n\r\nx{to="http://me:hunt,er2@h"} 1\nPwd: hunt,er2\n'
    ) as address:
        pages = list(scraping.scrape([address], 10))
    for page in pages:
        assert b"er2" not in page.text
        assert b'@h"} 1' in page.text


def test_an_admin_port_of_an_impossible_name_is_missing() -> None:
    (why,) = {page.why for page in scraping.scrape([Address("a..b", 1)], 10)}
    assert why is not None
    assert "no host's name" in why


def test_an_error_that_only_another_release_knows_is_a_row() -> None:
    part = M.MetadataResponsePartition(
        error_code=9999,
        partition_index=0,
        leader_id=1,
        leader_epoch=0,
        replica_nodes=[],
        isr_nodes=[],
        offline_replicas=[],
    )
    topic = M.MetadataResponseTopic(error_code=0, name="t", is_internal=False, partitions=[part])
    (row,) = asking.topic_rows(View("c", None, {}, (topic,), None))
    assert row["error"] == "error 9999"


def test_an_admin_port_that_is_none_or_never_ends_is_missing() -> None:
    with server(b"\0\0garbage") as address:
        assert {page.why for page in scraping.scrape([address], 10)} == {
            "what answers there does not speak http"
        }
    with server(b"HTTP/1.1 200 OK\r\n\r\n", pause=threading.Event()) as address:
        pages = list(scraping.scrape([address], 0.2))
    assert {page.why for page in pages} == {"no answer within 0.2 s"}
