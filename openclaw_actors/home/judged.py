"""What a file of secrets says, without the secrets: a judgement in the place of each text, digests in that of each key.

The structure is the file's own, so that a JSON pointer leads to the same leaf in either.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

import msgspec

from openclaw_actors.home.digest import Digester
from openclaw_actors.home.facts import KeyFacts

_INDEX = re.compile(r"\s*([+-]?\d+)", re.ASCII)


class Judgement(msgspec.Struct, frozen=True):
    """What is known of one text in a file of secrets; holds no secret.

    A form other than a bare variable name or a marker is that of the reference which leads here; its name is left out,
    for nothing here knows which reference that is.
    """

    configured: KeyFacts
    """What it is where the config refers to it."""
    stored: KeyFacts
    """What it is where a store refers to it."""


NO_SECRET: Final = Judgement(KeyFacts(), KeyFacts())
"""A blank text, a number, true or false: something stands there and is no secret."""

Judge: TypeAlias = Callable[[str], Judgement]
Tree: TypeAlias = "Judgement | dict[bytes, Tree] | list[Tree] | None"
"""None is JSON's null; at the root it is nothing at all."""


def judged(document: object, judge: Judge, digester: Digester) -> Tree:
    """Judge all texts of a JSON document. It needs no deep stack, however deep the document is."""
    root: list[Tree] = [None]
    pending: list[tuple[object, Any, int | bytes]] = [(document, root, 0)]
    while pending:
        value, into, place = pending.pop()
        found: Tree = None
        if isinstance(value, dict):
            found = {}
            pending.extend((below, found, digester(key)) for key, below in value.items())
        elif isinstance(value, list):
            found = [None] * len(value)
            pending.extend((below, found, index) for index, below in enumerate(value))
        elif value is not None:
            found = judge(value) if isinstance(value, str) and value.strip() else NO_SECRET
        into[place] = found
    return root[0]


def follow(tree: Tree, pointer: str, digester: Digester) -> Tree:
    """Return what a JSON pointer leads to; None when it leads nowhere.

    Like OpenClaw (2026.5.22, json-pointer.ts), it takes the number that an array's segment begins with. The digester
    is the one that the tree was made with.
    """
    return cast("Tree", _follow(tree, pointer, digester))


def follow_raw(document: object, pointer: str) -> object:
    """Return what a JSON pointer leads to in the document itself; None when it leads nowhere."""
    return _follow(document, pointer, str)


def _follow(tree: object, pointer: str, key_of: Callable[[str], str | bytes]) -> object:
    if not pointer.startswith("/"):
        return None
    for segment in pointer[1:].split("/"):
        key = segment.replace("~1", "/").replace("~0", "~")
        if isinstance(tree, list):
            found = _INDEX.match(key)
            index = int(found[1]) if found and len(found[1]) < 10 else -1
            tree = tree[index] if 0 <= index < len(tree) else None
        elif isinstance(tree, dict):
            tree = tree.get(key_of(key))
        else:
            return None
    return tree


def digest_of(tree: Tree, digester: Digester) -> bytes:
    """Return a keyed digest of structure and judgements; it doesn't depend on the order of keys."""
    parts: list[bytes] = []
    pending: list[Tree] = [tree]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            keys = sorted(one)
            parts += (b"{%d" % len(keys), *keys)
            pending.extend(one[key] for key in keys)
        elif isinstance(one, list):
            parts.append(b"[%d" % len(one))
            pending.extend(one)
        else:
            parts.append(msgspec.msgpack.encode(one))
    return digester.of_parts(*parts)
