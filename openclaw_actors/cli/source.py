"""Who answers a command: a running gateway of the home if there is one, else its files, read by this command itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar, final

from openclaw_actors.cli.session import BESIDES, missing_home, one_shot, warn, warn_of
from openclaw_actors.cli.text import clock_time, milliseconds
from openclaw_actors.control.address import HTTP_SUFFIX, offers
from openclaw_actors.home.paths import locate
from openclaw_actors.shapes import About, AnsweredBy, Cleared, Explanation, LoggedOut, ModelPage, StatusAgent

if TYPE_CHECKING:
    from openclaw_actors import AuthSupervisor
    from openclaw_actors.cli.running import Gateway

T = TypeVar("T")


class RefusedError(Exception):
    """A gateway has understood what it was asked to do, and can't: reading the files would not help."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        """The error's class, by its name in `errors.py`."""


class Source(Protocol):
    """What answers a command. All calls may block."""

    @property
    def about(self) -> About:
        """What is known of the home, and of who answers."""
        ...

    @property
    def answered_by(self) -> AnsweredBy | None:
        """The gateway that answers; None when the files do."""
        ...

    def status(self, agent: str, providers: tuple[str, ...]) -> StatusAgent:
        """Return an agent's answers: of these providers, or of all."""
        ...

    def explain(self, agent: str, provider: str, model: str | None) -> Explanation:
        """Return everything behind one answer."""
        ...

    def models(self, agent: str, provider: str | None, *, view: str, page: int, limit: int | None) -> ModelPage:
        """Return a page of the models of an agent; without a limit all of them."""
        ...

    def log_out(self, agent: str, provider: str, profile: str | None) -> LoggedOut:
        """Remove stored profiles. Raises a StoreError, or RefusedError by a gateway."""
        ...

    def clear_cooldown(self, agent: str, profile: str) -> Cleared:
        """Clear the resting windows of a profile. Raises a StoreError, or RefusedError by a gateway."""
        ...


@final
class FromFiles:
    """The answers of a supervisor of this command's own."""

    answered_by: AnsweredBy | None = None

    def __init__(self, supervisor: AuthSupervisor) -> None:
        from openclaw_actors import telling

        self._supervisor = supervisor
        self._telling = telling
        self.about = telling.about(supervisor)

    def status(self, agent: str, providers: tuple[str, ...]) -> StatusAgent:
        """Return an agent's answers."""
        return self._telling.status_of(self._supervisor, self._supervisor.snapshot(agent), providers)

    def explain(self, agent: str, provider: str, model: str | None) -> Explanation:
        """Return everything behind one answer."""
        return self._telling.explain(self._supervisor, agent, provider, model)

    def models(self, agent: str, provider: str | None, *, view: str, page: int, limit: int | None) -> ModelPage:
        """Return a page of models."""
        listing = self._supervisor.models(agent_id=agent, provider=provider, view=view)
        return self._telling.models_of(self._supervisor, listing, page, limit)

    def log_out(self, agent: str, provider: str, profile: str | None) -> LoggedOut:
        """Remove stored profiles, under the lock of their store."""
        before = self._supervisor.snapshot(agent)
        self._supervisor.logout(provider, agent_id=agent, profile_id=profile)
        return self._telling.logged_out(before, self._supervisor.snapshot(agent), provider, profile)

    def clear_cooldown(self, agent: str, profile: str) -> Cleared:
        """Clear windows, under the lock of their store."""
        before = self._supervisor.snapshot(agent)
        self._supervisor.clear_cooldown(profile, agent_id=agent)
        told = self._telling.cleared(before, self._supervisor.snapshot(agent), profile)
        assert told is not None, "the agent saw it"
        return told


@final
class FromGateway:
    """The answers of a running gateway. Any call raises GatewayTroubleError when there is none to be had."""

    def __init__(self, gateway: Gateway, about: About) -> None:
        from openclaw_actors.cli import running

        self._gateway = gateway
        self._route = running.path_of
        self.about = about
        self.answered_by: AnsweredBy | None = running.answered_by(about)

    def status(self, agent: str, providers: tuple[str, ...]) -> StatusAgent:
        """Return an agent's answers."""
        query = [("provider", one) for one in providers] or [("all", "1")]
        return self._gateway.get(self._route("auth", agent), StatusAgent, query)

    def explain(self, agent: str, provider: str, model: str | None) -> Explanation:
        """Return everything behind one answer."""
        query = [("model", model)] if model is not None else []
        return self._gateway.get(self._route("auth", agent, provider), Explanation, query)

    def models(self, agent: str, provider: str | None, *, view: str, page: int, limit: int | None) -> ModelPage:
        """Return a page of models."""
        query = [("agent", agent), ("view", view), ("include", "hidden")]
        query += [("whole", "1")] if limit is None else [("page", str(page)), ("limit", str(limit))]
        return self._gateway.get(
            "/models", ModelPage, query + ([("provider", provider)] if provider is not None else [])
        )

    def log_out(self, agent: str, provider: str, profile: str | None) -> LoggedOut:
        """Have the gateway remove stored profiles."""
        return self._gateway.post(self._route("auth", agent, provider, "logout"), {"profile": profile}, LoggedOut)

    def clear_cooldown(self, agent: str, profile: str) -> Cleared:
        """Have the gateway clear windows."""
        return self._gateway.post("/cooldowns/clear", {"profile": profile, "agent": agent}, Cleared)


@contextlib.contextmanager
def answered(home: str | None, gather: Callable[[Source], T], *, offline: bool) -> Iterator[tuple[T, Source]]:
    """Give what a command gathers, and who answered.

    Gateways are asked first, unless `offline`. One that can't be used (it hangs, isn't warm, is of another version,
    ends half way) is said on stderr, and all is gathered anew from the next one or from the files: what is given comes
    from one of them alone. Conditions that aren't well are written to stderr, too.

    Raises:
        ConfigUnusableError: The files are read, and the config gives no agents.
    """
    if not offline:
        with contextlib.closing(_from_gateways(home, gather)) as found:
            for result, source in found:
                yield result, source
                return
    with one_shot(home) as supervisor:
        own = FromFiles(supervisor)
        yield gather(own), own


def _from_gateways(home: str | None, gather: Callable[[Source], T]) -> Generator[tuple[T, Source]]:
    location = locate(home, os.environ)
    found, notes = offers(location.state_dir, suffix=HTTP_SUFFIX)
    for note in notes:
        warn(f"passed over: {note}")
    if not found:
        return  # without a gateway nothing of what asks one is imported
    from openclaw_actors.cli.running import GatewayTroubleError, gateways

    def say(problem: str) -> None:
        warn(f"{problem}. The files are read instead, unless another gateway answers")

    for gateway, about in gateways(location, found, say):
        try:
            if not about.ready:
                raise GatewayTroubleError("it is not warm")
            source = FromGateway(gateway, about)
            result = gather(source)
        except GatewayTroubleError as error:
            say(f"gateway {gateway.pid} can't be asked: {error}")
            continue
        warn_of(about.conditions, BESIDES, whose=f"gateway {about.pid}: ")
        if problem := missing_home(about.home):
            warn(problem)
        yield result, source


def who_answered(source: Source) -> str:
    """Return who answered, for people."""
    about = source.about
    if source.answered_by is None:
        return f"read from the files in {milliseconds(about.warm_s)}"
    since = "" if about.since is None else f" (up to date since {clock_time(about.since).partition('.')[0]})"
    return f"answered by gateway {about.pid}{since}"
