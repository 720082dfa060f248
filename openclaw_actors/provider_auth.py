"""The original design's names, bound to the process's one started supervisor: a thin layer over it.

Each function raises RuntimeError when no supervisor is started, or more than one.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, final

import msgspec

from openclaw_actors.auth.check import check
from openclaw_actors.auth.shared import SharedFacts, SharedIndex
from openclaw_actors.errors import StoreUnreadableError
from openclaw_actors.forking import call_in_children
from openclaw_actors.home.agents import agent_entries, normalise_agent_id
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.opaque import OpaqueEnv
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.home.stores.merge import merge
from openclaw_actors.ids import AgentId, Generation, StoreId
from openclaw_actors.log import log
from openclaw_actors.messages import Reread
from openclaw_actors.prepared import MAIN
from openclaw_actors.scope import Scope
from openclaw_actors.supervisor import started

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

_cleared: weakref.WeakKeyDictionary[AuthSupervisor, Generation] = weakref.WeakKeyDictionary()
"""Supervisors whose map was cleared, with the generation whose answer ends that. Nobody takes an entry out once it is
answered: a reader that did could take out a newer one.
"""

_hook: Callable[[], None] | None = None
_hook_lock = threading.Lock()


def _renew_hook_lock() -> None:
    global _hook_lock
    _hook_lock = threading.Lock()


call_in_children(_renew_hook_lock)


def has_auth_for_model_provider(
    provider: str,
    *,
    agent_id: str | None = None,
    workspace_dir: str | None = None,
    env: Mapping[str, str] | None = None,
    store: Mapping[str, Any] | None = None,
) -> bool:
    """Tell whether an agent has working credentials for a provider.

    A published cell answers from the map, without I/O. An agent that isn't published or was cleared, another
    workspace, an own `env` or `store` take the slow path, which reads files: not for an event loop's thread, whose
    twin is `await supervisor.aio.has_auth_for_model_provider(...)`.

    Args:
        provider: In any spelling.
        agent_id: None is the default agent.
        workspace_dir: When it isn't the agent's own, the map doesn't answer.
        env: Variables in place of the process's.
        store: A parsed `auth-profiles.json` in place of the agent's stores.

    Raises:
        RuntimeError: No supervisor is started, or more than one.
    """
    own = Own(env, store)
    del env, store  # they hold secrets, and this frame is in the trace of whatever goes wrong below
    return answer_with(_only(), provider, agent_id, workspace_dir, own)


def create_provider_auth_checker(
    *,
    agent_id: str | None = None,
    workspace_dir: str | None = None,
    env: Mapping[str, str] | None = None,
    store: Mapping[str, Any] | None = None,
) -> Callable[[str], bool]:
    """Return a predicate that answers each normalised provider once: for one request or command, not to be kept."""
    own = Own(env, store)
    del env, store
    supervisor = _only()
    memo: dict[str, bool] = {}

    def has_auth(provider: str) -> bool:
        normal = normalise_provider(provider)
        if normal not in memo:
            memo[normal] = answer_with(supervisor, normal, agent_id, workspace_dir, own)
        return memo[normal]

    return has_auth


def set_auth_profile_failure_hook(hook: Callable[[], None] | None) -> None:
    """Set the one callback that is called, without arguments, after each failure mark; None takes it away.

    The supervisor's own listener always runs first. A hook that raises is logged and survived.
    """
    global _hook
    with _hook_lock:
        _hook = hook


def mark_auth_profile_failure(
    profile_id: str, reason: str, *, agent_id: str | None = None, model: str | None = None
) -> Generation:
    """Report that a provider refused a profile. It stops counting at once, for all who see its store.

    Raises:
        UnknownReasonError: The reason is none of OpenClaw's.
        RuntimeError: No supervisor is started, or more than one.
    """
    generation = _only().report_failure(profile_id, reason, agent_id=agent_id, model=model)
    with _hook_lock:
        hook = _hook
    if hook is not None:
        try:
            hook()
        except Exception as error:  # a boundary that runs others' code
            log.bind(error=type(error).__name__).warning("auth profile failure hook threw")
    return generation


def mark_auth_profile_success(profile_id: str, *, agent_id: str | None = None, model: str | None = None) -> Generation:
    """Report that a request with a profile succeeded: what spoke against it no longer does."""
    return _only().report_success(profile_id, agent_id=agent_id, model=model)


def warm_current_provider_auth_state() -> Generation:
    """Have everything read and answered again; the answers stay meanwhile."""
    return _only().invalidate(Scope.everything(), "warm-requested")


def clear_current_provider_auth_state() -> Generation:
    """Make these functions take the slow path until a new warm, asked for here, is published. The supervisor keeps
    answering.
    """
    supervisor = _only()
    generation = supervisor._warm(Scope.everything(), "cleared", Reread.ALL, cancels=True)
    _cleared[supervisor] = generation
    return generation


def list_agent_ids(config: Mapping[str, Any]) -> tuple[AgentId, ...]:
    """Return the agent ids of a parsed config, normalised, in its order, each once; `main` when it lists none."""
    ids = dict.fromkeys(normalise_agent_id(entry.get("id")) for entry in agent_entries(dict(config)))
    return tuple(ids) or (MAIN,)


def resolve_agent_dir(config: Mapping[str, Any], agent_id: str) -> str:
    """Return where an agent's store lives: follows from config, agent id and the home of the one supervisor."""
    return _reader().agent_dir(config, agent_id)


def resolve_agent_workspace_dir(config: Mapping[str, Any], agent_id: str) -> str:
    """Return an agent's workspace: follows from config, agent id and the home of the one supervisor."""
    return _reader().workspace_dir(config, agent_id)


@final
class Own:
    """What a caller gives in place of what is there: variables, a store's document. Its repr shows neither."""

    __slots__ = ("env", "store")

    def __init__(self, env: Mapping[str, str] | OpaqueEnv | None, store: Mapping[str, Any] | None) -> None:
        self.env = OpaqueEnv(env) if env is not None and not isinstance(env, OpaqueEnv) else env
        self.store = store

    def __repr__(self) -> str:
        return f"Own(env={self.env!r}, store={'None' if self.store is None else '<given>'})"


def answer(
    supervisor: AuthSupervisor,
    provider: str,
    *,
    agent_id: str | None,
    workspace_dir: str | None,
    env: Mapping[str, str] | None,
    store: Mapping[str, Any] | None,
) -> bool:
    """Answer from a supervisor's map where it may, and else by reading. Blocks on files in the second case."""
    own = Own(env, store)
    del env, store
    return answer_with(supervisor, provider, agent_id, workspace_dir, own)


def answer_with(
    supervisor: AuthSupervisor, provider: str, agent_id: str | None, workspace_dir: str | None, own: Own
) -> bool:
    """Answer like `answer`; what the caller gives stays hidden from the trace of an error."""
    auth = supervisor.snapshot(agent_id)
    generation = _cleared.get(supervisor)
    cleared = generation is not None and supervisor._runtime.wants.is_open(generation)
    own_workspace = workspace_dir is None or workspace_dir == auth.workspace_dir
    if auth.revision and not cleared and own_workspace and own.env is None and own.store is None:
        return supervisor.has_auth(provider, agent_id=agent_id)
    return _slow(supervisor, provider, auth.agent_id, own)


def _slow(supervisor: AuthSupervisor, provider: str, agent_id: AgentId, own: Own) -> bool:
    """Read everything that one answer needs, now, and fold it with what was reported of each secret."""
    reader = _reader_for(supervisor, own)
    home = reader.read_home()
    config = home.config
    agent = next((one for one in config.agents if one.id == agent_id), None)
    main = reader.read_store(config.main_store)
    if own.store is not None:
        view = merge(None, reader.decode_store(config.main_store, _as_json(own)))
    elif agent is None or agent.agent_dir == config.main_store:
        view = merge(None, main)
    else:
        view = merge(main, reader.read_store(StoreId(agent.agent_dir)))
    logins = tuple(reader.read_cli(name) for name in HomeReader.CLI_NAMES)
    index = SharedIndex(SharedFacts(home=home, clis=logins))
    ledger = dict(supervisor._struck.over(supervisor._runtime.ledger))  # with what was reported a moment ago
    return check(normalise_provider(provider), index, view, ledger, time.time()).has_auth


def _as_json(own: Own) -> bytes:
    """Return the store that the caller gives as JSON.

    Raises:
        StoreUnreadableError: It can't be written as JSON. The encoder's own error may hold any text of it, and ends
            here.
    """
    try:
        return msgspec.json.encode(own.store)
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError):
        problem = "what stands in it can't be written as JSON"
    raise StoreUnreadableError("the given store", problem, "Give what a JSON document holds, and whole texts.")


def _reader_for(supervisor: AuthSupervisor, own: Own) -> HomeReader:
    """Return who reads the supervisor's home for one answer: with its digester, else the ledger names other secrets."""
    reader = supervisor._runtime.reader
    if reader is not None:
        return reader if own.env is None else reader.with_environment(own.env)
    settings = supervisor._settings
    return HomeReader(
        supervisor._home,
        env=own.env if own.env is not None else supervisor._env,
        digester=Digester(settings.digest_key),
        max_store_bytes=settings.max_store_bytes,
    )


def _reader() -> HomeReader:
    reader = _only()._runtime.reader
    if reader is None:
        raise RuntimeError("the supervisor has not looked at its home yet: wait for the warm")
    return reader


def _only() -> AuthSupervisor:
    supervisors = started()
    if len(supervisors) != 1:
        count = "no supervisor is" if not supervisors else f"{len(supervisors)} supervisors are"
        raise RuntimeError(
            f"{count} started in this process; these functions need exactly one: start it, or call its own methods"
        )
    return supervisors[0]
