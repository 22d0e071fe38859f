"""Goes through everything that is asked for, the most telling first."""

from __future__ import annotations

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
    found = survey(known, min(ASK_S, target.timeout_s))
    _miss_silent(contents, found)
    reachable = tuple(each for each, answer in found.items() if isinstance(answer, View))
    if not reachable:
        return found
    contents.add_json("cluster/status.json", summarize(found))
    found |= _fenced(contents, reachable, found, min(ASK_S, target.timeout_s))
    for answers in ask_all(found, target.timeout_s):
        for name, document in answers.documents.items():
            contents.add_json(f"brokers/{answers.name}/{name}", document)
        for name, why in answers.missing.items():
            contents.miss(f"brokers/{answers.name}/{name}", why)
    asked = replace(target, bootstrap=reachable, timeout_s=min(ASK_S, target.timeout_s))
    groups = grouping.collect(asked, contents.miss, target.timeout_s)
    contents.add_json(grouping.NAME, groups)
    return found


def _fenced(
    contents: Contents, reachable: Iterable[Address], found: Found, limit_s: float
) -> Found:
    """Brokers that are registered, and that no Metadata answer lists: they may answer even so."""
    for address in reachable:
        with suppress(Unavailable):
            listed = attempt(address, limit_s, logdirs.brokers)
            if not isinstance(listed, Silence):
                more = survey([each for each in listed.values() if each not in found], limit_s)
                _miss_silent(contents, more)
                return more
    return {}


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
