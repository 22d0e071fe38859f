"""How many files and sockets this process may have open, and how many of them clients get.

A partition that is written to holds its files open until they are synced, and a file that cannot be
opened for want of a descriptor ends the broker like any failed write. So clients get no more than
half of the descriptors, whatever `max.connections` says: the other half is the broker's own.
"""

from __future__ import annotations

import resource

LIMIT_MAX = 1 << 20
"""No more is asked for where there is no limit."""
CLIENTS_PARTS = 2


def raise_limit() -> int:
    """Take all descriptors that this process may have (`ulimit -Hn`); how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = LIMIT_MAX if hard == resource.RLIM_INFINITY else min(hard, LIMIT_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft  # the system has a limit of its own
    return wanted


def for_clients(descriptors: int) -> int:
    """The most connections of clients with so many descriptors."""
    return max(1, descriptors // CLIENTS_PARTS)
