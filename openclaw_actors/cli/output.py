"""How the commands print JSON."""

from __future__ import annotations

import sys

import msgspec


def write_json(value: object, *, line: bool = False) -> None:
    """Print a value as JSON: indented, or as one line that is flushed at once."""
    raw = msgspec.json.encode(value)
    text = (raw if line else msgspec.json.format(raw, indent=2)).decode()
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
