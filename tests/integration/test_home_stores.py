"""Reading whole homes: SQLite stores in every state, no traces left, no secret let out (formats 3.11)."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from openclaw_actors.errors import ConfigError, HomeError, StoreUnreadableError
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.facts import StoreFacts
from openclaw_actors.home.opaque import OpaqueEnv
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.home.secrets import Resolver, SecretRules
from openclaw_actors.home.stores.sqlite import read_sqlite_store
from openclaw_actors.ids import StoreId

CANARY = "CANARY-e1f8"
DATABASE = "openclaw-agent.sqlite"

SCHEMA = """
PRAGMA journal_mode={mode};
CREATE TABLE auth_profile_store(
    store_key TEXT PRIMARY KEY, store_json TEXT NOT NULL, updated_at INTEGER NOT NULL) STRICT;
CREATE TABLE auth_profile_state(
    state_key TEXT PRIMARY KEY, state_json TEXT NOT NULL, updated_at INTEGER NOT NULL) STRICT;
"""

OWNER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.executescript(sys.argv[2])
db.execute("INSERT OR REPLACE INTO auth_profile_store VALUES ('primary', ?, 1)", (sys.argv[3],))
print("ready", flush=True)
for line in sys.stdin:
    db.execute("INSERT OR REPLACE INTO auth_profile_store VALUES ('primary', ?, 1)", (line.strip(),))
    print("written", flush=True)
"""


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have temporary files in a folder of the test's own: what others do in theirs is no leftover of ours."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))


def profiles(*ids: str) -> str:
    entries = {
        profile_id: {"type": "api_key", "provider": profile_id.split(":")[0], "key": CANARY} for profile_id in ids
    }
    return json.dumps({"version": 1, "profiles": entries})


def tree(root: Path) -> dict[str, tuple[str, int, int]]:
    return {
        str(path.relative_to(root)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns,
            path.stat().st_ino,
        )
        for path in sorted(root.rglob("*"))
    }


def read(folder: Path) -> StoreFacts:
    """Read a store and prove that nothing was written, created or left, here or in the temp folder."""
    before, temporary = tree(folder), set(Path(tempfile.gettempdir()).glob("openclaw-actors-*"))
    reader = HomeReader(folder, env={"HOME": str(folder)}, cwd=str(folder))
    facts = reader.read_store(StoreId(str(folder)))
    assert tree(folder) == before
    assert set(Path(tempfile.gettempdir()).glob("openclaw-actors-*")) <= temporary
    assert CANARY not in repr(facts)
    return facts


def closed_database(folder: Path, *ids: str, mode: str = "wal", state: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / DATABASE
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(SCHEMA.format(mode=mode))
    connection.execute("INSERT INTO auth_profile_store VALUES ('primary', ?, 1)", (profiles(*ids),))
    if state:
        connection.execute("INSERT INTO auth_profile_state VALUES ('primary', ?, 1)", (state,))
    connection.close()
    return path


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / DATABASE), SCHEMA.format(mode="wal"), profiles("openai:a")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline().strip() == "ready"
    yield process
    process.kill()
    process.wait(10)
    process.stdin.close()
    process.stdout.close()


def tell(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()
    assert process.stdout.readline().strip() == "written"


def ids(facts: StoreFacts) -> list[str]:
    return [profile.id for profile in facts.profiles]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_closed_database_is_read_in_place(tmp_path: Path, mode: str) -> None:
    """No log, no index: both rows are read, and the JSON files beside it don't count."""
    closed_database(tmp_path, "openai:a", mode=mode, state='{"usageStats": {"openai:a": {"errorCount": 2}}}')
    (tmp_path / "auth-profiles.json").write_text(profiles("groq:json"))
    facts = read(tmp_path)
    assert (facts.kind, ids(facts)) == ("sqlite", ["openai:a"])
    assert facts.usage[0][1].error_count == 2
    assert facts.depends_on == (str(tmp_path / DATABASE), str(tmp_path / DATABASE) + "-wal")


def test_a_live_owners_log_is_read_without_touching_it(tmp_path: Path, owner: subprocess.Popen[str]) -> None:
    """What a running gateway has committed is seen at once, and the log and its index stay as they are."""
    assert ids(read(tmp_path)) == ["openai:a"]
    tell(owner, profiles("openai:a", "groq:b"))
    assert ids(read(tmp_path)) == ["openai:a", "groq:b"]
    tell(owner, profiles())
    assert ids(read(tmp_path)) == []


def test_a_dead_owners_log_is_read_without_touching_it(tmp_path: Path, owner: subprocess.Popen[str]) -> None:
    """After a crash the log holds what the database lacks, with or without its index; no reader recovers on disk."""
    tell(owner, profiles("zai:late"))
    owner.kill()
    owner.wait(10)
    assert ids(read(tmp_path)) == ["zai:late"]
    (tmp_path / (DATABASE + "-shm")).unlink()
    assert ids(read(tmp_path)) == ["zai:late"]


def test_a_database_without_a_store_leaves_it_to_the_json_files(tmp_path: Path) -> None:
    """No row, no table or an empty file: the JSON files count, and the database is still depended on."""
    (tmp_path / "auth-profiles.json").write_text(profiles("groq:json"))
    (tmp_path / DATABASE).touch()
    facts = read(tmp_path)
    assert (facts.kind, ids(facts)) == ("json", ["groq:json"])
    assert str(tmp_path / DATABASE) in facts.depends_on
    (tmp_path / DATABASE).unlink()
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.execute("CREATE TABLE x(y)")
    connection.close()
    assert read(tmp_path).kind == "json"


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + b"\xff" * 4000, b"CANARY-e1f8 is no database" * 99])
def test_a_damaged_database_is_unreadable(tmp_path: Path, content: bytes) -> None:
    """It says so, and doesn't fall back to files that no longer count."""
    (tmp_path / DATABASE).write_bytes(content)
    with pytest.raises(StoreUnreadableError, match="SQLite can't read it") as raised:
        read(tmp_path)
    assert CANARY not in str(raised.value)
    (tmp_path / DATABASE).unlink()
    (tmp_path / DATABASE).mkdir()
    with pytest.raises(StoreUnreadableError):
        read(tmp_path)


def test_a_broken_row_is_unreadable_and_one_of_another_shape_is_a_finding(tmp_path: Path) -> None:
    """Torn text keeps the last good answer; valid JSON that is no store is an empty one, said aloud."""
    path = closed_database(tmp_path, "openai:a")
    for text, wanted in (
        (f'{{"profiles": {{"a": "{CANARY}', "error"),
        ("[]", "finding"),
        ('{"profiles": 3}', "finding"),
    ):
        connection = sqlite3.connect(path)
        connection.execute("UPDATE auth_profile_store SET store_json = ?", (text,))
        connection.commit()
        connection.close()
        if wanted == "error":
            with pytest.raises(StoreUnreadableError) as raised:
                read(tmp_path)
            assert CANARY not in str(raised.value)
        else:
            assert [finding.code for finding in read(tmp_path).findings] == ["invalid-store"]


def test_a_log_that_is_too_large_to_copy_is_said(tmp_path: Path, owner: subprocess.Popen[str]) -> None:
    """The bound on copying is kept."""
    owner.kill()
    owner.wait(10)
    (tmp_path / (DATABASE + "-shm")).unlink()
    resolver = Resolver(OpaqueEnv({}), SecretRules(), Digester())
    with pytest.raises(StoreUnreadableError, match="larger than 10 bytes"):
        read_sqlite_store(StoreId(str(tmp_path)), resolver, copy_limit=10)


def test_a_store_that_is_replaced_all_the_time_is_never_torn(tmp_path: Path) -> None:
    """While another writer renames whole files into place, each reading is one of the whole versions."""
    folder, stop = tmp_path, threading.Event()
    versions = [profiles(*(f"p:{number}" for number in range(count))) for count in (1, 40)]

    def replace(text: str) -> None:
        (folder / "new").write_text(text)
        os.replace(folder / "new", folder / "auth-profiles.json")

    def write() -> None:
        while not stop.is_set():
            for text in versions:
                replace(text)

    replace(versions[0])
    writer = threading.Thread(target=write)
    writer.start()
    reader = HomeReader(folder, env={}, cwd=str(folder))
    try:
        seen, problems = set(), set()
        for _ in range(100):
            try:
                seen.add(len(reader.read_store(StoreId(str(folder))).profiles))
            except StoreUnreadableError as error:
                problems.add(error.problem)
    finally:
        stop.set()
        writer.join(10)
    assert seen <= {1, 40}
    assert problems <= {"its files kept changing while they were read"}


def test_no_secret_leaves_the_room(tmp_path: Path) -> None:
    """Canaries in every source appear in no fact, no repr, no error text; the reader can't be pickled."""
    state = tmp_path / ".openclaw"
    main = state / "agents/main/agent"
    main.mkdir(parents=True)
    jwt = f"{CANARY}.{CANARY}.{CANARY}"
    files: dict[str, object] = {
        ".openclaw/openclaw.json": {
            "env": {"VENICE_API_KEY": CANARY, "vars": {"X": CANARY}},
            "gateway": {"auth": {"token": CANARY}},
            "models": {
                "providers": {
                    "p": {
                        "apiKey": CANARY,
                        "baseUrl": f"https://{CANARY}:{CANARY}@h/?k={CANARY}",
                        "headers": {"a": CANARY},
                    },
                    "q": {"apiKey": "${K}", "baseUrl": "https://h/?k=${K}"},
                    "r": {"apiKey": {"source": "env", "id": f"sk-{CANARY}"}},
                    "s": {"apiKey": f"oauth:{CANARY}"},
                }
            },
            "secrets": {"providers": {"e": {"source": "exec", "command": CANARY}}},
            "tools": {"web": {"search": {"grok": {"apiKey": CANARY}}}},
        },
        ".openclaw/.env": f"GROQ_API_KEY={CANARY}\n",
        ".openclaw/agents/main/agent/auth-profiles.json": {
            "profiles": {
                "a:1": {
                    "type": "api_key",
                    "provider": "a",
                    "key": CANARY,
                    "email": f"{CANARY}@x",
                    "metadata": {"m": CANARY},
                },
                "a:2": {"type": "token", "provider": "a", "token": CANARY},
                "a:3": {
                    "type": "oauth",
                    "provider": "a",
                    "access": CANARY,
                    "refresh": CANARY,
                    "idToken": jwt,
                    "accountId": CANARY,
                },
                "a:4": {"type": CANARY, "provider": CANARY, "key": CANARY},
            }
        },
        ".openclaw/credentials/oauth.json": {"c": {"access": CANARY}},
        ".codex/auth.json": {
            "tokens": {"access_token": jwt, "refresh_token": CANARY, "account_id": CANARY, "id_token": jwt}
        },
        ".claude/.credentials.json": {"claudeAiOauth": {"accessToken": CANARY, "refreshToken": CANARY, "expiresAt": 1}},
        ".minimax/oauth_creds.json": {"access_token": CANARY, "refresh_token": CANARY, "expiry_date": CANARY},
        ".gemini/oauth_creds.json": {
            "access_token": CANARY,
            "refresh_token": CANARY,
            "expiry_date": 1,
            "id_token": jwt,
        },
        ".aws/credentials": CANARY,
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    env = {"HOME": str(tmp_path), "OPENAI_API_KEY": CANARY, "K": CANARY}
    reader = HomeReader(env=env, cwd=str(tmp_path))
    before = tree(tmp_path)
    facts: list[object] = [reader.read_home(), reader.read_store(StoreId(str(main)))]
    facts += [reader.read_cli(name) for name in reader.CLI_NAMES]
    facts += [reader.read_store(StoreId(str(tmp_path / "none")))]
    assert tree(tmp_path) == before
    shown = repr(facts) + repr(reader) + repr(vars(reader)) + msgspec.json.encode(facts).decode()
    assert CANARY not in shown
    assert env == {"HOME": str(tmp_path), "OPENAI_API_KEY": CANARY, "K": CANARY}
    with pytest.raises(TypeError):
        pickle.dumps(reader)
    errors: list[HomeError] = []
    for name in (".openclaw/openclaw.json", ".openclaw/agents/main/agent/auth-profiles.json"):
        text = (tmp_path / name).read_text()
        for cut in range(0, len(text), 7):
            (tmp_path / name).write_text(text[:cut])
            try:
                reader.read_home()
                reader.read_store(StoreId(str(main)))
            except HomeError as error:
                errors.append(error)
        (tmp_path / name).write_text(text)
    assert len(errors) > 50
    assert all(error.__context__ is None for error in errors)
    assert CANARY not in repr([(str(error), error.args, vars(error)) for error in errors])


def test_references_in_a_store_follow_the_last_good_config(tmp_path: Path) -> None:
    """Rules and variables of a config hold for stores once it was read; a broken one changes nothing."""
    (tmp_path / "auth-profiles.json").write_text(
        json.dumps(
            {
                "profiles": {
                    "p:1": {"type": "api_key", "provider": "p", "keyRef": {"source": "env", "provider": "v", "id": "K"}}
                }
            }
        )
    )
    reader = HomeReader(tmp_path, env={"HOME": str(tmp_path)}, cwd=str(tmp_path))
    store = StoreId(str(tmp_path))

    def resolved() -> bool:
        return reader.read_store(store).profiles[0].key.resolved

    assert not resolved()
    config = tmp_path / "openclaw.json"
    config.write_text("{env: {K: 'x'}, secrets: {providers: {v: {source: 'env'}}}}")
    reader.read_home()
    assert resolved()
    config.write_text("{")
    with pytest.raises(ConfigError):
        reader.read_home()
    assert resolved()
    config.write_text("{}")
    reader.read_home()
    assert not resolved()


def test_the_environment_is_replaced_on_request_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None takes the process's variables again only if they came from there; a given mapping counts always."""
    monkeypatch.setenv("GROQ_API_KEY", "one")
    given = HomeReader(tmp_path, env={"GROQ_API_KEY": "given"}, cwd=str(tmp_path))
    follows = HomeReader(tmp_path, cwd=str(tmp_path))
    before = given.read_home().environment, follows.read_home().environment
    monkeypatch.setenv("GROQ_API_KEY", "two")
    assert follows.read_home().environment == before[1]
    given.replace_environment(None)
    follows.replace_environment(None)
    assert given.read_home().environment == before[0]
    assert follows.read_home().environment != before[1]
    given.replace_environment({"XAI_API_KEY": "x"})
    assert list(given.read_home().environment.by_name()) == ["XAI_API_KEY"]


def test_new_variables_count_once_a_config_was_read_with_them(tmp_path: Path) -> None:
    """While the config is torn, stores resolve by the old variables and the config's own; replacing opens no file."""
    config, document = tmp_path / "openclaw.json", "{env: {vars: {MY_STORED: 'x'}}}"
    entries = {
        f"{name}:1": {
            "type": "api_key",
            "provider": name,
            "keyRef": {"source": "env", "provider": "default", "id": ref},
        }
        for name, ref in (("p", "MY_STORED"), ("q", "OLD"), ("r", "NEW"))
    }
    (tmp_path / "auth-profiles.json").write_text(json.dumps({"version": 1, "profiles": entries}))
    config.write_text(document)
    reader = HomeReader(tmp_path, env={"OLD": "x"}, cwd=str(tmp_path))

    def resolved() -> list[str]:
        facts = reader.read_store(StoreId(str(tmp_path)))
        return [profile.id for profile in facts.profiles if profile.key.resolved]

    reader.read_home()
    assert resolved() == ["p:1", "q:1"]
    config.write_text("{")
    reader.replace_environment(OpaqueEnv({"NEW": "x"}))
    with pytest.raises(ConfigError):
        reader.read_home()
    assert resolved() == ["p:1", "q:1"]
    config.write_text(document)
    reader.read_home()
    assert resolved() == ["p:1", "r:1"]


def test_a_reader_with_other_variables_reads_the_same_home(tmp_path: Path) -> None:
    """Home and digester stay, whatever the variables say of homes; the first reader keeps its own variables."""
    (tmp_path / ".openclaw").mkdir()
    first = HomeReader(env={"HOME": str(tmp_path), "XAI_API_KEY": "x"}, cwd=str(tmp_path))
    other = first.with_environment({"GROQ_API_KEY": "x", "OPENCLAW_STATE_DIR": "/nowhere"})
    assert (other.location, other.digester) == (first.location, first.digester)
    assert list(other.read_home().environment.by_name()) == ["GROQ_API_KEY"]
    assert list(first.read_home().environment.by_name()) == ["XAI_API_KEY"]


def test_a_copied_home_reads_the_same_with_one_key(tmp_path: Path) -> None:
    """Two readers with one digest key agree; with different keys they don't."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/auth-profiles.json").write_text(profiles("p:1"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    digester = Digester(b"k" * 32)
    first, second, other = (
        HomeReader(tmp_path / name, env={}, digester=key, cwd=str(tmp_path)).read_store(StoreId(str(tmp_path / name)))
        for name, key in (("a", digester), ("b", digester), ("a", None))
    )
    assert first.credentials == second.credentials != other.credentials
