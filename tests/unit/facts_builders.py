"""Short ways to write facts by hand, as a reader would make them."""

from __future__ import annotations

import msgspec

from openclaw_actors.auth.shared import SharedFacts, SharedIndex
from openclaw_actors.auth.verdict import Candidate, Cell
from openclaw_actors.home.facts import (
    AuthProfileConfig,
    CliFacts,
    ConfigFacts,
    ConfigModel,
    EnvironmentFacts,
    EnvVar,
    HomeFacts,
    KeyFacts,
    KeyForm,
    ProfileFacts,
    ProfileOutline,
    ProviderConfig,
)
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import AgentId, EvidenceId, ProviderId, StoreId

NOW = 1_795_000_000.0
MAIN = StoreId("/home/u/.openclaw/agents/main/agent")
LITERAL = KeyFacts(KeyForm.LITERAL, resolved=True, digest=b"secret")
BLANK = KeyFacts(KeyForm.BLANK, problem="it is blank")
TEXT_REF = KeyFacts(KeyForm.ENV_REF, "UNSET", problem="UNSET is not set", is_text=True)
ROW = (ConfigModel("m"),)
LOCAL_URL = "http://127.0.0.1:9/v1"
REMOTE_URL = "https://llm.example.invalid/v1"


def env_ref(name: str, *, is_set: bool, form: KeyForm = KeyForm.ENV_REF) -> KeyFacts:
    """Return a key that refers to a variable."""
    return KeyFacts(form, name, is_set, b"ref" if is_set else None, "" if is_set else f"{name} is not set")


def marker(name: str) -> KeyFacts:
    """Return a marker key."""
    return KeyFacts(KeyForm.MARKER, name, problem="it is a marker, not a secret")


def entry(
    spelled: str,
    key: KeyFacts | None = None,
    *,
    url: str = "",
    api: str = "",
    auth: str = "",
    models: tuple[ConfigModel, ...] = (),
    **flags: bool,
) -> ProviderConfig:
    """Return an entry of `models.providers`."""
    return ProviderConfig(
        id=normalise_provider(spelled),
        spelled=spelled,
        base_url=url,
        api=api,
        auth=auth,
        key=key or KeyFacts(),
        models=models,
        **flags,
    )


def server(spelled: str, key: KeyFacts | None = None, **changes: object) -> ProviderConfig:
    """Return a complete entry of a local server."""
    fields: dict[str, object] = {"url": LOCAL_URL, "api": "openai-completions", "models": ROW}
    return entry(spelled, key, **(fields | changes))  # type: ignore[arg-type]


def index_of(
    *entries: ProviderConfig,
    env: tuple[str, ...] = (),
    clis: tuple[CliFacts, ...] = (),
    profiles: dict[str, tuple[str, str]] | None = None,
    order: dict[str, tuple[str, ...]] | None = None,
    vertex_file: str = "",
    aws_file: str = "",
    xai_key: KeyFacts | None = None,
    disabled: tuple[str, ...] = (),
    reached: tuple[str, ...] = (),
    unread: tuple[tuple[str, str], ...] = (),
    catalog: tuple[str, ...] = (),
) -> SharedIndex:
    """Return the index of a home with one agent; `profiles` is `auth.profiles` as id → (provider, mode)."""
    return SharedIndex(
        SharedFacts(
            HomeFacts(
                ConfigFacts(
                    path="/home/u/.openclaw/openclaw.json",
                    exists=True,
                    state_dir="/home/u/.openclaw",
                    main_store=MAIN,
                    agents=(),
                    default_agent=AgentId("main"),
                    providers=entries,
                    auth_profiles=tuple(
                        AuthProfileConfig(name, normalise_provider(provider), mode)
                        for name, (provider, mode) in (profiles or {}).items()
                    ),
                    auth_order=tuple((normalise_provider(name), ids) for name, ids in (order or {}).items()),
                    xai_search_key=xai_key or KeyFacts(),
                    disabled_plugins=disabled,
                    reached_plugins=reached,
                ),
                EnvironmentFacts(
                    tuple(EnvVar(name, name.encode(), "environment") for name in sorted(env)),
                    ((ProviderId("google-vertex"), vertex_file),) if vertex_file else (),
                    aws_file,
                ),
                (),
            ),
            clis,
            unread,
        ),
        tuple(normalise_provider(name) for name in catalog),
    )


def api_key(name: str, key: KeyFacts = LITERAL, *, provider: str = "") -> ProfileFacts:
    """Return an API key profile; its provider is what stands before the colon."""
    owner = normalise_provider(provider or name.partition(":")[0])
    return ProfileFacts(ProfileOutline(name, owner, "api_key", _bare(key)), key.digest)


def token(name: str, expires_ms: float | None = None, key: KeyFacts = LITERAL) -> ProfileFacts:
    """Return a token profile."""
    provider = normalise_provider(name.partition(":")[0])
    return ProfileFacts(ProfileOutline(name, provider, "token", _bare(key), expires_ms), key.digest)


def _bare(key: KeyFacts) -> KeyFacts:
    return msgspec.structs.replace(key, digest=None)


def oauth(
    name: str,
    *,
    access: bool = True,
    refresh: bool = True,
    expires_at: float | None = NOW + 86_400,
    provider: str = "",
    **more: object,
) -> ProfileFacts:
    """Return an OAuth profile that is good for a day."""
    outline = ProfileOutline(
        name,
        normalise_provider(provider or name.partition(":")[0]),
        "oauth",
        expires_ms=expires_at * 1000 if expires_at is not None else None,
        has_access=access,
        has_refresh=refresh,
        has_sidecar=bool(more.pop("has_sidecar", False)),
    )
    return ProfileFacts(outline, **{"digest": b"oauth", **more})  # type: ignore[arg-type]


def cli(name: str, *, expires_at: float | None = NOW + 86_400, **changes: object) -> CliFacts:
    """Return a complete login of another program, good for a day."""
    provider, profile = {
        "codex": ("openai-codex", "openai-codex:default"),
        "claude": ("claude-cli", "anthropic:claude-cli"),
        "minimax": ("minimax-portal", "minimax-portal:minimax-cli"),
        "gemini": ("google-gemini-cli", ""),
    }[name]
    fields: dict[str, object] = {
        "found": True,
        "has_refresh": True,
        "digest": b"cli",
        "path": f"/home/u/.{name}/auth.json",
    }
    return CliFacts(
        name=name,
        provider=ProviderId(provider),
        profile_id=profile,
        expires_at=expires_at,
        **(fields | changes),  # type: ignore[arg-type]
    )


def store(
    *found: ProfileFacts,
    order: dict[str, tuple[str, ...]] | None = None,
    usage: dict[str, Windows] | None = None,
    unread: str = "",
) -> StoreView:
    """Return what an agent sees whose profiles are all main's."""
    return StoreView(
        profiles=found,
        inherited=bytes([1]) * len(found),
        own=MAIN,
        main=MAIN,
        order=tuple((normalise_provider(name), ids) for name, ids in (order or {}).items()),
        last_good=(),
        usage=tuple((usage or {}).items()),
        unread=unread,
    )


def provider(text: str) -> ProviderId:
    """Return the normalised id."""
    return normalise_provider(text)


def evidence_ids(found: tuple[Candidate, ...]) -> list[EvidenceId]:
    """Return the evidence ids of candidates in run order."""
    return [candidate.evidence.id for candidate in sorted(found, key=lambda item: item.order)]


def winner(cell: Cell) -> str:
    """Return the evidence id of a cell's winner, or nothing."""
    return cell.evidence.id if cell.evidence is not None else ""
