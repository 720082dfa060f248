"""Small documents that could cost much: deep, long, repeated, multiplied. As a script it has each decoded, in turn."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from decoders import SEPARATOR, Decoders

DEEP = 100_000
_VAULT = json.dumps({"secrets": {"providers": {"disk": {"source": "file", "path": "~/../home/vault.json"}}}}).encode()


def _included(times: int, document: bytes) -> bytes:
    return b'{"$include": [' + b",".join([b'"./included.json5"'] * times) + b"]}" + SEPARATOR + document


def _deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def _in_vault(document: bytes) -> bytes:
    return _VAULT + SEPARATOR + b"{}" + SEPARATOR + document


BOMBS: dict[str, tuple[str, bytes]] = {
    "a long variable that is named often": (
        "config",
        json.dumps({"env": {"A": "x" * 1_000_000}, "k": "${A}" * 200_000}).encode(),
    ),
    "many variables that are not set": ("config", json.dumps({"k": ["${A}"] * 20_000}).encode()),
    "one file included often": ("config", _included(250, json.dumps({"a": "x" * 60_000}).encode())),
    "brackets in an included file": ("config", _included(250, b'{"a": [' + b"[]," * 1_000 + b"]}")),
    "an include below an include": (
        "config",
        b'{"a":' * 120 + b'{"$include": "./included.json5"}' + b"}" * 120 + SEPARATOR + _deep(126),
    ),
    "objects as deep as may be": ("config", _deep(127)),
    "brackets that never end": ("config", b'{"a":' + b"[" * DEEP),
    "a number of 100,000 hexadecimal digits": ("config", b'{"secrets": {"a": 0x' + b"f" * DEEP + b"}}"),
    "a number of 1,900,000 digits": ("config", b'{"secrets": {"a": ' + b"9" * 1_900_000 + b"}}"),
    "comments in comments": ("config", b"/*" * 900_000),
    "many escapes": ("config", b'{"a": "' + b"\\u0041" * 300_000 + b'"}'),
    "many providers": (
        "config",
        json.dumps({"models": {"providers": {f"p{n}": {"apiKey": "k"} for n in range(1_000)}}}).encode(),
    ),
    "a deep file of secrets": ("config", _in_vault(_deep(5_000))),
    "a file of secrets that Python can just take": ("config", _in_vault(_deep(900))),
    "a long number among secrets": ("config", _in_vault(b'{"a": ' + b"9" * 900_000 + b"}")),
    "a deep store": ("store", b'{"profiles": {"a": ' + b"[" * DEEP + b"]" * DEEP + b"}}"),
    "a deep key": (
        "store",
        b'{"profiles": {"a:b": {"type":"api_key","provider":"a","key": ' + b"[" * 900 + b"]" * 900 + b"}}}",
    ),
    "a store of brackets": ("store", b"[" * 2_000_000),
    "a long expiry": (
        "store",
        b'{"profiles": {"a": {"type":"api_key","provider":"a","key":"k","expires": ' + b"9" * 1_000_000 + b"}}}",
    ),
    "many profiles": (
        "store",
        json.dumps(
            {"profiles": {f"p:{n}": {"type": "api_key", "provider": "p", "key": "k"} for n in range(1_000)}}
        ).encode(),
    ),
    "a deep state": ("state", b'{"usageStats": {"a": ' + b'{"a":' * DEEP),
    "a long window": ("state", b'{"usageStats": {"openai:work": {"cooldownUntil": ' + b"9" * 4_000 + b"}}}"),
    "deep models": ("models", b'{"providers": {"a": ' + b"[" * DEEP + b"]" * DEEP + b"}}"),
    "inputs that are lists": ("models", b'{"providers": {"a": {"models": [{"id": "a", "input": [["text"], {}]}]}}}'),
    "a long context window": (
        "models",
        b'{"providers": {"a": {"models": [{"id": "a", "contextWindow": ' + b"9" * 4_000 + b"}]}}}",
    ),
    "a deep login": ("logins", b"[" * DEEP),
    "a login for ever": (
        "logins",
        b'{"claudeAiOauth": {"accessToken": "a", "refreshToken": "r", "expiresAt": ' + b"9" * 400 + b"}}",
    ),
    "deep settings": ("settings", b"x = " + b"[" * 60_000),
    "settings in settings": ("settings", b"x = " + b"{a=" * 20_000),
    "a key of very many parts": ("settings", b"a." * 100_000 + b"b = 1"),
    "a key of many parts": ("settings", b"a." * 30_000 + b"b = 1"),
    "a setting of 5,000 digits": ("settings", b"read_threads = " + b"9" * 5_000),
    "a setting beyond any float": ("settings", b"source_deadline_s = 0x" + b"f" * 5_000),
    "a setting beyond any clock": ("settings", b"source_deadline_s = 1e300"),
    "a deep request": ("control", b'{"version": 1, "op": ' + b"[" * 30_000),
    "a request that is no UTF-8": ("control", b'{"version": 1, "op": "\xff"}'),
    "a long version": ("control", b'{"version": ' + b"9" * 5_000 + b', "op": "recheck"}'),
    "quotes that don't close": ("dotenv", b"A='\\'\n" * 70_000),
    "three kinds of quotes": ("dotenv", b"A='x\nB=\"y\nC=`z\n" * 30_000),
    "a long line": ("dotenv", b"A" * 500_000 + b"\n" + b" " * 500_000 + b"\n" + b"export " * 70_000),
}
"""What it is → decoder, bytes."""

MEMORY_BYTES = 1536 * 1024 * 1024
"""How much address space the decoding process has: some 400 MiB of it are there before the first document."""
LONGEST_S = 20.0
"""How much processor time one document may take, in seconds, on a slow and busy machine."""


def main() -> int:
    """Decode all of them with bounded memory; return 1 when one took too long. An exception ends it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    slow = 0
    with tempfile.TemporaryDirectory() as folder:
        decoders = Decoders(Path(folder))
        for what, (name, data) in BOMBS.items():
            print(f"{name}: {what}", flush=True)
            began = time.process_time()
            decoders.run(name, data)
            took = time.process_time() - began
            if took > LONGEST_S:
                print(f"{name}: {what} took {took:.0f} s", file=sys.stderr)
                slow = 1
    print("all decoded")
    return slow


if __name__ == "__main__":
    sys.exit(main())
