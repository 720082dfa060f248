"""The original design's names, bound to the process's one started supervisor: a thin layer over it.

Each function raises RuntimeError when no supervisor is started, or more than one.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from openclaw_actors.auth.check import check
from openclaw_actors.auth.shared import SharedFacts, SharedIndex
from openclaw_actors.home.agents import agent_entries, normalise_agent_id
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.facts import StoreFacts
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.home.stores.merge import merge
from openclaw_actors.ids import AgentId, Generation, StoreId
from openclaw_actors.log import log
from openclaw_actors.prepared import MAIN
from openclaw_actors.supervisor import started

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

_cleared: weakref.WeakKeyDictionary[AuthSupervisor, int] = weakref.WeakKeyDictionary()
"""Supervisors whose map was cleared, with the generation whose answer ends that."""

_hook: Callable[[], None] | None = None
_hook_lock = threading.Lock()


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
    return answer(_only(), provider, agent_id=agent_id, workspace_dir=workspace_dir, env=env, store=store)


def create_provider_auth_checker(
    *,
    agent_id: str | None = None,
    workspace_dir: str | None = None,
    env: Mapping[str, str] | None = None,
    store: Mapping[str, Any] | None = None,
) -> Callable[[str], bool]:
    """Return a predicate that answers each normalised provider once: for one request or command, not to be kept."""
    supervisor = _only()
    memo: dict[str, bool] = {}

    def has_auth(provider: str) -> bool:
        normal = normalise_provider(provider)
        if normal not in memo:
            memo[normal] = answer(
                supervisor, normal, agent_id=agent_id, workspace_dir=workspace_dir, env=env, store=store
            )
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
    from openclaw_actors.scope import Scope

    return _only().invalidate(Scope.everything(), "warm-requested")


def clear_current_provider_auth_state() -> Generation:
    """Make these functions take the slow path until a new warm, asked for here, is published. The supervisor keeps
    answering.
    """
    supervisor = _only()
    generation = warm_current_provider_auth_state()
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
    auth = supervisor.snapshot(agent_id)
    cleared = _cleared.get(supervisor)
    if cleared is not None and not supervisor._runtime.wants.is_open(Generation(cleared)):
        del _cleared[supervisor]
        cleared = None
    own_workspace = workspace_dir is None or workspace_dir == auth.workspace_dir
    if auth.revision and cleared is None and own_workspace and env is None and store is None:
        return supervisor.has_auth(provider, agent_id=agent_id)
    return _slow(supervisor, provider, auth.agent_id, env, store)


def _slow(
    supervisor: AuthSupervisor,
    provider: str,
    agent_id: AgentId,
    env: Mapping[str, str] | None,
    store: Mapping[str, Any] | None,
) -> bool:
    """Read everything that one answer needs, now, and fold it."""
    digester = Digester()
    given = env if env is not None else (supervisor._env.mapping if supervisor._env is not None else None)
    reader = HomeReader(supervisor._home, env=given, digester=digester)
    home = reader.read_home()
    config = home.config
    agent = next((one for one in config.agents if one.id == agent_id), None)
    main = reader.read_store(config.main_store)
    if store is not None:
        view = merge(None, _given_store(store, config.main_store, reader))
    elif agent is None or agent.agent_dir == config.main_store:
        view = merge(None, main)
    else:
        view = merge(main, reader.read_store(StoreId(agent.agent_dir)))
    logins = tuple(reader.read_cli(name) for name in HomeReader.CLI_NAMES)
    index = SharedIndex(SharedFacts(home=home, clis=logins))
    return check(normalise_provider(provider), index, view, {}, time.time()).has_auth


def _given_store(store: Mapping[str, Any], owner: StoreId, reader: HomeReader) -> StoreFacts:
    return reader.decode_store(owner, msgspec.json.encode(store))


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
