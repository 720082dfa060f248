"""Keyed digests: how secrets are compared without being kept."""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import final

_DIGEST_BYTES = 16


@final
class Digester:
    """Makes keyed digests; two digesters with different keys never agree on a secret.

    The key is made per process unless one is given (a fleet may share one). Safe on any thread.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key if key is not None else secrets.token_bytes(32)

    def __call__(self, secret: str | bytes) -> bytes:
        """Return the 16-byte keyed digest of one secret (BLAKE2b)."""
        raw = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret
        return blake2b(raw, digest_size=_DIGEST_BYTES, key=self._key).digest()

    def of_parts(self, *parts: str | bytes) -> bytes:
        """Return one digest of several parts; each is length-prefixed, so that parts can't run into each other."""
        joined = bytearray()
        for part in parts:
            raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
            joined += len(raw).to_bytes(8, "big") + raw
        return self(bytes(joined))

    def __repr__(self) -> str:
        return "Digester(<key>)"

    def __reduce__(self) -> str:
        raise TypeError("a Digester holds a key and is not pickled")
