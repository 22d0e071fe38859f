"""Names that the shell completes: from the table of settings, or from the cluster.

The cluster is asked so that it answers soon, or not at all.

A person waits for it with a finger on the key, so everything is asked in less than a second, and
whatever goes wrong completes nothing and says nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import click

from cli.context import DEFAULT_BOOTSTRAP, Address, AddressList

PATIENCE_S = 0.7
NAMES_MAX = 500


def complete_topics(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Topics that begin with `incomplete`; the brokers' own only when it begins like one."""
    return _matching(ctx, incomplete, _topics)


def complete_groups(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Groups that begin with `incomplete`."""
    return _matching(ctx, incomplete, _groups)


def complete_brokers(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Ids of the brokers that run."""
    return _matching(ctx, incomplete, _brokers)


def complete_settings(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Settings of what --topic, --broker or --cluster names; else of a topic.

    Of `broker start`: all that its file may have.
    """
    return [name for name in _settings(ctx) if name.startswith(incomplete)]


def complete_assignments(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """The same, as `name=`; values are not completed."""
    return [f"{name}=" for name in complete_settings(ctx, parameter, incomplete)]


def _settings(ctx: click.Context) -> list[str]:
    from metadata.configs.table import BROKER_CONFIGS, TOPIC_CONFIGS

    if ctx.command.name == "start":
        return sorted(BROKER_CONFIGS)
    if ctx.params.get("broker") is None and not ctx.params.get("cluster"):
        return sorted(TOPIC_CONFIGS)
    shown = ctx.command.name == "get"
    return sorted(name for name, about in BROKER_CONFIGS.items() if about.dynamic or shown)


def _matching(
    ctx: click.Context, incomplete: str, names: Callable[[Address], Iterable[str]]
) -> list[str]:
    try:
        address = _bootstrap(ctx)[0]
        found = sorted({name for name in names(address) if name.startswith(incomplete)})
    except Exception:  # a completion must never print anything, whatever it is
        return []
    return [name for name in found if incomplete or not name.startswith("__")][:NAMES_MAX]


def _bootstrap(ctx: click.Context) -> tuple[Address, ...]:
    """As far as the line says so already; else the environment, else the default."""
    given: Any = ctx.params.get("bootstrap")
    text = given or os.environ.get("QUORATE_BOOTSTRAP") or DEFAULT_BOOTSTRAP
    return AddressList().convert(text, None, None)


def _topics(address: Address) -> list[str]:
    from cli.survey import View, ask

    found = ask(address, PATIENCE_S)
    return [topic.name for topic in found.topics] if isinstance(found, View) else []


def _brokers(address: Address) -> list[str]:
    from cli.survey import View, ask

    found = ask(address, PATIENCE_S)
    return [str(node) for node in found.brokers] if isinstance(found, View) else []


def _groups(address: Address) -> list[str]:
    """Of all brokers that answer: each knows those that it coordinates."""
    from concurrent.futures import ThreadPoolExecutor

    from cli.grouplists import ASKED_AT_ONCE_MAX
    from cli.survey import View, ask

    found = ask(address, PATIENCE_S / 2)
    places = list(found.brokers.values()) if isinstance(found, View) else []
    if not places:
        return []
    with ThreadPoolExecutor(ASKED_AT_ONCE_MAX) as pool:
        return [name for names in pool.map(_groups_of, places) for name in names]


def _groups_of(address: Address) -> list[str]:
    from cli.connection import Silence, attempt
    from cli.grouplists import ask

    found = attempt(address, PATIENCE_S / 2, ask)
    return [] if isinstance(found, Silence) else found
