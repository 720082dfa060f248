"""A credential on its way to a provider: what it is, and the secret behind one explicit method."""

from __future__ import annotations

from typing import NoReturn, final

from openclaw_actors.auth.verdict import Evidence, State
from openclaw_actors.home.opaque import Secret
from openclaw_actors.ids import AgentId, EvidenceId, ProviderId


@final
class Credential:
    """The credential that a request is made with, read when it was asked for; `AuthSupervisor.credential` makes it.

    Immutable, safe on any thread. The secret comes out by `reveal` alone: not by repr, format, comparison (two are
    equal only when they are one object), pickle, JSON or the variables of a traceback. Ask anew for each request rather
    than keeping one.
    """

    __slots__ = (
        "_agent_id",
        "_base_url",
        "_digests",
        "_evidence",
        "_expires_at",
        "_kind",
        "_passed_over",
        "_provider",
        "_secret",
        "_state",
    )

    def __init__(
        self,
        secret: Secret,
        *,
        agent_id: AgentId,
        provider: ProviderId,
        evidence: Evidence,
        kind: str,
        state: State,
        expires_at: float | None = None,
        base_url: str | None = None,
        passed_over: tuple[tuple[str, str], ...] = (),
        digests: tuple[bytes, ...] = (),
    ) -> None:
        self._secret = secret
        self._agent_id = agent_id
        self._provider = provider
        self._evidence = evidence
        self._kind = kind
        self._state = state
        self._expires_at = expires_at
        self._base_url = base_url
        self._passed_over = passed_over
        self._digests = digests

    @property
    def agent_id(self) -> AgentId:
        """The agent that it is for."""
        return self._agent_id

    @property
    def provider(self) -> ProviderId:
        """The provider that it is for, normalised."""
        return self._provider

    @property
    def evidence(self) -> Evidence:
        """The evidence that names it, as the verdict has it."""
        return self._evidence

    @property
    def evidence_id(self) -> EvidenceId:
        """What a verdict calls it. `report_failure` and `report_success` are better told the credential itself: then a
        secret that has taken its place meanwhile isn't meant.
        """
        return self._evidence.id

    @property
    def kind(self) -> str:
        """`api_key`, `token` or `oauth` (then the secret is the access token)."""
        return self._kind

    @property
    def source(self) -> str:
        """`profile`, `environment`, `config`, `external-cli`…"""
        return self._evidence.source

    @property
    def state(self) -> State:
        """Its state: `cooldown` when it rests and nothing else is left, `refreshable` when it needs refreshing soon."""
        return self._state

    @property
    def expires_at(self) -> float | None:
        """When the secret expires, in epoch seconds, as far as its place says so."""
        return self._expires_at

    @property
    def base_url(self) -> str | None:
        """`models.providers.<id>.baseUrl` of the config, without user name and query; None when it has none."""
        return self._base_url

    @property
    def passed_over(self) -> tuple[tuple[str, str], ...]:
        """(evidence id, reason) of each credential before it that could not be handed out."""
        return self._passed_over

    def reveal(self) -> str:
        """Return the secret itself. Give it to the provider, and to nothing that logs or keeps."""
        return self._secret.reveal()

    def __repr__(self) -> str:
        return (
            f"Credential(agent_id={self._agent_id!r}, provider={self._provider!r}, evidence_id={self.evidence_id!r}, "
            f"kind={self._kind!r}, source={self.source!r}, <secret>)"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Credential holds a secret and is not pickled")

    def __copy__(self) -> Credential:
        return self

    def __deepcopy__(self, memo: object) -> Credential:
        return self
