"""Connecting takes a bounded time, whatever the address is."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cli.connection import Silence, attempt
from cli.context import Address
from cli.dialing import dial


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Name servers that do not answer."""
    released, lookup = threading.Event(), socket.getaddrinfo

    def getaddrinfo(*question: Any) -> Any:
        if not question[-1] & socket.AI_NUMERICHOST:
            released.wait(60)
        return lookup(*question)

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    yield
    released.set()


@pytest.mark.usefixtures("stuck")
def test_a_name_that_is_not_found_out_is_given_up() -> None:
    began = time.monotonic()
    answer = attempt(Address("localhost", 9092), 0.2, lambda connection: None)
    assert answer == Silence("no connection within 0.2 s", connected=False)
    assert time.monotonic() - began < 30


@pytest.mark.usefixtures("stuck")
def test_an_address_in_figures_is_not_looked_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dial(Address("127.0.0.1", listener.getsockname()[1]), 30).close()


def test_every_address_of_a_name_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dial(Address("localhost", listener.getsockname()[1]), 30).close()


@pytest.mark.parametrize(
    "address",
    [Address("a..b", 1), Address("x" * 300, 1), Address("", 1), Address("127.0.0.1", 0)]
    + [Address("127.0.0.1", port) for port in (-1, 1 << 16, 1 << 40)],
)
def test_an_impossible_address_is_no_connection(address: Address) -> None:
    with pytest.raises(OSError, match=r"."):
        dial(address, 30)
