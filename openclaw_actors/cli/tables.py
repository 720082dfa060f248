"""Tables and lines: with colour on a terminal, plain columns otherwise. rich is imported for a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TextIO

from openclaw_actors.cli.text import clean

if TYPE_CHECKING:
    from rich.console import Console

Styled = tuple[str, str]
"""A text and its style (of rich; empty for none)."""

_WRAPPED_WIDTH = 24
"""How much room the last column needs at least, in characters."""


def is_terminal(stream: TextIO | None = None) -> bool:
    """Tell whether the output is a terminal."""
    return (stream or sys.stdout).isatty()


def ascii_only() -> bool:
    """Tell whether the output can't carry symbols."""
    return not (sys.stdout.encoding or "ascii").lower().replace("-", "").startswith("utf")


def write_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[Styled]],
    *,
    numbers: frozenset[int] = frozenset(),
    expendable: Sequence[int] = (),
) -> None:
    """Print a table; the columns in `numbers` are flushed right.

    On a terminal it is fitted to its width: the `expendable` columns are left out one after the other, then the last
    column is wrapped. Elsewhere columns are as wide as they need to be and nothing is left out.
    """
    if is_terminal():
        _write_rich(headers, rows, numbers, expendable)
    else:
        for line in plain_table(headers, [[text for text, _ in row] for row in rows], numbers):
            sys.stdout.write(line + "\n")


def plain_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], numbers: frozenset[int] = frozenset()
) -> list[str]:
    """Return the lines of a table: two spaces between columns, none at the end of a line."""
    cells = [[header.upper() for header in headers], *([clean(text) or "-" for text in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    return [
        "  ".join(
            text.rjust(width) if column in numbers else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def write_line(*parts: Styled) -> None:
    """Print one line of styled texts and flush it."""
    if is_terminal():
        from rich.text import Text

        _console().print(Text.assemble(*((clean(text), style) for text, style in parts)), soft_wrap=True)
    else:
        sys.stdout.write("".join(clean(text) for text, _ in parts) + "\n")
    sys.stdout.flush()


def kept_columns(widths: Sequence[int], room: int, expendable: Sequence[int]) -> list[int]:
    """Return the columns that fit into so much room, two blanks between them; the last one may be wrapped."""
    kept = list(range(len(widths)))
    for column in expendable:
        needed = sum(widths[one] + 2 for one in kept[:-1]) + min(widths[-1], _WRAPPED_WIDTH)
        if needed <= room:
            break
        kept.remove(column)
    return kept


def _write_rich(
    headers: Sequence[str], rows: Sequence[Sequence[Styled]], numbers: frozenset[int], expendable: Sequence[int]
) -> None:
    from rich.table import Table
    from rich.text import Text

    console = _console()
    texts = [[Text(clean(text), style) for text, style in row] for row in rows]
    widths = [
        max(len(header), *(row[column].cell_len for row in texts)) if texts else len(header)
        for column, header in enumerate(headers)
    ]
    kept = kept_columns(widths, console.width, expendable)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    for column in kept:
        last = column == kept[-1]
        justify: Literal["left", "right"] = "right" if column in numbers else "left"
        table.add_column(headers[column], justify=justify, no_wrap=not last, overflow="fold" if last else "ellipsis")
    for row in texts:
        table.add_row(*(row[column] for column in kept))
    console.print(table)


def _console() -> Console:
    from rich.console import Console

    # rich itself honours NO_COLOR; markup and highlighting stay off, since names come from files
    return Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
