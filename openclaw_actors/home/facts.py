"""What readers make of a home: frozen, secret-free facts.

Nothing here holds a credential. Where two readings must be compared, there is a keyed digest (`home/digest.py`); the
key lives in the process that made it. Every struct compares by content, so "did anything change?" is `==`.
"""

from __future__ import annotations

import enum

import msgspec

from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import AgentId, ProviderId, StoreId


class Fact(msgspec.Struct, frozen=True, gc=False):
    """Base of all facts: immutable, compared by content, holding atoms, tuples and other facts only."""


class KeyForm(enum.StrEnum):
    """What stands where a key, a token or a password is expected (OpenClaw 2026.5.22, types.secrets.ts,
    model-auth-markers.ts).
    """

    ABSENT = "absent"
    """Nothing is there."""
    BLANK = "blank"
    """A string of white space only."""
    LITERAL = "literal"
    """The secret itself."""
    ENV_REF = "env-ref"
    """A SecretRef with source `env`, in object or string form."""
    FILE_REF = "file-ref"
    """A SecretRef with source `file`."""
    EXEC_REF = "exec-ref"
    """A SecretRef with source `exec`."""
    ENV_NAME = "env-name"
    """The bare name of a provider variable: "read that variable"."""
    MARKER = "marker"
    """A text that stands for "no literal secret here" (`ollama-local`, `secretref-managed`, `oauth:…`)."""
    MALFORMED = "malformed"
    """Something that can't be any of these (a number, an object that isn't a SecretRef)."""


class KeyFacts(Fact, frozen=True, gc=False):
    """One place where a secret is expected."""

    form: KeyForm = KeyForm.ABSENT
    """What stands there."""
    name: str = ""
    """The variable, the marker or the reference (`file:alias:id`); never a literal."""
    resolved: bool = False
    """Whether it yields a non-empty secret now (always so for a literal, never for exec references)."""
    digest: bytes | None = None
    """Keyed digest of the secret it yields."""
    problem: str = ""
    """Why it is not resolved; empty when it is."""
    is_text: bool = False
    """It stands there as a text, references in text form included, or a secret file puts one there; some plugins take
    any text for a key.
    """


class ConfigModel(Fact, frozen=True, gc=False):
    """One row of `models.providers.<id>.models[]`."""

    id: str
    name: str = ""
    context_window: int | None = None
    reasoning: bool | None = None
    input: tuple[str, ...] = ()


class ProviderConfig(Fact, frozen=True, gc=False):
    """One entry of `models.providers`."""

    id: ProviderId
    """The normalised id."""
    spelled: str
    """The key as the config has it."""
    base_url: str = ""
    """Trimmed, without user name and password; empty when absent, blank or not a string."""
    api: str = ""
    auth: str = ""
    """`api-key`, `aws-sdk`, `oauth`, `token`, or empty."""
    key: KeyFacts = KeyFacts()
    """`apiKey`."""
    models: tuple[ConfigModel, ...] = ()
    has_headers: bool = False
    """`headers` has an entry."""
    has_authorization: bool = False
    """`headers` has an `Authorization` entry, in any case, that holds something."""
    has_auth_header: bool = False
    """`authHeader` is true or false."""
    has_request: bool = False
    """`request` is there."""


class AgentConfig(Fact, frozen=True, gc=False):
    """One configured agent, and what follows from (config, agent id)."""

    id: AgentId
    agent_dir: str
    """Absolute; where the agent's store lives."""
    workspace_dir: str
    """Absolute."""
    is_default: bool = False
    name: str = ""
    model_refs: tuple[str, ...] = ()
    """The models that this agent's own config selects: primary first, then fallbacks and sub-agent models."""


class AuthProfileConfig(Fact, frozen=True, gc=False):
    """One entry of `auth.profiles`: it describes a profile and never holds its secret."""

    id: str
    provider: ProviderId
    mode: str = ""


class Finding(Fact, frozen=True, gc=False):
    """Something that a person should know about a file: what, where and what to do. Never a value out of it."""

    path: str
    problem: str
    remedy: str = ""
    place: str = ""
    code: str = ""
    """A stable, short name: `invalid-json`, `dropped-profiles`, `duplicate-agent-dir`…"""


class ConfigFacts(Fact, frozen=True, gc=False):
    """What the config says, as far as the question goes."""

    path: str
    """The config file that was read (or would be, when none exists)."""
    exists: bool
    state_dir: str
    """The home."""
    main_store: StoreId
    """The agent dir that every agent inherits from: `<state>/agents/main/agent`."""
    agents: tuple[AgentConfig, ...]
    """In config order; `main` alone when the config lists none."""
    default_agent: AgentId
    providers: tuple[ProviderConfig, ...] = ()
    """In config order."""
    auth_profiles: tuple[AuthProfileConfig, ...] = ()
    auth_order: tuple[tuple[ProviderId, tuple[str, ...]], ...] = ()
    """`auth.order`; an empty list is kept (it means "none of them")."""
    cooldowns: bytes = b""
    """`auth.cooldowns` as JSON text, for `auth/failures.py`; empty when absent."""
    allowlist: tuple[str, ...] = ()
    """Keys of `agents.defaults.models`: `provider/model` or `provider/*`; empty allows any."""
    default_model_refs: tuple[str, ...] = ()
    """The models that `agents.defaults` selects: primary first, then fallbacks, image and other models."""
    models_mode: str = "merge"
    xai_search_key: KeyFacts = KeyFacts()
    """`plugins.entries.xai.config.webSearch.apiKey` or the legacy grok search key."""
    disabled_plugins: tuple[str, ...] = ()
    """Plugin ids that the config switches off."""
    reached_plugins: tuple[str, ...] = ()
    """Those of them that OpenClaw still asks about their own provider."""
    secrets_digest: bytes = b""
    """Digest of the `secrets` block and of what its files hold: stores are read again when it changes, since their
    references depend on it.
    """
    secrets_activate: bool = True
    """No provider's key keeps OpenClaw from activating its secrets, which is all or nothing: until then it takes no
    file reference for a key (runtime.ts).
    """
    findings: tuple[Finding, ...] = ()


class EnvVar(Fact, frozen=True, gc=False):
    """One variable that matters and is not empty."""

    name: str
    digest: bytes
    origin: str
    """Which layer set it: `environment`, the path of a dotenv file, or `config env`."""


class EnvironmentFacts(Fact, frozen=True, gc=False):
    """The variables that matter, as the gateway would see them: process first, then dotenv files, then the config's
    `env` block.
    """

    variables: tuple[EnvVar, ...] = ()
    """Sorted by name; only names of the fact tables or named by the config, and only non-empty ones."""
    evidence_files: tuple[tuple[ProviderId, str], ...] = ()
    """Providers whose auth evidence (file and variables) is complete, with the file that was found (formats 4.4)."""
    aws_file: str = ""
    """The shared AWS credentials file, when one exists; its content is not read."""
    digest: bytes = b""
    """Keyed digest of every variable there is: references in stores may name any, and so may logins' places."""

    def by_name(self) -> dict[str, EnvVar]:
        """Return the variables as a new dict."""
        return {variable.name: variable for variable in self.variables}


class HomeFacts(Fact, frozen=True, gc=False):
    """One reading of config and environment."""

    config: ConfigFacts
    environment: EnvironmentFacts
    depends_on: tuple[str, ...]
    """Absolute paths that this reading depended on, existing or not."""


class CliFacts(Fact, frozen=True, gc=False):
    """The login of another program (formats 4.7)."""

    name: str
    """`codex`, `claude`, `minimax` or `gemini`."""
    provider: ProviderId
    """The provider that its login is for (`openai-codex`, `claude-cli`, `minimax-portal`, `google-gemini-cli`)."""
    profile_id: str
    """The profile that OpenClaw makes of it; empty for gemini."""
    found: bool = False
    """A complete login was read."""
    kind: str = "oauth"
    """`oauth`, or `token` when there is nothing to refresh with."""
    expires_at: float | None = None
    """Epoch seconds."""
    has_refresh: bool = False
    digest: bytes | None = None
    account: bytes | None = None
    """Keyed digest of the account id."""
    email: bytes | None = None
    """Keyed digest of the case-folded e-mail."""
    problem: str = ""
    """Why a file that is there gives no login; empty when it does or no file is there."""
    path: str = ""
    is_broken: bool = False
    """The file can't be read, or is no document at all: torn, perhaps. A login that was read before still counts."""
    depends_on: tuple[str, ...] = ()


class ProfileOutline(Fact, frozen=True, gc=False):
    """What is known of a stored credential beside whose it is and which secret: equal ones are one object, as far as
    `home/stores/outlines.py` remembers them, since hundreds of agents have profiles of the same names and kinds.
    """

    id: str
    provider: ProviderId
    kind: str
    """`api_key`, `token` or `oauth`."""
    key: KeyFacts = KeyFacts()
    """`key`/`keyRef` or `token`/`tokenRef`, without its digest; unused for oauth."""
    expires_ms: float | None = None
    """Epoch milliseconds as stored; 0 stands for a value that is no date; None when absent."""
    has_access: bool = False
    has_refresh: bool = False
    has_sidecar: bool = False
    """An `oauthRef` to the legacy encrypted sidecar is there (formats 3.6)."""


class ProfileFacts(Fact, frozen=True, gc=False):
    """One stored credential."""

    outline: ProfileOutline
    digest: bytes | None = None
    """Keyed digest of whatever secret it holds or yields (all of them together for oauth)."""
    account: bytes | None = None
    """Keyed digest of a login's account id."""
    email_digest: bytes | None = None
    """Keyed digest of a login's case-folded e-mail."""

    @property
    def id(self) -> str:
        """The profile id."""
        return self.outline.id

    @property
    def provider(self) -> ProviderId:
        """Whose credential it is."""
        return self.outline.provider

    @property
    def kind(self) -> str:
        """`api_key`, `token` or `oauth`."""
        return self.outline.kind

    @property
    def key(self) -> KeyFacts:
        """What stands where its key or token is expected, without the digest."""
        return self.outline.key

    @property
    def expires_ms(self) -> float | None:
        """Epoch milliseconds as stored; 0 stands for a value that is no date; None when absent."""
        return self.outline.expires_ms

    @property
    def has_access(self) -> bool:
        """Whether a login has an access token."""
        return self.outline.has_access

    @property
    def has_refresh(self) -> bool:
        """Whether a login has a refresh token."""
        return self.outline.has_refresh

    @property
    def has_sidecar(self) -> bool:
        """Whether an `oauthRef` to the legacy encrypted sidecar is there (formats 3.6)."""
        return self.outline.has_sidecar


class StoreFacts(Fact, frozen=True, gc=False):
    """One reading of one store, on its own: what is inherited is merged later (`home/stores/merge.py`)."""

    store: StoreId
    kind: str
    """`json`, `sqlite`, `legacy` (read in place from `auth.json`/`oauth.json`) or `none`."""
    profiles: tuple[ProfileFacts, ...] = ()
    """In file order."""
    order: tuple[tuple[ProviderId, tuple[str, ...]], ...] = ()
    last_good: tuple[tuple[ProviderId, str], ...] = ()
    usage: tuple[tuple[str, Windows], ...] = ()
    """`usageStats`, also of ids that no profile has (`inline-api-key:…`)."""
    findings: tuple[Finding, ...] = ()
    depends_on: tuple[str, ...] = ()
    """Absolute paths that this reading depended on, existing or not."""

    @property
    def is_empty(self) -> bool:
        """Tell whether this store holds nothing at all."""
        return not (self.profiles or self.order or self.last_good or self.usage)

    @property
    def credentials(self) -> tuple[object, ...]:
        """The credential projection: profiles in file order (it breaks ties of the order of use), with kinds, secret
        digests and expiries, and the explicit order. Neither white space nor unknown fields nor key order is in it.
        """
        return self.profiles, sorted(self.order)

    @property
    def windows(self) -> tuple[object, ...]:
        """What use leaves behind: usage windows and last good profiles."""
        return sorted(self.usage, key=_name), sorted(self.last_good)


def _name(item: tuple[str, Windows]) -> str:
    return item[0]
