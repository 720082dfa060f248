"""Every decoder of what comes from outside, each as a function of bytes that lets through no exception but our own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from openclaw_actors import Settings
from openclaw_actors.auth.evaluation import Evaluation, SharedEvaluation
from openclaw_actors.auth.shared import SharedFacts, SharedIndex
from openclaw_actors.catalog.load import load_catalog
from openclaw_actors.catalog.models_json import read_models_file
from openclaw_actors.cli.text import clean, full_time, relative
from openclaw_actors.control.messages import line_of, read_answer, read_request
from openclaw_actors.errors import OpenclawActorsError
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.dotenv import parse_dotenv
from openclaw_actors.home.facts import CliFacts, HomeFacts, StoreFacts
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.home.stores.merge import merge
from openclaw_actors.ids import AgentId, Revision, StoreId
from openclaw_actors.listing.chat import reply
from openclaw_actors.listing.listing import Listing
from openclaw_actors.listing.models_command import parse_models_command
from openclaw_actors.listing.shelves import build_listing
from openclaw_actors.pickers import Choose, Stale, Unknown, discord, telegram, view_of

NOW = 1_790_000_000.0
"""The moment at which answers are folded, epoch seconds."""
SEPARATOR = b"\n\x1e\n"
"""Parts one input into the files of a config: the config, an included file, a file of secrets, a dotenv file."""

_SEED_CONFIG = b"""{
  "agents": {"list": [{"id": "main"}, {"id": "ops"}]},
  "models": {"providers": {
    "acme": {"baseUrl": "https://acme.test/v1", "apiKey": "${ACME_KEY}", "models": [{"id": "a"}]}
  }}
}"""
_SEED_PROFILES = b"""{"version": 1, "profiles": {
  "openai:work": {"type": "api_key", "provider": "openai", "key": "sk-1"},
  "anthropic:me": {"type": "oauth", "provider": "anthropic", "access": "a", "refresh": "r", "expires": 1893456000000}
}}"""
_STATE_DIR, _USER = "home", "user"
_AGENT_DIR = f"{_STATE_DIR}/agents/main/agent"
LOGIN_FILES = {
    "codex": ".codex/auth.json",
    "claude": ".claude/.credentials.json",
    "minimax": ".minimax/oauth_creds.json",
    "gemini": ".gemini/oauth_creds.json",
}


class Decoders:
    """The decoders, on a home in a folder of their own. One thread uses it; files are written over, never added up.

    Args:
        folder: An empty folder, best in memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in (
            _AGENT_DIR,
            f"{_STATE_DIR}/credentials",
            *(f"{_USER}/{Path(p).parent}" for p in LOGIN_FILES.values()),
        ):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._agent = folder / _AGENT_DIR
        self._store = StoreId(str(self._agent))
        self._digester = Digester(b"k" * 32)
        self._folded: object = None
        self._listings: dict[str, Listing] = {}
        self._write(f"{_STATE_DIR}/openclaw.json", _SEED_CONFIG)
        self._seeded = self._reader()
        self._seed_facts = self._seeded.read_home()
        self.targets: dict[str, Callable[[bytes], None]] = {
            "config": self.config,
            "store": self.store,
            "state": self.state,
            "legacy": self.legacy,
            "dotenv": self.dotenv,
            "models": self.models,
            "logins": self.logins,
            "settings": self.settings,
            "control": self.control,
            "chat": self.chat,
        }
        """By name."""

    def run(self, name: str, data: bytes) -> bool:
        """Decode some bytes; return whether they were good. Any exception but ours comes through, and fails whoever
        calls.
        """
        try:
            self.targets[name](data)
        except OpenclawActorsError as trouble:
            _look_at(trouble)
            return False
        return True

    # ------------------------------------------------------------------------------------------------- one per decoder

    def config(self, data: bytes) -> None:
        """Read a config with what it includes and refers to, and fold the answers that it gives."""
        parts = [*data.split(SEPARATOR), b"{}", b"{}", b""][:4]
        names = ("openclaw.json", "included.json5", "vault.json", ".env")
        for name, part in zip(names, parts, strict=True):
            self._write(f"{_STATE_DIR}/{name}", part)
        try:
            home = self._reader().read_home()
        finally:
            self._write(f"{_STATE_DIR}/openclaw.json", _SEED_CONFIG)
            self._write(f"{_STATE_DIR}/.env", b"")
        self._fold(home, (), StoreFacts(self._store, "none"))

    def store(self, data: bytes) -> None:
        """Read the profiles of a store, beside a good state."""
        self._read_store({"auth-profiles.json": data})

    def state(self, data: bytes) -> None:
        """Read the state of a store, beside good profiles."""
        self._read_store({"auth-profiles.json": _SEED_PROFILES, "auth-state.json": data})

    def legacy(self, data: bytes) -> None:
        """Read the two files of old versions."""
        self._write(f"{_STATE_DIR}/credentials/oauth.json", data)
        try:
            self._read_store({"auth.json": data})
        finally:
            os.remove(self._folder / _STATE_DIR / "credentials/oauth.json")

    def dotenv(self, data: bytes) -> None:
        """Parse a dotenv file."""
        for name, value in parse_dotenv(data.decode("utf-8", "replace")).items():
            assert isinstance(name, str)
            assert isinstance(value, str)

    def models(self, data: bytes) -> None:
        """Read a `models.json`."""
        path = self._write(f"{_AGENT_DIR}/models.json", data)
        found = read_models_file(path)
        os.remove(path)
        _show(found)

    def logins(self, data: bytes) -> None:
        """Read the logins of other programs."""
        reader, home = self._seeded, self._seed_facts
        found = []
        for name, path in LOGIN_FILES.items():
            written = self._write(f"{_USER}/{path}", data)
            found.append(reader.read_cli(name))
            os.remove(written)
        _show(found)
        self._fold(home, tuple(found), StoreFacts(self._store, "none"))

    def settings(self, data: bytes) -> None:
        """Read a settings file."""
        repr(Settings.from_toml(self._write("settings.toml", data)))

    def control(self, data: bytes) -> None:
        """Read a line of the control socket, as either side of it."""
        line_of(read_request(data))
        answer = read_answer(data)
        if answer is not None:
            line_of(answer)

    def chat(self, data: bytes) -> None:
        """Take a text for what somebody typed into a chat, and for what a button held."""
        text = data.decode("utf-8", "replace")
        request = parse_models_command(text)
        if request is not None:
            _show(reply(self._listing(request.view), request))
        listing = self._listing(view_of(text))
        for picker in (telegram, discord):
            found = picker.answer(listing, "this", text)
            assert not isinstance(found, Choose)
            if isinstance(found, Stale | Unknown):
                _show(picker.show(listing, "this", found.offer))
        _show(discord.autocomplete(listing, "this", text))
        _show(discord.answer_choice(listing, "this", text))

    # ---------------------------------------------------------------------------------------------------------- common

    def _listing(self, view: str) -> Listing:
        if view not in self._listings:
            config = self._seed_facts.config
            self._listings[view] = build_listing(
                load_catalog(config),
                config,
                {},
                agent_id=AgentId("main"),
                revision=Revision(1),
                agent_dir=None,
                view=view,
            )
        return self._listings[view]

    def _reader(self) -> HomeReader:
        user = str(self._folder / _USER)
        env = {"HOME": user, "ACME_KEY": "sk-env", "OPENAI_API_KEY": "sk-openai"}
        return HomeReader(str(self._folder / _STATE_DIR), env=env, digester=self._digester, cwd=user)

    def _read_store(self, files: dict[str, bytes]) -> None:
        reader, home = self._seeded, self._seed_facts
        for name, data in files.items():
            self._write(f"{_AGENT_DIR}/{name}", data)
        try:
            tolerated = reader.read_store(self._store, tolerant=True)
            self._fold(home, (), tolerated)
            for data in files.values():
                try:
                    _show(reader.decode_store(self._store, data))
                except OpenclawActorsError as trouble:
                    _look_at(trouble)
            strict = reader.read_store(self._store)
            assert strict == tolerated
        finally:
            for name in files:
                os.remove(self._agent / name)

    def _fold(self, home: HomeFacts, clis: tuple[CliFacts, ...], store: StoreFacts) -> None:
        """Do with the facts what a gateway does with them: encode, compare, fold, show. Most broken documents come to
        the same facts as the one before, and these were folded then.
        """
        if self._folded == (facts := (home, clis, store)):
            return
        self._folded = facts
        _show(home)
        _show(store)
        hash(home.config.agents)
        catalog = load_catalog(home.config)
        shared = SharedFacts(home=home, clis=clis, unread_sources=())
        index = SharedIndex(shared, catalog.providers)
        view = merge(store, store, now_ms=NOW * 1000)
        for cell in Evaluation(SharedEvaluation(index, {}, NOW), view, {}, NOW).table().cells():
            clean(f"{cell.provider} {cell.reason} {cell.next_step}")
            _show(cell.evidence)
            moments = (cell.valid_until, cell.evidence.expires_at if cell.evidence is not None else None)
            for moment in moments:
                if moment is not None:
                    relative(moment, NOW)
                    full_time(moment)

    def _write(self, name: str, data: bytes) -> str:
        path = str(self._folder / name)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
        return path


def _look_at(trouble: OpenclawActorsError) -> None:
    """Fail on an error that stands for a fault of ours, or says what no log and no terminal can show."""
    assert "reader failed" not in str(trouble), trouble
    str(trouble).encode("utf-8", "surrogateescape")


def _show(value: object) -> None:
    """Do what `--json` and a log line do with a value."""
    msgspec.json.encode(value)
    repr(value)
