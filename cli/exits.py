"""How commands end: the exit codes, and the one exception that carries them."""

from __future__ import annotations

from enum import IntEnum
from typing import IO, Any

import click


class ExitCode(IntEnum):
    """The exit codes of every `quorate` command; scripts may rely on them."""

    OK = 0
    FAILED = 1
    """The cluster answered, and the answer is a failure or not a healthy cluster; or some of the
    work failed."""
    USAGE = 2
    """The arguments make no sense; nothing was tried."""
    UNREACHABLE = 3
    """No address of the cluster could be connected to."""
    TIMED_OUT = 4
    """Connected, but there was no answer in time: what was asked may or may not happen."""
    PRECONDITION = 5
    """This machine is not as needed: a port is taken, a directory is lost, damaged or formatted
    otherwise.

    Starting again does not help before somebody has looked.
    """
    UNAVAILABLE = 6
    """Of `cluster health`: brokers answer, and something in the cluster cannot be used now."""
    INTERRUPTED = 130
    """Ctrl-C. `dev` and `broker start` run until then: for them it is OK."""
    TERMINATED = 143
    """SIGTERM, likewise. `consume --group` has committed and left its group by then."""


class CommandFailed(click.ClickException):
    """Ends a command. The message is one line: what is wrong, with which thing, what to do."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        # click declares it per class; per instance is what its own subclasses would need too.
        self.exit_code = int(code)  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line to stderr."""
        click.echo(f"quorate: {self.format_message()}", file=file, err=file is None)
