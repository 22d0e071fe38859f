"""What the requests of all connections came to, by API.

A request costs two additions when it is taken in, and at its answer a look at the response's
error codes, two additions and the histogram's two. Whoever scrapes reads the same integers.
"""

from __future__ import annotations

from collections.abc import Sequence

from partitions.wire import ApiKey, error_finder
from raftlog.histogram import Histogram


class ApiCounters:
    """Of one API."""

    __slots__ = ("find", "bytes_in", "bytes_out", "errors", "latency_us", "requests")

    def __init__(self, key: ApiKey) -> None:
        self.find = error_finder(key)
        """Gives the error codes in a response."""
        self.requests = 0
        """Taken in, answered or not."""
        self.bytes_in = self.bytes_out = 0
        """Of requests, without the sizes before them, and of responses, with these."""
        self.errors: dict[int, int] = {}
        """How often each error code was told; one response may hold many."""
        self.latency_us = Histogram()
        """From the end of the request's receipt until its response is encoded."""

    def answered(self, size: int, took_us: int) -> None:
        """A response of `size` bytes is ready, `took_us` after its request was."""
        self.bytes_out += size
        self.latency_us.add(took_us)

    def note_codes(self, codes: Sequence[int]) -> None:
        """A response tells these error codes."""
        for code in codes:
            self.errors[code] = self.errors.get(code, 0) + 1


class RequestCounters:
    """Of one broker."""

    def __init__(self) -> None:
        self._by_key: list[ApiCounters | None] = [None] * (max(ApiKey) + 1)

    def of(self, key: ApiKey) -> ApiCounters:
        """The counters of an API, made when it is first asked for."""
        found = self._by_key[key]
        if found is None:
            found = self._by_key[key] = ApiCounters(key)
        return found

    def statistics(self) -> dict[str, ApiCounters]:
        """By the name that Kafka's metrics have for the API (`ListOffsets`); to be read only."""
        return {
            api_name(ApiKey(key)): found
            for key, found in enumerate(self._by_key)
            if found is not None
        }


def api_name(key: ApiKey) -> str:
    """`LIST_OFFSETS` as Kafka writes it in metrics: `ListOffsets`."""
    return "".join(word.capitalize() for word in key.name.split("_"))
