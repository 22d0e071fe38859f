"""What an operator's GET is answered with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from partitions.ops import exposition, health, http
from partitions.ops.collecting import scrape
from partitions.ops.sources import Sources

PATHS = ("/metrics", "/livez", "/readyz")


class Answer(NamedTuple):
    """A response. Between two pieces of the body others may have their turn."""

    status: int
    content_type: str
    body: Iterator[bytes]


def answer(sources: Sources, request: http.Request) -> Answer:
    """Of the paths that are served, or a refusal. The body is made as it is taken."""
    if request.path == "/metrics":
        wanted = "application/openmetrics-text" in request.accept
        kind = exposition.OPENMETRICS if wanted else exposition.TEXT
        return Answer(200, kind, scrape(sources, openmetrics=wanted))
    if request.path == "/livez":
        return _text(200, "alive\n")
    if request.path == "/readyz":
        found = health.verdict(sources.facts())
        status = 200 if found.ready else 503
        if http.JSON in request.accept:
            return Answer(status, http.JSON, iter((health.as_json(found).encode(),)))
        return _text(status, health.as_text(found))
    return _text(404, f"there are {', '.join(PATHS)}\n")


def refusal(error: http.Refused) -> Answer:
    """To what is no request."""
    return _text(error.status, f"{error.text}\n")


def _text(status: int, text: str) -> Answer:
    return Answer(status, http.PLAIN, iter((text.encode(),)))
