"""The one way into a home: reads files and variables, answers with facts, and keeps what is secret to itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NoReturn, Self, TypeVar, cast, final

import msgspec

from openclaw_actors.errors import ConfigError, HomeError
from openclaw_actors.forking import mend_in_children
from openclaw_actors.home import agents
from openclaw_actors.home.agents import normalise_agent_id
from openclaw_actors.home.config import config_facts
from openclaw_actors.home.config_shape import check_shape
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.dotenv import NO_DOTENVS, Layers
from openclaw_actors.home.environment import environment_facts
from openclaw_actors.home.external_cli import cli_names, read_cli
from openclaw_actors.home.facts import CliFacts, HomeFacts, StoreFacts
from openclaw_actors.home.files import STORE_LIMIT_BYTES
from openclaw_actors.home.includes import Includes
from openclaw_actors.home.json5 import read_json5
from openclaw_actors.home.opaque import OpaqueEnv
from openclaw_actors.home.paths import HomeLocation, first_existing, include_roots, locate, oauth_path, real_path
from openclaw_actors.home.secret_files import NO_FILES, SecretFiles, read_secret_files
from openclaw_actors.home.secrets import Resolver, SecretRules, secret_rules
from openclaw_actors.home.stores.json_files import decode_store
from openclaw_actors.home.stores.open import read_store
from openclaw_actors.home.substitution import Substitution, with_config_env
from openclaw_actors.home.taking import Place, Taken, Ways, take
from openclaw_actors.ids import AgentId, StoreId
from openclaw_actors.log import log
from openclaw_actors.reading.job import describe_error, places

_T = TypeVar("_T")


@final
class _Document:
    """A config as it stands after includes and substitution; holds secrets, lives for one reading."""

    __slots__ = ("content", "env", "exists", "layers", "looked_at", "path", "unresolved")

    def __init__(
        self,
        path: str,
        exists: bool,
        content: dict[str, object],
        env: OpaqueEnv,
        unresolved: list[tuple[str, str]],
        layers: Layers,
        looked_at: tuple[str, ...],
    ) -> None:
        self.path = path
        self.exists = exists
        self.content = content
        self.env = env
        self.unresolved = unresolved
        self.layers = layers
        self.looked_at = looked_at


@final
class HomeReader:
    """Reads one home. Thread-safe; every method blocks on files and none writes.

    It holds the merged environment and the dotenv files below it (opaque), the judgements of the secret files (no text
    of theirs) and the secrets rules of the last good config, because references in stores resolve by them. None of them
    shows in its repr, and it can't be pickled.

    Args:
        home: The state dir; None finds it by the variables (formats 1.1).
        env: The variables; None takes a copy of the process's now. A given mapping is copied and never changed; an
            opaque environment is immutable and taken as it is.
        digester: Makes the digests; None makes one with a new key.
        cwd: The folder whose `.env` is the first dotenv layer; None is the working directory.
        max_store_bytes: The largest store file that is read, in bytes.
    """

    CLI_NAMES: ClassVar[tuple[str, ...]] = cli_names()

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        env: Mapping[str, str] | OpaqueEnv | None = None,
        digester: Digester | None = None,
        cwd: str | None = None,
        max_store_bytes: int = STORE_LIMIT_BYTES,
    ) -> None:
        self._follows_process = env is None
        self._digester = digester if digester is not None else Digester()
        self._cwd = cwd if cwd is not None else _working_directory()
        self._lock = threading.Lock()
        mend_in_children(self)
        self._max_store_bytes = max_store_bytes
        process = _opaque(env)
        # it only asks for names; a dict of all values would stand in the trace of whatever goes wrong in there
        self.location: HomeLocation = locate(home, cast("Mapping[str, str]", process.raw_side))
        self._process = _of_home(process, self.location)
        self._resolver: Resolver | None = None
        self._files = NO_FILES
        self._dotenvs: Mapping[str, OpaqueEnv] = NO_DOTENVS
        self._begun = 0
        """Number of the youngest reading of the home."""
        self._held = 0
        """Number of the reading whose outcome is held."""

    def after_fork(self) -> None:
        """Take a lock that nobody holds, in a forked child."""
        self._lock = threading.Lock()

    @property
    def digester(self) -> Digester:
        """Makes the digests of all that is read here; what is to be compared with them needs the same one."""
        return self._digester

    def with_environment(self, env: Mapping[str, str] | OpaqueEnv) -> Self:
        """Return a new reader of the same home, with the same digester and limits, that has these variables instead."""
        reader = type(self)(
            self.location.state_dir,
            env=env,
            digester=self._digester,
            cwd=self._cwd,
            max_store_bytes=self._max_store_bytes,
        )
        reader.location = self.location
        reader._process = _of_home(_opaque(env), self.location)
        with self._lock:
            reader._files, reader._dotenvs = self._files, self._dotenvs
        return reader

    def read_home(self) -> HomeFacts:
        """Read config, environment and secret files. On success the new environment, files and secrets rules hold for
        later readings, unless a reading that began later was done sooner.

        Raises:
            ConfigError: The config, or a file that it includes, can't be used; what was read before stays in force.
        """
        with self._lock:
            self._begun += 1
            number, process, before, dotenvs = self._begun, self._process, self._files, self._dotenvs
        facts, resolver, held = _without_traces("home", lambda: self._read_home(process, before, dotenvs))
        with self._lock:
            # a reading that was given up may return long after another one that took its place
            if self._process is process and number > self._held:
                self._held, self._resolver, self._files, self._dotenvs = number, resolver, resolver.files, held
        return facts

    def read_store(self, store: StoreId, *, tolerant: bool = False) -> StoreFacts:
        """Read one store on its own.

        Args:
            store: The agent dir that holds it.
            tolerant: Take torn or broken JSON files as absent, as OpenClaw does; for a first reading, when there is
                no last good answer to keep.

        Raises:
            StoreUnreadableError: It is there but can't be read.
        """
        resolver, limit = self._current(), self._max_store_bytes
        legacy = oauth_path(self.location, resolver.env.raw_side)
        return _without_traces(
            f"store:{store}",
            lambda: read_store(store, resolver, oauth_path=legacy, tolerant=tolerant, limit=limit),
        )

    def read_cli(self, name: str) -> CliFacts:
        """Read the login of another program; `CLI_NAMES` has the names (KeyError for another one). Bad content is no
        exception.
        """
        if name not in self.CLI_NAMES:
            raise KeyError(name)
        env = self._current().env
        return _without_traces(
            f"cli:{name}", lambda: read_cli(name, location=self.location, env=env, digester=self._digester)
        )

    def take(self, place: Place, now: float) -> Taken:
        """Take the secret from the one place that a piece of evidence names, as it is there now; nothing is kept.

        Args:
            place: Where it is.
            now: Epoch seconds; what has expired isn't handed out.

        Raises:
            HomeError: There is none that can be handed out: file, place and remedy.
        """
        ways = Ways(self.location, self._max_store_bytes, self._current, self._newest)
        return _without_traces(place.source, lambda: take(place, ways, now))

    def _newest(self) -> tuple[str, dict[str, object], Resolver]:
        with self._lock:
            process, dotenvs = self._process, self._dotenvs
        document = self._read_document(process, dotenvs)
        resolver = Resolver(document.env, secret_rules(document.content.get("secrets")), self._digester)
        return document.path, document.content, resolver

    def decode_store(self, store: StoreId, document: bytes) -> StoreFacts:
        """Return what a given store document says, as if `store` held it; reads no file but the environment's.

        Raises:
            StoreUnreadableError: It isn't JSON.
        """
        given = [document]
        del document  # this frame is in the trace of whatever goes wrong below, and must not hold it then
        return _without_traces(f"store:{store}", lambda: decode_store(store, given.pop(), self._current()))

    def agent_dir(self, config: Mapping[str, Any], agent_id: str) -> str:
        """Return where an agent's store lives by a given parsed config."""
        agent = normalise_agent_id(agent_id)
        return agents.agent_dir(agent, _entry_of(config, agent), self.location)

    def workspace_dir(self, config: Mapping[str, Any], agent_id: str) -> str:
        """Return an agent's workspace by a given parsed config."""
        agent, document = normalise_agent_id(agent_id), dict(config)
        is_default = agents.default_agent(agents.agent_entries(document)) == agent
        return agents.workspace_dir(
            agent,
            _entry_of(config, agent),
            agents.agent_defaults(document),
            is_default=is_default,
            location=self.location,
            env=self._current().env.raw_side,
        )

    def replace_environment(self, env: Mapping[str, str] | OpaqueEnv | None) -> None:
        """Take new variables; the home stays where it is. Opens no file.

        They count from the next `read_home` that succeeds; until then stores are read by the old ones, with the
        config's `env` block: without it, references to its variables would lead nowhere.

        Args:
            env: The new variables, copied. None copies the process's again if they came from there, and else changes
                nothing.
        """
        if env is None and not self._follows_process:
            return
        process = _of_home(_opaque(env), self.location)
        with self._lock:
            self._process = process

    def _current(self) -> Resolver:
        with self._lock:
            resolver, process, dotenvs = self._resolver, self._process, self._dotenvs
        if resolver is not None:
            return resolver
        layers = Layers(process, self.location, self._cwd, dotenvs)
        resolver = Resolver(layers.env, SecretRules(), self._digester)
        with self._lock:
            if self._process is process and self._resolver is None:
                self._resolver, self._dotenvs = resolver, layers.held
        return resolver

    def _read_home(
        self, process: OpaqueEnv, before: SecretFiles, dotenvs: Mapping[str, OpaqueEnv]
    ) -> tuple[HomeFacts, Resolver, Mapping[str, OpaqueEnv]]:
        location = self.location
        document = self._read_document(process, dotenvs)
        env, rules = document.env, secret_rules(document.content.get("secrets"))
        judge = Resolver(env, rules, self._digester).judge
        files = read_secret_files(rules.files, location.home, judge, self._digester, before)
        resolver = Resolver(env, rules, self._digester, files)
        config = config_facts(
            document.content,
            path=document.path,
            exists=document.exists,
            location=location,
            resolver=resolver,
            unresolved=document.unresolved,
        )
        config = msgspec.structs.replace(config, findings=(*document.layers.findings, *config.findings))
        environment, looked_for = environment_facts(env, config, location, self._digester)
        depends_on = (*document.looked_at, *files.paths, *looked_for)
        facts = HomeFacts(config, environment, tuple(dict.fromkeys(depends_on)))
        return facts, resolver, document.layers.held

    def _read_document(self, process: OpaqueEnv, dotenvs: Mapping[str, OpaqueEnv]) -> _Document:
        """Read the config with its includes and variables."""
        location = self.location
        path = first_existing(location.config_candidates)
        layers = Layers(process, location, self._cwd, dotenvs)
        includes = Includes(path, include_roots(location, layers.env.raw_side))
        targets = [real_path(candidate) for candidate in location.config_candidates]

        def looked_at() -> tuple[str, ...]:
            return (*location.config_candidates, *targets, *includes.paths, *layers.paths)

        try:
            document = read_json5(path)
            exists = document is not None
            resolved = includes.resolve(document) if exists else {}
            if not isinstance(resolved, dict):
                raise ConfigError(path, "its top level is not an object", "Put everything into one { … }.")
            check_shape(path, resolved)
        except HomeError as trouble:
            trouble.looked_at = looked_at()
            raise
        env = with_config_env(resolved, layers.env)
        substitution = Substitution(env, path)
        try:
            substituted = substitution.apply(resolved)
        except HomeError as trouble:
            trouble.looked_at = looked_at()
            raise
        assert isinstance(substituted, dict)
        return _Document(path, exists, substituted, env, substitution.unresolved, layers, looked_at())

    def __repr__(self) -> str:
        return f"HomeReader({self.location.state_dir!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a HomeReader holds secrets and is not pickled")


def _entry_of(config: Mapping[str, Any], agent: AgentId) -> dict[str, object]:
    entries = agents.agent_entries(dict(config))
    return next((entry for entry in entries if normalise_agent_id(entry.get("id")) == agent), {})


def _without_traces(source: str, read: Callable[[], _T]) -> _T:
    """Run a reading; an error of ours comes out without the frames of the reading, and any other as one of ours.

    Sinks that print the variables of a traceback (loguru's `diagnose`) would print the documents that those frames
    hold, and decoders quote in their errors what they choked on. So a fault in a reader is told by its kind and place.
    """
    failure: BaseException
    try:
        return read()
    except HomeError as trouble:
        failure = trouble.with_traceback(None)
        failure.__cause__ = failure.__context__ = None
    except Exception as trouble:
        what, at = describe_error(trouble), places(trouble)
        log.bind(error=what, at=at).error("a reader failed")
        where = at.partition(" ")[0]
        failure = HomeError(source, f"its reader failed at {where}: {what}", "It is tried again; please report it.")
    except BaseException as end:  # Ctrl-C, say
        failure = end.with_traceback(None)
    raise failure from None


def _of_home(process: OpaqueEnv, location: HomeLocation) -> OpaqueEnv:
    """Return the variables as a program that runs on this home has them: one that the caller names is its state dir."""
    if not location.explicit:
        return process
    return process.with_variable("OPENCLAW_STATE_DIR", location.state_dir)


def _opaque(env: Mapping[str, str] | OpaqueEnv | None) -> OpaqueEnv:
    if isinstance(env, OpaqueEnv):
        return env
    return OpaqueEnv(os.environ if env is None else env)


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None
