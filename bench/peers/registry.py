"""Which peers there are, by name."""

from __future__ import annotations

from bench.peers.litellm import LiteLLMPeer
from bench.peers.openclaw.peer import OPENCLAW
from bench.peers.protocol import Peer, PeerError

_PEERS: tuple[Peer, ...] = (*OPENCLAW, LiteLLMPeer())


def names() -> tuple[str, ...]:
    """Return the names of all peers, `openclaw@2026.5.22` for example."""
    return tuple(peer.name for peer in _PEERS)


def find(name: str) -> tuple[Peer, ...]:
    """Return the peer of a name; for a name without its version, all versions.

    Raises:
        PeerError: There is none.
    """
    found = tuple(peer for peer in _PEERS if name in (peer.name, peer.name.partition("@")[0]))
    if not found:
        raise PeerError(f"there is no peer {name!r}; there are: {', '.join(names())}")
    return found
