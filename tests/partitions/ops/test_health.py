"""The verdict of /readyz."""

from __future__ import annotations

import json

import pytest

from partitions.ops.health import Facts, as_json, as_text, verdict

GOOD = Facts(True, 1, (), draining=False, disk_nearly_full=False)


def test_ready_when_nothing_is_against_it() -> None:
    assert verdict(GOOD).ready
    assert as_text(verdict(GOOD)) == "ready\n"
    assert json.loads(as_json(verdict(GOOD))) == {"ready": True, "reasons": []}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"registered": False}, "not registered"),
        ({"controller": None}, "metadata quorum is not reachable"),
        ({"offline": ("t-3",)}, "offline here: t-3;"),
        ({"draining": True}, "is stopping"),
        ({"disk_nearly_full": True}, "log.dirs.free.bytes.min"),
    ],
)
def test_each_fact_alone_is_against_it(change: dict[str, object], said: str) -> None:
    found = verdict(GOOD._replace(**change))  # type: ignore[arg-type]
    assert not found.ready
    (reason,) = found.reasons
    assert said in reason
    assert as_text(found) == f"not ready: {reason}\n"


def test_controller_0_is_a_controller() -> None:
    assert verdict(GOOD._replace(controller=0)).ready


def test_all_reasons_are_given_and_long_lists_are_cut() -> None:
    names = tuple(f"t-{n}" for n in range(500))
    found = verdict(Facts(False, None, names, draining=True, disk_nearly_full=True))
    assert len(found.reasons) == 5
    assert any("t-4 and 495 more" in reason for reason in found.reasons)
