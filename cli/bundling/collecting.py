"""Goes through everything that is asked for, the most telling first."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli import logdirs
from cli.bundling import grouping, local, places
from cli.bundling.asking import ask_all
from cli.bundling.contents import Contents
from cli.bundling.places import Place
from cli.bundling.scraping import scrape
from cli.connection import Silence, Unavailable, attempt
from cli.context import Address, Target
from cli.health import summarize
from cli.output import note
from cli.survey import ASK_S, View, survey

Found = dict[Address, View | Silence]

BROKERS_MAX = 128
"""As many are asked, and those that the command names: answers may name any number of others."""
ALL_BROKERS_TIMES = 6
"""All brokers together are asked for this many times --timeout."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command was told to look at."""

    target: Target
    admin: tuple[Address, ...] = ()
    directories: tuple[Path, ...] = ()
    configs: tuple[Path, ...] = ()
    logs: tuple[Path, ...] = ()

    def row(self) -> dict[str, Any]:
        """As the manifest says it."""
        return {
            "bootstrap": [str(each) for each in self.target.bootstrap],
            "timeout_s": self.target.timeout_s,
            "admin": [str(each) for each in self.admin],
            "data_dirs": [str(each) for each in self.directories],
            "configs": [str(each) for each in self.configs],
            "log_files": [str(each) for each in self.logs],
        }


def collect(contents: Contents, wish: Wish) -> Found:
    """Fill `contents`; returns who answered at the Kafka protocol, by address."""
    here = places.find(wish.directories, wish.configs, wish.target.bootstrap)
    note(f"quorate: asking {wish.target.servers}, and every broker that is named there")
    found = _brokers(contents, wish.target, here)
    _admin_ports(contents, wish, here)
    for place in here:
        note(f"quorate: looking at {place.data or place.config}")
        local.describe(contents, place)
    # Logs come last: when the bundle is full they are what is left out.
    for place in here:
        if place.log is not None:
            local.add_log(contents, f"local/{place.name}", place.log)
    for log in wish.logs:
        local.add_log(contents, "local/logs", log)
    return found


def _brokers(contents: Contents, target: Target, here: list[Place]) -> Found:
    known = [*target.bootstrap, *(place.kafka for place in here if place.kafka is not None)]
    step_s, all_s = min(ASK_S, target.timeout_s), ALL_BROKERS_TIMES * target.timeout_s
    until = time.monotonic() + all_s
    found, unasked = asked_only(survey(known, step_s, BROKERS_MAX, until))
    _miss_silent(contents, found)
    reachable = tuple(each for each, answer in found.items() if isinstance(answer, View))
    if not reachable:
        return found
    contents.add_json("cluster/status.json", summarize(found))
    fenced, more = _fenced(contents, reachable, found, step_s, until)
    found, unasked = found | fenced, unasked | more
    if unasked:
        why = f"at most {BROKERS_MAX} are asked, for {all_s:g} s at most"
        contents.miss(f"{len(unasked)} more brokers", f"named by others, and not asked: {why}")
    for answers in ask_all(found, target.timeout_s, until):
        for name, document in answers.documents.items():
            contents.add_json(f"brokers/{answers.name}/{name}", document)
        for name, why in answers.missing.items():
            contents.miss(f"brokers/{answers.name}/{name}", why)
    left_s = min(target.timeout_s, until - time.monotonic())
    if unasked or left_s <= 0:
        # A client makes a thread for every broker that is named.
        why = "too many brokers are named" if unasked else "the time for all brokers is over"
        contents.miss(grouping.NAME, f"not asked: {why}")
        return found
    asked = replace(target, bootstrap=reachable, timeout_s=step_s)
    contents.add_json(grouping.NAME, grouping.collect(asked, contents.miss, left_s))
    return found


def asked_only(found: Found) -> tuple[Found, set[Address]]:
    """The views without the brokers that were not asked, and these."""
    views = [view for view in found.values() if isinstance(view, View)]
    named = {address for view in views for address in view.brokers.values()}
    cut = {
        address: replace(v, brokers={n: a for n, a in v.brokers.items() if a in found})
        if isinstance(v, View)
        else v
        for address, v in found.items()
    }
    return cut, named - found.keys()


def _fenced(
    contents: Contents, reachable: Iterable[Address], found: Found, step_s: float, until: float
) -> tuple[Found, set[Address]]:
    """Brokers that are registered, and that no Metadata answer lists: they may answer even so.

    Also those of them that were not asked.
    """
    for address in reachable:
        if (left_s := until - time.monotonic()) <= 0:
            break
        with suppress(Unavailable):
            listed = attempt(address, min(step_s, left_s), logdirs.brokers)
            if not isinstance(listed, Silence):
                wanted = [each for each in dict.fromkeys(listed.values()) if each not in found]
                first = wanted[: max(0, BROKERS_MAX - len(found))]
                more, _ = asked_only(survey(first, step_s, 0, until))
                _miss_silent(contents, more)
                return more, set(wanted) - more.keys()
    return {}, set()


def _miss_silent(contents: Contents, found: Found) -> None:
    for address, answer in found.items():
        if isinstance(answer, Silence):
            contents.miss(f"broker at {address}", f"unreachable, {answer.reason}")


def _admin_ports(contents: Contents, wish: Wish, here: list[Place]) -> None:
    """Those that are named, and those that settings files name."""
    named = [*wish.admin, *(place.admin for place in here if place.admin is not None)]
    for page in scrape(dict.fromkeys(named), wish.target.timeout_s):
        name = f"admin/{page.address}/{page.path}.txt"
        if page.why is None:
            contents.add(name, page.text)
        else:
            contents.miss(name, page.why)
