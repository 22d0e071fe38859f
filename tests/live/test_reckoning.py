"""The reckoning after a load finds what must never happen. No broker is started here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.live.clients import Stored
from tests.live.load import Delivered, Load, check_acknowledged, check_exactly_once

Content = list[list[Stored]]


def stored(offset: int, key: bytes, number: int) -> Stored:
    return Stored(offset, b"%d" % number, key, (), 0)


def good() -> tuple[Load, Content]:
    """Two keys with three values each, one partition for each key."""
    load = Load("127.0.0.1:1", "t", 2, 10)
    content = [[stored(i, key, i) for i in range(3)] for key in (b"key-0", b"key-1")]
    load.sent = 6
    load.delivered = [
        Delivered(number, each.offset, each.key or b"", each.value or b"")
        for number, partition in enumerate(content)
        for each in partition
    ]
    return load, content


def lost_at_the_end(load: Load, content: Content) -> None:
    del content[0][2]


def lost_in_the_middle(load: Load, content: Content) -> None:
    del content[1][1]


def written_twice(load: Load, content: Content) -> None:
    content[0].append(stored(3, b"key-0", 2))


def out_of_order(load: Load, content: Content) -> None:
    content[0][1:] = [stored(1, b"key-0", 2), stored(2, b"key-0", 1)]
    load.delivered[1:3] = [
        Delivered(0, each.offset, each.key or b"", each.value or b"") for each in content[0][1:]
    ]


def replaced_by_another(load: Load, content: Content) -> None:
    content[1][2] = stored(2, b"key-0", 9)


def one_record_with_an_error(load: Load, content: Content) -> None:
    load.failures.append("timed out")


def one_record_without_a_fate(load: Load, content: Content) -> None:
    del load.delivered[-1]


def test_what_is_right_passes() -> None:
    load, content = good()
    check_exactly_once(load, content)
    load.delivered[2] = load.delivered[2]._replace(offset=-1)
    check_exactly_once(load, content)


@pytest.mark.parametrize(
    "spoil",
    [
        lost_at_the_end,
        lost_in_the_middle,
        written_twice,
        out_of_order,
        replaced_by_another,
        one_record_with_an_error,
        one_record_without_a_fate,
    ],
)
def test_what_is_wrong_is_found(spoil: Callable[[Load, Content], None]) -> None:
    load, content = good()
    spoil(load, content)
    with pytest.raises(AssertionError):
        check_exactly_once(load, content)


def test_a_known_repetition_must_be_there_too() -> None:
    load, content = good()
    load.delivered[2] = load.delivered[2]._replace(offset=-1)
    del content[0][2]
    with pytest.raises(AssertionError):
        check_acknowledged(load, content)
