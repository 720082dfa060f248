"""Which providers does each agent hold working credentials for? Answered before anyone asks.

The public face. Importing this package imports almost nothing, does no I/O and starts no thread: names load on first
use (PEP 562).
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
"""What `typing` has: importing that takes longer than all the rest of an interpreter's start."""

if TYPE_CHECKING:
    from openclaw_actors.auth.verdict import Evidence, State, Verdict
    from openclaw_actors.changes import Change
    from openclaw_actors.counters import Stats
    from openclaw_actors.credential import Credential
    from openclaw_actors.errors import (
        ConfigError,
        CredentialError,
        ForkedError,
        NoThreadError,
        NotRunningError,
        OpenclawActorsError,
        SettingsError,
        StoreBusyError,
        StoreError,
        StoreReadOnlyError,
        UnknownReasonError,
    )
    from openclaw_actors.health import Condition, Health, Progress
    from openclaw_actors.listing.listing import Listing
    from openclaw_actors.prepared import AgentAuth
    from openclaw_actors.scope import Scope
    from openclaw_actors.settings import Settings
    from openclaw_actors.supervisor import AuthSupervisor

_HOMES = {
    "AgentAuth": "prepared",
    "AuthSupervisor": "supervisor",
    "Change": "changes",
    "Condition": "health",
    "ConfigError": "errors",
    "Credential": "credential",
    "CredentialError": "errors",
    "Evidence": "auth.verdict",
    "ForkedError": "errors",
    "Health": "health",
    "Progress": "health",
    "Listing": "listing.listing",
    "NoThreadError": "errors",
    "NotRunningError": "errors",
    "OpenclawActorsError": "errors",
    "Scope": "scope",
    "Settings": "settings",
    "SettingsError": "errors",
    "State": "auth.verdict",
    "Stats": "counters",
    "StoreBusyError": "errors",
    "StoreError": "errors",
    "StoreReadOnlyError": "errors",
    "UnknownReasonError": "errors",
    "Verdict": "auth.verdict",
}

__all__ = [
    "AgentAuth",
    "AuthSupervisor",
    "Change",
    "Condition",
    "ConfigError",
    "Credential",
    "CredentialError",
    "Evidence",
    "ForkedError",
    "Health",
    "Listing",
    "NoThreadError",
    "NotRunningError",
    "OpenclawActorsError",
    "Progress",
    "Scope",
    "Settings",
    "SettingsError",
    "State",
    "Stats",
    "StoreBusyError",
    "StoreError",
    "StoreReadOnlyError",
    "UnknownReasonError",
    "Verdict",
    "__version__",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
