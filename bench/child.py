"""One measurement in a fresh interpreter: nothing that was imported, cached or allocated before takes part in it.

`python -m bench.child MODULE:FUNCTION` reads the function's one argument as JSON from stdin and writes what it returns
as JSON to stdout; `call_in_child` is the other side of that. What the function prints goes to stderr.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import typing
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from bench.rounds import Interrupted
from bench.scenario import ROOT

A = TypeVar("A")
R = TypeVar("R")

_LOOK_S = 0.2
_SHOWN_LINES = 12


class ChildError(Exception):
    """A measurement failed; the text has the end of its stderr."""


def call_in_child(
    function: Callable[[A], R], argument: A, *, timeout_s: float = 600.0, is_over: Callable[[], bool] = lambda: False
) -> R:
    """Call a function in a fresh interpreter and return what it gives.

    Args:
        function: Of a module's top level, with types for its one parameter and its result.
        argument: What msgspec can encode.
        timeout_s: After which it is ended, in seconds.
        is_over: Asked a few times a second; true ends the child.

    Raises:
        ChildError: It failed, or took too long.
        Interrupted: `is_over` said so.
    """
    name = f"{function.__module__}:{function.__qualname__}"
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.child", name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,  # Ctrl-C is for the parent, which ends it
    )
    text: bytes | None = msgspec.json.encode(argument)
    waited_s = 0.0
    try:
        while True:
            try:
                out, err = process.communicate(text, timeout=_LOOK_S)
                break
            except subprocess.TimeoutExpired:
                text, waited_s = None, waited_s + _LOOK_S
                if is_over():
                    raise Interrupted from None
                if waited_s > timeout_s:
                    raise ChildError(f"{name}: not done after {timeout_s:g} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode:
        tail = "\n".join(err.decode("utf-8", "replace").splitlines()[-_SHOWN_LINES:])
        raise ChildError(f"{name}: exit status {process.returncode}\n{tail}")
    result: R = msgspec.json.decode(out, type=typing.get_type_hints(function)["return"])
    return result


def main(name: str) -> None:
    """Be the child."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    module, _, attribute = name.partition(":")
    function: Callable[[Any], Any] = getattr(importlib.import_module(module), attribute)
    hints = typing.get_type_hints(function)
    (parameter,) = (hint for key, hint in hints.items() if key != "return")
    argument = msgspec.json.decode(sys.stdin.buffer.read(), type=parameter)
    with answer:
        answer.write(msgspec.json.encode(function(argument)))


if __name__ == "__main__":
    main(sys.argv[1])
