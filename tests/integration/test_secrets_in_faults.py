"""No secret leaves when something goes wrong in the midst of a reading: by log, error, traceback or crash dump; nor by
pickle, by a digest that others could make too, or by what waits to be handled.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from canaries import assert_clean, holds_canary, live_a_little, reachable
from homes import CANARY, Home, Supervise, eventually, replace_text, secret

from openclaw_actors import AuthSupervisor, OpenclawActorsError, Settings, SettingsError
from openclaw_actors.cli.app import cli
from openclaw_actors.provider_auth import has_auth_for_model_provider

ROOT = Path(__file__).parents[2]
PACKAGE = str(ROOT / "openclaw_actors")
KEY = f"{CANARY}digest-key-5be1c0".encode()

FAULTS = {
    "the config's facts": "openclaw_actors.home.reader.config_facts",
    "the rules for secrets": "openclaw_actors.home.reader.secret_rules",
    "substitution": "openclaw_actors.home.substitution.Substitution._text",
    "an include": "openclaw_actors.home.includes.merge",
    "a dotenv file": "openclaw_actors.home.dotenv.parse_dotenv",
    "a file of secrets": "openclaw_actors.home.secret_files.judged",
    "the environment": "openclaw_actors.home.opaque.cleaned",
    "a profile": "openclaw_actors.home.stores.decode._facts",
    "a store": "openclaw_actors.home.stores.json_files.decode_profiles",
    "a state": "openclaw_actors.home.stores.json_files.decode_state",
    "a SQLite store": "openclaw_actors.home.stores.sqlite.json_object",
    "a store of an old version": "openclaw_actors.home.stores.legacy.profile_facts",
    "a login": "openclaw_actors.home.external_cli._required",
    "a digest": "openclaw_actors.home.digest.Digester.of_parts",
    "rows of models": "openclaw_actors.catalog.models_json._rows_of",
    "rows of the config": "openclaw_actors.actors.readings.load_catalog",
}
"""Where a fault is put in: functions that hold secrets, or are called by some that do."""


class FaultError(Exception):
    """A fault that quotes what it choked on, as decoders do."""


def fault(*arguments: object, **named: object) -> None:
    """Fail with all that was given in the text, in the arguments and in variables."""
    text = repr([vars(one) if hasattr(one, "__dict__") else one for one in (*arguments, *named.values())])
    raise FaultError(f"{secret('in-the-text')} {text}", *arguments)


def traced(error: BaseException) -> Iterator[str]:
    """Yield what a traceback with variables shows of an error and all that it is chained to, as far as the frames are
    the package's.
    """
    seen: BaseException | None = error
    while seen is not None:
        yield f"{seen} {seen!r} {seen.args!r} {vars(seen)!r}"
        walk = seen.__traceback__
        while walk is not None:
            if walk.tb_frame.f_code.co_filename.startswith(PACKAGE):
                yield repr(walk.tb_frame.f_locals)
                shown = traceback.TracebackException(type(seen), seen, walk, capture_locals=True)
                yield "".join(shown.format(chain=False))
            walk = walk.tb_next
        seen = seen.__cause__ or seen.__context__


@pytest.mark.parametrize("name", FAULTS)
def test_no_secret_is_told_when_a_reader_fails(
    name: str, full: Home, supervise: Supervise, log_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that quotes secrets is told by its kind and place alone, in logs and in health; the answers from before
    stay, and it is over when the fault is.
    """
    supervisor = supervise(full, retry_first_s=0.05, retry_max_s=0.1)
    assert supervisor.has_auth("acme")
    with monkeypatch.context() as broken:
        broken.setattr(FAULTS[name], fault)
        replace_text(full.dotenv_path, full.dotenv_path.read_text() + "MORE=1\n")
        supervisor.recheck()
        assert eventually(lambda: not supervisor.health().ok), name
        assert supervisor.has_auth("acme")
        assert_clean(repr(supervisor.health()), "health")
        assert any("a reader failed" in line and "FaultError" in line for line in log_lines)
        for verdict in supervisor.snapshot().verdicts.values():
            assert_clean(repr(verdict), "verdict")
        error = failure(lambda: has_auth_for_model_provider("acme", env={"A": secret("given")}))
        if error is not None:
            for text in traced(error):
                assert_clean(text, f"traceback of {type(error).__name__}")
            assert isinstance(error, OpenclawActorsError)
    assert eventually(lambda: supervisor.health().ok), supervisor.health()
    for line in log_lines:
        assert_clean(line, "log")


def failure(call: Callable[[], object]) -> BaseException | None:
    """Return what a call raises; None when it doesn't."""
    try:
        call()
    except Exception as error:
        return error
    return None


def test_no_secret_in_the_tracebacks_of_public_errors(full: Home, supervise: Supervise, tmp_path: Path) -> None:
    """Errors that leave the public face hold no secret in our frames' variables, nor in what they are chained to."""
    supervisor = supervise(full)
    deep: Any = secret("deep")
    for _ in range(3000):
        deep = [deep]
    settings = tmp_path / "settings.toml"
    encoded = base64.b64encode(KEY).decode()
    replace_text(full.state_path(), '{"usageStats": {"openai:work": "' + secret("torn-state"))
    stores: dict[str, Any] = {
        "half a surrogate pair": {
            "profiles": {"a:b": {"type": "api_key", "provider": "a", "key": secret("s") + "\ud800"}}
        },
        "too deep": {"profiles": {"a:b": {"type": "api_key", "provider": "a", "key": deep}}},
        "no JSON": {"profiles": {"a:b": {"key": secret("s"), "x": object()}}},
        "a key that is no text": {"profiles": {("a", secret("s")): 1}},
    }
    calls: dict[str, Callable[[], object]] = {
        f"given store: {name}": lambda store=store: has_auth_for_model_provider("a", store=store)  # type: ignore[misc]
        for name, store in stores.items()
    }
    calls["clear_cooldown"] = lambda: supervisor.clear_cooldown("openai:work")
    calls["logout"] = lambda: supervisor.logout("together", agent_id="lab")
    for name, text in {
        "torn": f'digest_key = "{encoded}',
        "unknown": f'digest_key = "{encoded}"\nno_such = 1',
        "bad value": f'digest_key = "{encoded}"\nread_threads = 0',
        "bad type": f'digest_key = "{encoded}"\nread_threads = "many"',
        "key too long": f'digest_key = "{base64.b64encode(KEY * 9).decode()}"',
        "key no base64": f'digest_key = "{KEY.decode()}!"',
    }.items():
        calls[f"settings: {name}"] = lambda text=text: (settings.write_text(text), Settings.from_toml(settings))  # type: ignore[misc]
    calls["settings: given"] = lambda: Settings(digest_key=KEY * 9)
    raised = {name: failure(call) for name, call in calls.items()}
    assert [name for name, error in raised.items() if not isinstance(error, OpenclawActorsError)] == []
    assert isinstance(raised["settings: torn"], SettingsError)
    for name, error in raised.items():
        assert error is not None
        for text in traced(error):
            assert_clean(text, name)
            assert encoded[:12] not in text, name


def test_the_look_at_tracebacks_finds_what_it_looks_for(full: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It isn't blind: an error that comes out with its frames does show a secret."""
    monkeypatch.setattr("openclaw_actors.home.reader._without_traces", lambda _source, read: read())
    monkeypatch.setattr(FAULTS["the config's facts"], fault)
    with AuthSupervisor(full.path, env=full.env, settings=Settings(watch=False)):
        error = failure(lambda: has_auth_for_model_provider("acme", env=full.env))
    assert error is not None
    assert any(CANARY in text for text in traced(error))


# ------------------------------------------------------------------------------------------------------------ pickles


def test_no_secret_in_what_can_be_pickled(full: Home, supervise: Supervise) -> None:
    """What is public either refuses to be pickled or has no secret in its pickle, the digest key included."""
    supervisor = supervise(full, digest_key=KEY)
    changes = live_a_little(supervisor, full)
    snapshot = supervisor.snapshot()
    things: list[object] = [
        *changes,
        *snapshot.verdicts.values(),
        *snapshot.profiles,
        snapshot,
        snapshot.table,
        snapshot.view,
        snapshot.home,
        supervisor.health(),
        supervisor.stats(),
        supervisor.models(),
        supervisor,
        supervisor.aio,
        supervisor._settings,
        supervisor._env,
        supervisor._prepared,
        supervisor._runtime,
        supervisor._runtime.reader,
    ]
    pickled = set()
    for thing in things:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            try:
                data = pickle.dumps(thing, protocol)
            except (TypeError, AttributeError, pickle.PicklingError) as error:
                assert_clean(f"{error!r}", f"refusal to pickle {type(thing).__name__}")
                continue
            assert_clean(data, f"pickle of {type(thing).__name__}")
            assert KEY not in data
            pickled.add(type(thing).__name__)
    assert {"Verdict", "Change", "Health", "Stats"} <= pickled
    assert not {"Settings", "AuthSupervisor", "HomeReader", "OpaqueEnv"} & pickled


# ------------------------------------------------------------------------------------------------------------ digests


def test_no_digest_without_a_key_is_reachable(full: Home, supervise: Supervise) -> None:
    """A plain hash of a weak secret can be guessed: none of those that anybody can make is anywhere."""
    planted = set(re.findall(rf"{CANARY}[\w.-]+", planted_text(full)))
    assert len(planted) > 40
    supervisor = supervise(full)
    live_a_little(supervisor, full)
    known: set[bytes] = set()
    for text in planted:
        raw = text.encode()
        for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_256"):
            digest = hashlib.new(name, raw).digest()
            known |= {digest, digest[:16], digest.hex().encode(), base64.b64encode(digest)}
        for size in (8, 16, 20, 32):
            digest = hashlib.blake2b(raw, digest_size=size).digest()
            known |= {digest, digest.hex().encode(), base64.b64encode(digest)}
    for path, value in reachable(supervisor):
        if isinstance(value, (str, bytes)):
            raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
            assert raw not in known, path


def planted_text(home: Home) -> str:
    """Return everything that stands in the files and variables of a home."""
    files = [path for folder in (home.path, home.user) for path in folder.rglob("*") if path.is_file()]
    return "\n".join([*(path.read_bytes().decode("utf-8", "replace") for path in files), json.dumps(home.env)])


_DIGESTS = """
import sys
from openclaw_actors import AuthSupervisor, Settings
key = sys.argv[2].encode() or None
with AuthSupervisor(sys.argv[1], settings=Settings(watch=False, digest_key=key)) as supervisor:
    assert supervisor.wait_warm(20)
    facts = supervisor.snapshot().view.profiles
    print([profile.digest.hex() for profile in facts if profile.id == "openai:work"])
"""


def test_digests_are_keyed_per_process_unless_a_key_is_shared(full: Home) -> None:
    """Two processes have two digests of one secret, and those with one key have one."""
    shared = "0123456789abcdef-shared"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _DIGESTS, str(full.path), key],
            env=environment(full),
            cwd=full.user,
            stdout=subprocess.PIPE,
            text=True,
        )
        for key in ("", "", shared, shared)
    ]
    own, other, *same = (process.communicate(timeout=40)[0].strip() for process in running)
    assert [process.returncode for process in running] == [0] * 4
    assert re.fullmatch(r"\['[0-9a-f]{32}'\]", own)
    assert len({own, other, *same}) == 3
    assert same[0] == same[1]


# -------------------------------------------------------------------------------------------------------- crash dumps

_MID_READ = """
import faulthandler, sys, threading
from openclaw_actors import AuthSupervisor
import openclaw_actors.home.stores.json_files as json_files
import openclaw_actors.home.config as config
decode, begun = json_files.decode_profiles, threading.Event()
def blocked(raw, path, resolver):
    held = bytes(raw)
    begun.set()
    threading.Event().wait()
json_files.decode_profiles = blocked
supervisor = AuthSupervisor(sys.argv[1]).start()
assert begun.wait(20)
faulthandler.dump_traceback(all_threads=True)
print("reading", flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV], ids=lambda number: number.name)
def test_no_secret_in_the_dump_of_a_crash_in_the_midst_of_reading(number: signal.Signals, full: Home) -> None:
    """A process that is killed while a reader holds a store says where its threads were, and nothing of what they held.

    The variables themselves are within reach of whoever may look into the process (a core file, a debugger, py-spy):
    no Python program can keep them from that.
    """
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", _MID_READ, str(full.path)],
        env=environment(full),
        cwd=full.user,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -number
    assert errors.count("in blocked") == 2
    assert_clean(output + errors, "crash dump")


def environment(home: Home) -> dict[str, str]:
    """Return the environment of another process."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, **home.env, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


# ------------------------------------------------------------------------------------------------- commands and memory


def test_every_command_is_looked_at() -> None:
    """A new command has to be added to the commands whose output is searched for secrets."""
    from test_secrets import COMMANDS

    # of these three below, and what is served in test_gateway.py
    looked_at = {arguments[0] for arguments in COMMANDS.values()} | {"watch", "recheck", "serve"}
    assert set(cli.commands) == looked_at


def test_no_secret_in_what_recheck_prints(full: Home, supervise: Supervise, tmp_path: Path) -> None:
    """A gateway that is asked over its socket by another process, tells it no secret, whatever is broken meanwhile."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    full.env["XDG_RUNTIME_DIR"] = str(runtime)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_RUNTIME_DIR", str(runtime))
        supervisor = supervise(full, control_socket=True)
        assert eventually(lambda: any(one.type == "ControlSocket" for one in supervisor.health().conditions))
        replace_text(full.agent_dir("ops") / "auth-profiles.json", '{"profiles": {"a": {"key": "' + secret("torn"))
        for extra in ((), ("--json",), ("acme",), ("--agent", "ops", "--json")):
            done = subprocess.run(
                [sys.executable, "-m", "openclaw_actors", "recheck", *extra, "--home", str(full.path)],
                env=environment(full),
                cwd=full.user,
                capture_output=True,
                timeout=30,
                check=False,
            )
            assert done.stdout
            assert_clean(done.stdout + done.stderr, "recheck")


def test_no_secret_stays_in_the_collector_after_a_reader_failed(
    full: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No error that was caught is kept somewhere with the frames of a reading."""
    supervisor = supervise(full, retry_first_s=0.05)
    with monkeypatch.context() as broken:
        broken.setattr(FAULTS["a store"], fault)
        supervisor.recheck()
        assert eventually(lambda: not supervisor.health().ok)
    assert eventually(lambda: supervisor.health().ok)
    gc.collect()
    kept = [one for one in gc.get_objects() if isinstance(one, FaultError)]
    assert kept == []
    assert [path for path, value in reachable(supervisor) if holds_canary(value)] == []
