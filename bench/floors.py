"""Floors: the least work that could answer, so that figures have something to stand on."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

import msgspec

_DIGEST_BYTES = 16
"""As the package has it (home/digest.py)."""


class _Profile(msgspec.Struct, gc=False):
    """What any reader of a store has to look at."""

    type: str = ""
    provider: str = ""
    key: str | None = None
    token: str | None = None
    access: str | None = None
    refresh: str | None = None
    expires: float | None = None

    def __repr__(self) -> str:
        return "_Profile(<secret>)"


class _Store(msgspec.Struct, gc=False):
    profiles: dict[str, msgspec.Raw]

    def __repr__(self) -> str:
        return "_Store(<secrets>)"


_STORE = msgspec.json.Decoder(_Store).decode
_PROFILE = msgspec.json.Decoder(_Profile).decode


def read_and_decode(paths: Iterable[str]) -> int:
    """Read store files, decode each profile with msgspec and make one keyed digest of each secret, on this thread;
    return how many digests. Nothing is kept, compared or looked at twice. Profiles are decoded one by one, so that one
    that is broken doesn't sink its store: no reader may do less.
    """
    key, digests, blake2b = secrets.token_bytes(32), 0, hashlib.blake2b
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            store = _STORE(file.read())
        for raw in store.profiles.values():
            profile = _PROFILE(raw)
            for secret in (profile.key, profile.token, profile.access, profile.refresh):
                if secret:
                    blake2b(secret.encode(), digest_size=_DIGEST_BYTES, key=key).digest()
                    digests += 1
    return digests
