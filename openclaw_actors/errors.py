"""Every exception of the package.

OpenclawActorsError
├── HomeError                 something in an OpenClaw home can't be read (names file, place and remedy)
│   └── ConfigError           the config file, or a file it includes
├── StoreError                a profile store
│   ├── NoSuchProfileError    there is no such profile
│   ├── StoreUnreadableError  can't be read or decoded; the last good answer stays
│   ├── StoreBusyError        its lock is held by a live process
│   └── StoreReadOnlyError    it can't be written (permissions)
│       └── StoreKindError    it is of a kind that isn't written yet (SQLite)
├── CredentialError           no credential can be handed out (each candidate's reason is in it)
├── SettingsError             a settings file or value
├── UnknownReasonError        a failure reason outside the table (also a ValueError)
├── NotRunningError           the supervisor isn't started, or is stopped (also a RuntimeError)
├── NoThreadError             the system starts no further thread now (also a RuntimeError)
└── ForkedError               an event was sent in a forked child (also a RuntimeError)
"""

from __future__ import annotations

from typing import Self

_MOST_NAMED = 20
"""How many credentials the text of a `CredentialError` names."""


class OpenclawActorsError(Exception):
    """Base of every exception that this package raises on purpose."""


class HomeError(OpenclawActorsError):
    """A file of an OpenClaw home can't be used.

    The text names the file, the place in it, what is wrong and what to do; never a value out of the file.
    """

    def __init__(self, path: str, problem: str, remedy: str, *, place: str = "") -> None:
        self.path = path
        """The file."""
        self.place = place
        """Where in the file: a line and column or a key path; empty when the whole file is meant."""
        self.problem = problem
        """What is wrong with it."""
        self.remedy = remedy
        """What to do about it."""
        self.looked_at: tuple[str, ...] = ()
        """The paths that the failed reading depended on, where it says so: when one of them changes, it may succeed."""
        where = f"{path} ({place})" if place else path
        super().__init__(f"{where}: {problem}. {remedy}")


class ConfigError(HomeError):
    """The config file, or a file that it includes, can't be used."""


class StoreError(OpenclawActorsError):
    """Something about a profile store."""


class NoSuchProfileError(StoreError):
    """An agent sees no such profile, or a provider has none."""


class StoreUnreadableError(HomeError, StoreError):
    """A profile store is there but can't be read or decoded (torn, malformed, not permitted)."""


class StoreBusyError(StoreError):
    """The lock of a profile store is held by a live process and was not released in time."""


class StoreReadOnlyError(StoreError):
    """A profile store can't be written."""


class StoreKindError(StoreReadOnlyError):
    """A profile store is of a kind that this package doesn't write."""


class CredentialError(OpenclawActorsError):
    """No credential of a provider can be handed out.

    The text names every candidate with what keeps it back (file and place where there is one) and what to do; never a
    secret.
    """

    def __init__(
        self, agent_id: str, provider: str, problem: str, remedy: str = "", candidates: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.agent_id = agent_id
        """The agent that was asked for."""
        self.provider = provider
        """The normalised provider."""
        self.problem = problem
        """What is wrong."""
        self.remedy = remedy
        """What to do about it; empty when the candidates say it themselves."""
        self.candidates = candidates
        """(evidence id, reason) of each credential that is known, in the order in which they were tried."""
        reasons = "".join(f"\n- {name}: {why}" for name, why in candidates[:_MOST_NAMED])
        if len(candidates) > _MOST_NAMED:
            reasons += f"\n- and {len(candidates) - _MOST_NAMED} more"
        super().__init__(f"{provider} for agent {agent_id}: {problem}{f'. {remedy}' if remedy else ''}{reasons}")

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        return type(self), (self.agent_id, self.provider, self.problem, self.remedy, self.candidates)


class SettingsError(OpenclawActorsError):
    """A settings file or one of its values can't be used."""


class UnknownReasonError(OpenclawActorsError, ValueError):
    """A failure reason that the table of reasons doesn't hold."""


class NotRunningError(OpenclawActorsError, RuntimeError):
    """The supervisor isn't running."""


class NoThreadError(OpenclawActorsError, RuntimeError):
    """The system starts no further thread now: too many run, or the interpreter is about to end."""


class ForkedError(OpenclawActorsError, RuntimeError):
    """An event was sent from a forked child, which has none of the parent's threads."""
