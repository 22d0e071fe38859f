"""The budget for requests: who gets room, in what order, and that room is never more than it is."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitions.server.intake import (
    ORDINARY_BYTES,
    PRESSED_READ_BYTES,
    READ_BYTES,
    SMALL_BYTES,
    RequestBudget,
)

MIB = 1024 * 1024
LIMIT = 256 * MIB
LARGE = 60 * MIB


class Frame:
    """One asker with the frame it wants to send."""

    def __init__(self, room: RequestBudget, size: int, address: str = "") -> None:
        """`address`: one of its own if none is given."""
        self.room = room
        self.address = address or f"address {id(self)}"
        self.size = size
        self.has_room = room.ask(self, size)
        self.waits = not self.has_room

    def granted(self) -> None:
        assert self.waits, "granted twice"
        self.has_room, self.waits = True, False

    def leave(self) -> None:
        if self.waits:
            self.room.withdraw(self, self.size)
        else:
            self.room.give_back(self.size, self.address)
        self.has_room = self.waits = False


def test_room_is_given_in_the_order_of_asking() -> None:
    room = RequestBudget(LIMIT)
    frames = [Frame(room, LARGE) for _ in range(6)]
    assert [f.has_room for f in frames] == [True, True, False, False, False, False]
    frames[1].leave()
    assert [f.has_room for f in frames] == [True, False, True, False, False, False]
    frames[3].leave()  # one that waits
    frames[0].leave()
    assert [f.has_room for f in frames] == [False, False, True, False, True, False]
    for frame in frames[2], frames[4], frames[5]:
        frame.leave()
    assert room.statistics() == (0, 0, 0)
    assert room.read_bytes == READ_BYTES


def test_nobody_overtakes_within_a_size() -> None:
    """Else a stream of smaller frames would keep a larger one waiting for ever."""
    room = RequestBudget(LIMIT)
    first = Frame(room, 100 * MIB)
    larger, smaller = Frame(room, 100 * MIB), Frame(room, 3 * MIB)
    assert larger.waits
    assert smaller.waits
    first.leave()
    assert larger.has_room
    assert smaller.has_room


def test_the_largest_frames_keep_no_others_waiting() -> None:
    room = RequestBudget(LIMIT)
    for _ in range(40):
        Frame(room, 90 * MIB)
    assert Frame(room, MIB).has_room
    assert Frame(room, 100).has_room
    for _ in range(60):
        Frame(room, ORDINARY_BYTES)
    assert Frame(room, ORDINARY_BYTES).waits
    assert Frame(room, SMALL_BYTES).has_room


def test_a_frame_larger_than_its_share_passes_alone() -> None:
    room = RequestBudget(1024)
    first, second = Frame(room, ORDINARY_BYTES), Frame(room, ORDINARY_BYTES)
    assert (first.has_room, second.has_room) == (True, False)
    first.leave()
    assert second.has_room


def test_one_address_holds_no_more_than_half_and_others_get_in_at_once() -> None:
    room = RequestBudget(LIMIT)
    slow = [Frame(room, ORDINARY_BYTES, "slow") for _ in range(100)]
    assert sum(frame.has_room for frame in slow) == 12, "24 of 48 MiB"
    others = [Frame(room, ORDINARY_BYTES, f"other {n % 3}") for n in range(12)]
    assert all(frame.has_room for frame in others)
    assert not room.hinders("other 1", ORDINARY_BYTES), "slow waits for itself"
    assert room.hinders("slow", ORDINARY_BYTES)
    assert not room.hinders("slow", SMALL_BYTES)
    assert Frame(room, ORDINARY_BYTES, "late").waits
    assert room.hinders("other 1", ORDINARY_BYTES)


def test_addresses_get_room_in_turn() -> None:
    room = RequestBudget(LIMIT)
    held = [Frame(room, ORDINARY_BYTES) for _ in range(24)]
    many = [Frame(room, ORDINARY_BYTES, "many") for _ in range(50)]
    few = [Frame(room, ORDINARY_BYTES, "few") for _ in range(2)]
    for frame in held[:4]:
        frame.leave()
    assert sum(frame.has_room for frame in many) == 2
    assert all(frame.has_room for frame in few)
    assert all(frame.has_room for frame in many[:2]), "in the order of asking"


def test_a_frame_larger_than_half_passes_though_its_address_may_have_no_more() -> None:
    room = RequestBudget(LIMIT)
    first, second = Frame(room, 90 * MIB, "a"), Frame(room, 3 * MIB, "a")
    assert (first.has_room, second.has_room) == (True, False)
    assert Frame(room, 3 * MIB, "b").has_room
    first.leave()
    assert second.has_room


def test_little_is_read_ahead_while_anybody_waits() -> None:
    room = RequestBudget(LIMIT)
    first, second = Frame(room, 90 * MIB), Frame(room, 90 * MIB)
    assert room.read_bytes == PRESSED_READ_BYTES
    assert room.pressed
    second.leave()
    assert room.read_bytes == READ_BYTES
    room.hold(room.unanswered_max)
    assert room.read_bytes == PRESSED_READ_BYTES
    third = Frame(room, 90 * MIB)
    room.answered(1)
    assert room.read_bytes == PRESSED_READ_BYTES, "one reason is left"
    first.leave()
    assert third.has_room
    assert room.read_bytes == READ_BYTES


def test_more_back_than_was_given_is_a_bug() -> None:
    room = RequestBudget(LIMIT)
    with pytest.raises(AssertionError):
        room.give_back(10, "a")


SIZES = (1, 100, SMALL_BYTES, SMALL_BYTES + 1, MIB, ORDINARY_BYTES, 3 * MIB, 40 * MIB, 100 * MIB)


def check(frames: list[Frame], address: str, half: int) -> Frame | None:
    """The first of the address that waits, if its address may have more."""
    mine = [f for f in frames if f.address == address]
    granted = [f for f in mine if f.has_room]
    used = sum(f.size for f in granted)
    assert used <= half or len(granted) == 1
    waiting = mine[len(granted) :]
    assert all(f.waits for f in waiting), "overtaken by one of its own address"
    return waiting[0] if waiting and (not used or used + waiting[0].size <= half) else None


@given(st.integers(0, 2**32))
def test_it_agrees_with_a_list_and_always_moves(seed: int) -> None:
    random = Random(seed)
    room, limit = RequestBudget(LIMIT), LIMIT
    shares = {0: limit // 16, 1: 3 * limit // 16, 2: limit // 2}
    frames: list[Frame] = []
    for _ in range(120):
        if frames and random.random() < 0.45:
            frames.pop(random.randrange(len(frames))).leave()
        else:
            frames.append(Frame(room, random.choice(SIZES), random.choice("abc")))
        for kind, share in shares.items():
            mine = [f for f in frames if (f.size > SMALL_BYTES) + (f.size > ORDINARY_BYTES) == kind]
            used = sum(f.size for f in mine if f.has_room)
            assert used <= share
            heads = [head for address in "abc" if (head := check(mine, address, share // 2))]
            assert not heads or any(used + f.size > share for f in heads), "there is room"
        assert room.pressed == any(f.waits for f in frames)
    while frames:  # whoever has room finishes: then all do
        done = next(f for f in frames if f.has_room)
        frames.remove(done)
        done.leave()
    assert room.statistics() == (0, 0, 0)
