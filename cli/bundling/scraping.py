"""What a broker's admin port shows, within bounded time and memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from cli.bundling import redaction
from cli.bundling.contents import ITEM_BYTES_MAX
from cli.context import Address
from cli.dialing import dial, left_s

PATHS = ("livez", "readyz", "metrics")
ASKED_AT_ONCE_MAX = 16


class Page(NamedTuple):
    """One answer; `why` says why there is none."""

    address: Address
    path: str
    text: bytes
    why: str | None


def scrape(addresses: Iterable[Address], limit_s: float) -> Iterator[Page]:
    """Every page of every address, in order; all pages of one take at most `limit_s`."""
    with ThreadPoolExecutor(ASKED_AT_ONCE_MAX) as pool:
        for pages in list(pool.map(lambda each: _pages(each, limit_s), addresses)):
            yield from pages


def _pages(address: Address, limit_s: float) -> list[Page]:
    deadline = time.monotonic() + limit_s
    return [_page(address, path, deadline, limit_s) for path in PATHS]


def _page(address: Address, path: str, deadline: float, limit_s: float) -> Page:
    try:
        return Page(address, path, get(address, path, deadline), None)
    except TimeoutError:
        return Page(address, path, b"", f"no answer within {limit_s:g} s")
    except OSError as error:
        return Page(address, path, b"", (error.strerror or str(error)).lower())


def get(address: Address, path: str, deadline: float) -> bytes:
    """The status line, an empty line, and the body, secrets hidden.

    Raises OSError, TimeoutError after `deadline`.
    `deadline` is of the monotonic clock, in seconds. A page that is not 200 is an answer too: an
    unready broker's says why.
    """
    ask = f"GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    with dial(address, left_s(deadline)) as connection:
        connection.sendall(ask.encode())
        received = bytearray()
        while len(received) <= ITEM_BYTES_MAX:
            connection.settimeout(left_s(deadline))
            part = connection.recv(1 << 16)
            if not part:
                break
            received += part
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0]
    if not status.startswith(b"HTTP/"):
        raise ConnectionError("what answers there does not speak HTTP")
    text = status + b"\n\n" + body
    return redaction.log_text(text.decode(errors="replace")).encode()
