"""Results on stdout, the same way from every command.

JSON: one document, keys in snake_case, sorted as given. Table: coloured by rich when stdout is a
terminal, otherwise plain aligned columns that are never cut to a width.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from cli.exits import CommandFailed

_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

Row = Mapping[str, Any]


def note(text: str) -> None:
    """One line for the person at the terminal, on stderr."""
    click.echo(text, err=True)


def flush_stdout() -> OSError | None:
    """Write out what is buffered; when that fails, why, and the rest goes nowhere.

    Otherwise the interpreter would try again at its end, and complain in its own words.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None


def is_of_output(error: OSError) -> bool:
    """Did writing to stdout fail? Errors of other files carry a name, or come as DiskFailed."""
    return error.filename is None and error.errno in _WRITE_ERRORS


def output_failed(error: OSError) -> CommandFailed:
    """The failure for results that could not be written (the disk full, say)."""
    return CommandFailed(f"cannot write the output: {error.strerror or error}")


def emit_json(document: object) -> None:
    """Print one JSON document on one line per top-level call."""
    click.echo(json.dumps(document, ensure_ascii=False))


def emit_rows(output: str, rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    """Print records: all of their keys as JSON, or the named columns (key -> title) as a table."""
    if output == "json":
        emit_json([dict(row) for row in rows])
        return
    cells = [[_cell(row.get(key)) for key in columns] for row in rows]
    _emit_table(list(columns.values()), cells)


def emit_record(output: str, record: Row) -> None:
    """Print one record: as a JSON object, or as lines of `name: value`."""
    if output == "json":
        emit_json(dict(record))
        return
    width = max((len(name) for name in record), default=0) + 1
    for name, value in record.items():
        click.echo(f"{name.replace('_', ' ') + ':':{width}} {_cell(value)}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "-"
    return str(value)


def _emit_table(titles: list[str], cells: list[list[str]]) -> None:
    if sys.stdout.isatty():
        _emit_rich(titles, cells)
        return
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    for line in [titles, *cells]:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _emit_rich(titles: list[str], cells: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*titles, box=box.SIMPLE_HEAD, pad_edge=False)
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))
    Console().print(table)
