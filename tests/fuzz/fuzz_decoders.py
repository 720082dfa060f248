"""A coverage-guided fuzzer (atheris) over the decoders. Linux on x86-64 has wheels: `pip install -e '.[fuzz]'`.

    python tests/fuzz/fuzz_decoders.py store -max_total_time=60
    python tests/fuzz/fuzz_decoders.py all -max_total_time=60
    python tests/fuzz/fuzz_decoders.py any -runs=5000 -seed=1

The first argument is a decoder; or `all`, which takes them in turn with the same options (those of libFuzzer); or
`any`, which has the first byte of each input choose one. A folder after it keeps a corpus from run to run. What is
found is written to a file `crash-…` in the working directory, and is repeated by naming that file.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ORACLE = HERE.parent / "data" / "oracle"
NAMES = ("config", "store", "state", "legacy", "dotenv", "models", "logins", "settings", "control", "chat")
MAX_BYTES = 4096
_TIMEOUT_S = 10
_MEMORY_MB = 1024
_INSIDE, _ANY = "--inside", "any"

_FILES = {
    "config": ("openclaw.json",),
    "store": ("auth-profiles.json",),
    "state": ("auth-state.json", "auth-profiles.json"),
    "legacy": ("auth.json", "oauth.json", "auth-profiles.json"),
    "models": ("models.json",),
    "logins": ("auth.json", ".credentials.json", "oauth_creds.json"),
    "dotenv": (".env", "env.json"),
}
_MADE = {
    "config": [
        b'{"$include": ["./included.json5"], "k": "${ACME_KEY} $${X}"}\n\x1e\n{"a": [1]}\n\x1e\n{"b": "x"}\n\x1e\nA=1',
        b'{"secrets": {"providers": {"d": {"source": "file", "path": "~/../home/vault.json"}}}, "models": {"providers":'
        b' {"a": {"apiKey": {"source": "file", "provider": "d", "id": "/b/0"}}}}}\n\x1e\n{}\n\x1e\n{"b": ["x"]}',
        b"// JSON5\n{agents: {list: [{id: 'main', default: true,},],}, n: [0x1F, .5, +1, Infinity, -NaN],}",
    ],
    "dotenv": [b"export A='x # y' # z\nB=\"a\\nb\"\nC: d\n# e\nF=`g`\r\nH = i # j"],
    "models": [b'{"providers": {"acme": {"baseUrl": "https://a", "models": [{"id": "a", "input": ["text"]}]}}}'],
    "logins": [
        b'{"tokens": {"access_token": "a.eyJleHAiOjE4OTM0NTYwMDB9.c", "refresh_token": "r", "account_id": "x"}}',
        b'{"claudeAiOauth": {"accessToken": "a", "refreshToken": "r", "expiresAt": 1893456000000}}',
        b'{"access_token": "a", "refresh_token": "r", "expiry_date": 1893456000000, "id_token": "h.eyJzdWIiOiIxIn0.s"}',
    ],
    "control": [
        b'{"version": 1, "op": "recheck", "provider": "openai", "agent": null, "wait_s": 1.5}',
        b'{"answer": "refused", "version": 1, "error": "busy", "message": "later"}',
        b'{"answer": "rechecked", "version": 1, "pid": 1, "instance": "i", "generation": 2, "answered": true,'
        b' "took_ms": 1, "agents": {}, "counts": {}}',
    ],
    "chat": [
        b"/models",
        b"/models@the_bot list ACME page=2 LIMIT=3 --all",
        b"/models acme size=101 7 all",
        b"/models add acme",
        b"mdl_mdUUUZsPJ6_k5Fa61IHIEny6xaR9-d1y.1.vQfvabcd",
        b"acme/a",
    ],
    "state": [
        b'{"version": 1, "usageStats": {"openai:work": {"cooldownUntil": 1893456000000, "failureCounts": {"x": 1}}}}'
    ],
}


def seeds(name: str) -> list[bytes]:
    """Return what a decoder's fuzzing starts from: the homes of the oracle, the settings that ship, some made up."""
    if name == _ANY:
        return [bytes([number]) + data for number, one in enumerate(NAMES) for data in seeds(one)]
    found = list(_MADE.get(name, []))
    for file_name in _FILES.get(name, ()):
        found += [path.read_bytes() for path in sorted(ORACLE.rglob(file_name))]
    if name == "settings":
        shown = (HERE.parents[1] / "config" / "settings.toml").read_text("utf-8")
        found += [shown.encode(), "\n".join(line.removeprefix("# ") for line in shown.splitlines()).encode()]
    return sorted({data[:MAX_BYTES] for data in found})


def main(arguments: list[str]) -> int:
    """Fuzz one decoder, or all in turn; return the exit status of the first that failed."""
    if not arguments or arguments[0] not in (*NAMES, _ANY, "all"):
        print(f"which one? {', '.join(NAMES)}, {_ANY} or all", file=sys.stderr)
        return 2
    for name in NAMES if arguments[0] == "all" else arguments[:1]:
        # in a process of its own: libFuzzer ends the one that it runs in, and what that made stays
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
            print(f"== {name}", flush=True)
            done = subprocess.run([sys.executable, __file__, _INSIDE, folder, name, *arguments[1:]], check=False)
        if done.returncode:
            return done.returncode
    return 0


def _fuzz(folder: Path, name: str, options: list[str]) -> None:
    """Fuzz one decoder; doesn't return."""
    import atheris

    with atheris.instrument_imports(include=["openclaw_actors", "tomllib"]):
        sys.path.insert(0, str(HERE))
        from decoders import Decoders

    corpus, work = folder / "corpus", folder / "work"
    corpus.mkdir()
    work.mkdir()
    for number, data in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(data)
    decoders = Decoders(work)
    limits = [f"-max_len={MAX_BYTES}", f"-timeout={_TIMEOUT_S}", f"-rss_limit_mb={_MEMORY_MB}"]
    # what is found goes into the first folder named: a person's, if there is one
    theirs = [one for one in options if not one.startswith("-")]
    ours = [] if any(Path(one).is_file() for one in theirs) else [str(corpus)]
    flags = [one for one in options if one.startswith("-")]

    def decode(data: bytes) -> None:
        if name != _ANY:
            decoders.run(name, data)
        elif data:
            decoders.run(NAMES[data[0] % len(NAMES)], data[1:])

    atheris.Setup([__file__, *limits, *flags, *theirs, *ours], decode)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == [_INSIDE]:
        _fuzz(Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
    sys.exit(main(sys.argv[1:]))
