"""Requests from clients that are not trusted."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from partitions.ops.http import (
    HEAD_BYTES_MAX,
    HEADERS_MAX,
    LINE_BYTES_MAX,
    PLAIN,
    REASONS,
    Refused,
    Request,
    head_length,
    parse,
    response_head,
)

GET = b"GET /metrics HTTP/1.1\r\nHost: a\r\n"


def refused(data: bytes) -> int:
    with pytest.raises(Refused) as caught:
        parse(data) if head_length(data) else None
    return caught.value.status


def test_what_prometheus_and_curl_send_is_understood() -> None:
    head = (
        b"GET /metrics?x=1 HTTP/1.1\r\nHost: 127.0.0.1:9644\r\nUser-Agent: Prometheus/3.0\r\n"
        b"Accept: application/OpenMetrics-text;version=1.0.0;q=0.5\r\naccept: text/plain\r\n"
        b"Accept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"
    )
    assert head_length(head) == len(head)
    accept = "application/openmetrics-text;version=1.0.0;q=0.5, text/plain"
    assert parse(head) == Request("/metrics", accept)
    assert parse(b"GET /livez HTTP/1.0\r\n\r\n") == Request("/livez", "")


def test_the_head_ends_at_the_empty_line() -> None:
    assert head_length(GET) == 0
    assert head_length(GET + b"\r\nmore") == len(GET) + 2


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"])
def test_other_methods_are_405(method: str) -> None:
    assert refused(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode()) == 405


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        (b"GET http://a/metrics HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (GET + b"Host: b\r\n\r\n", 400),
        (GET + b" folded\r\n\r\n", 400),
        (GET + b"Bad Name: x\r\n\r\n", 400),
        (GET + b"Name : x\r\n\r\n", 400),
        (GET + b"X: a\nY: b\r\n\r\n", 400),
        (GET + b"X: a\rY: b\r\n\r\n", 400),
        (GET + b"X: \x00\r\n\r\n", 400),
        (GET + b"no colon\r\n\r\n", 400),
        (GET + b"Content-Length: 5\r\n\r\n", 400),
        (GET + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n", 400),
        (GET + b"Transfer-Encoding: chunked\r\n\r\n", 400),
        (GET + b"X: y\r\n" * (HEADERS_MAX + 1) + b"\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    ],
)
def test_what_is_malformed_is_refused(data: bytes, status: int) -> None:
    assert refused(data) == status


def test_what_cannot_end_within_the_bounds_is_refused_before_it_does() -> None:
    assert refused(b"GET /" + b"a" * LINE_BYTES_MAX) == 414
    assert refused(GET + b"X: " + b"a" * HEAD_BYTES_MAX) == 431
    assert refused(GET + b"X: y\r\n" * HEAD_BYTES_MAX) == 431


@pytest.mark.parametrize("filling", [b" ", b"\t", b": ", b"a", b"\x80"])
def test_a_hostile_header_costs_linear_time(filling: bytes) -> None:
    head = GET + b"X: " + filling * (7000 // len(filling)) + b"\x00\r\n\r\n"
    began = time.process_time()
    for _ in range(20):
        assert refused(head) == 400
    assert time.process_time() - began < 2  # quadratic time takes seconds, cubic time hours


@given(st.binary(max_size=300))
@example(GET + b"\r\n")
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    refusals: list[Refused] = []
    for whole in (data, GET + data + b"\r\n\r\n", data + b"\r\n\r\n"):
        try:
            length = head_length(whole)
            if length:
                parse(whole[:length])
        except Refused as error:
            refusals.append(error)
    assert all(error.status in REASONS and error.text.isprintable() for error in refusals)


def test_a_response_says_its_length_and_that_it_closes() -> None:
    head = response_head(405, PLAIN, 7, {"Allow": "GET"}).decode()
    assert head.startswith("HTTP/1.1 405 Method Not Allowed\r\n")
    assert head.endswith("\r\n\r\n")
    for field in ("Content-Length: 7", "Connection: close", "Allow: GET"):
        assert f"\r\n{field}\r\n" in head
