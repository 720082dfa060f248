"""Sources that block: some stores and all logins of other programs take a while, as on a dead mount.

Nothing on a local disk blocks by itself in a way that the package would wait for: it opens everything without blocking
and refuses pipes. So the two functions by which its reader comes to a store and a login are replaced in this process by
ones that sleep first. A sleep holds no interpreter lock, like a system call that doesn't return.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator
from typing import Any
from unittest import mock

from openclaw_actors.home.external_cli import read_cli
from openclaw_actors.home.stores.open import read_store

_READER = "openclaw_actors.home.reader"
"""The module that calls both by these names."""


@contextlib.contextmanager
def slow_sources(stores: Collection[str], seconds: float) -> Iterator[list[str]]:
    """Have these stores (agent dirs) and all logins block so long for as long as the `with` lasts.

    Yields a list that grows by the name of each source when it has blocked: whoever measures looks whether it did.
    """
    blocked: list[str] = []

    def slow_store(store: Any, *args: Any, **options: Any) -> Any:
        if str(store) in stores:
            time.sleep(seconds)
            blocked.append(str(store))
        return read_store(store, *args, **options)

    def slow_login(name: str, **options: Any) -> Any:
        time.sleep(seconds)
        blocked.append(name)
        return read_cli(name, **options)

    with mock.patch(f"{_READER}.read_store", slow_store), mock.patch(f"{_READER}.read_cli", slow_login):
        yield blocked
