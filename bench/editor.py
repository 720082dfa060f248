"""A second process that replaces files when told to, and says when: a login by another program, as the package sees it.

The moment is taken by the monotonic clock, which all processes of a machine share on Linux, just before the rename.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from bench.scenario import ROOT

_END_S = 5.0


class Replacement(msgspec.Struct, frozen=True):
    """One file's new text."""

    path: str
    text: str

    def __repr__(self) -> str:
        return f"Replacement({self.path!r}, <text>)"


class Editor:
    """Runs the second process for as long as the `with` lasts. For one thread."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.editor"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def replace(self, path: Path, text: str) -> float:
        """Have a file replaced; return when that was (`time.monotonic`)."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(msgspec.json.encode(Replacement(str(path), text)) + b"\n")
        stdin.flush()
        return msgspec.json.decode(stdout.readline(), type=float)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Be the second process."""
    for line in sys.stdin.buffer:
        wanted = msgspec.json.decode(line, type=Replacement)
        temporary = f"{wanted.path}.{os.getpid()}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(wanted.text)
        renamed_at = time.monotonic()
        os.replace(temporary, wanted.path)
        sys.stdout.buffer.write(msgspec.json.encode(renamed_at) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
