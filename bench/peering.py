"""Where the figures of peers come in. `bench.peers`, where it exists, has the peers themselves:

- `names() -> Iterable[str]`: which peers there are;
- `measure(name, kind, crowd, rounds, say) -> list[Series]`: what one of them takes for a kind of scenario on a home,
  with role `peer`; empty when the kind asks nothing that it could answer. A peer that isn't installed is an error that
  names the command which installs it.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from bench.crowd import Crowd
from bench.results import Series


def peer_names() -> tuple[str, ...]:
    """Return the peers that this bench knows."""
    peers = _peers()
    return tuple(peers.names()) if peers is not None else ()


def peer_series(name: str, kind: str, crowd: Crowd, rounds: int, say: Callable[[str], None]) -> list[Series]:
    """Return a peer's figures for a kind of scenario on a home.

    Raises:
        LookupError: There is no such peer.
    """
    peers = _peers()
    if peers is None:
        raise LookupError(f"there is no peer {name!r}")
    found: list[Series] = peers.measure(name, kind, crowd, rounds, say)
    return found


def _peers() -> Any:
    if importlib.util.find_spec("bench.peers") is None:
        return None
    return importlib.import_module("bench.peers")
