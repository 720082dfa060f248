"""Handing out: the next credential in the order of the verdict, read from its place when a request wants it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from openclaw_actors.auth.binding import candidates_of
from openclaw_actors.auth.check import Judged, run_order
from openclaw_actors.auth.verdict import Candidate, Cell, Verdict
from openclaw_actors.credential import Credential
from openclaw_actors.errors import CredentialError, HomeError, StoreUnreadableError
from openclaw_actors.forking import mend_in_children
from openclaw_actors.home.taking import Place, Taken
from openclaw_actors.ids import ProviderId, StoreId
from openclaw_actors.prepared import AgentAuth
from openclaw_actors.runtime import Runtime

_REPORT_TIMEOUT_S = 1.0
"""How long a report that is on its way is waited for, in seconds; it takes about a millisecond."""

_TORN_S = 0.05
"""After how long a store that can't be read is read once more, in seconds: most are whole again by then."""

_NOTHING_TO_HAND_OUT = {
    "cloud": "the AWS SDK finds these credentials by itself; call the provider through it",
    "evidence-file": "the provider's SDK reads this file by itself; call the provider through it",
    "local": "a local server that needs no key; call its base URL without one",
    "synthetic": "its plugin or program answers by itself; there is no secret to hand out",
}
"""Sources (`Evidence.source`) that have no secret, with what to do instead."""


@final
class Handover:
    """Hands out credentials for one supervisor. Any thread; it keeps nothing of them.

    A reading can't be interrupted. One that takes more than half its deadline makes further requests pass its source
    over until it comes back: a disk that hangs costs the threads of the first requests and not of all.
    """

    __slots__ = ("__weakref__", "_begun", "_runtime")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._begun: dict[object, tuple[str, float]] = {}
        """Readings under way: source and beginning (monotonic). Each thread puts in and takes out its own, without a
        lock."""
        mend_in_children(self)

    def after_fork(self) -> None:
        """Forget the parent's readings, in a forked child."""
        self._begun = {}

    def wait_for_failures(self, auth: AgentAuth, provider: ProviderId) -> None:
        """Wait until the failures that were reported of a cell before are published: what has just failed isn't the
        next one. Successes aren't waited for: nothing is rotated past by them.
        """
        wants = self._runtime.wants
        reports = wants.open_failures(auth.agent_id, provider) if wants.is_live else ()
        if reports:
            ended = self._runtime.ended.is_set
            self._runtime.bell.wait_until(lambda: ended() or not any(map(wants.is_open, reports)), _REPORT_TIMEOUT_S)

    def hand_out(self, auth: AgentAuth, cell: Cell, model: str | None) -> Credential:
        """Return the first credential of a cell that has auth and can be read.

        Raises:
            CredentialError: There is none.
        """
        runtime = self._runtime
        now = runtime.clock.epoch()
        ledger = runtime.struck.over(runtime.ledger)
        passed: list[tuple[str, str]] = []
        for judged in run_order(cell.provider, candidates_of(cell, auth.view), ledger, now, model):
            candidate = judged.candidate
            taken = self._try(judged, auth, now)
            if isinstance(taken, str):
                passed.append((candidate.evidence.id, taken))
                continue
            base_url = taken.base_url if taken.base_url is not None else self._base_url(cell.provider)
            return Credential(
                taken.secret,
                agent_id=auth.agent_id,
                provider=cell.provider,
                evidence=candidate.evidence.of(auth.view.own),
                kind=taken.kind,
                state=judged.state,
                expires_at=taken.expires_at,
                base_url=base_url or None,
                passed_over=tuple(passed),
                digests=self._digests(candidate, taken),
            )
        problem = "no credential can be handed out now" if cell.has_auth else f"{cell.state}: {cell.reason}"
        raise CredentialError(auth.agent_id, cell.provider, problem, cell.next_step, tuple(passed))

    def _digests(self, candidate: Candidate, taken: Taken) -> tuple[bytes, ...]:
        """Return how the map may know this secret: as it did when it was chosen (a login's digest has more in it than
        the access token), and, if the place was read before the map had it, as that very secret.
        """
        reader = self._runtime.reader
        if candidate.digest is None or reader is None:
            return ()
        return (candidate.digest, reader.digester(taken.secret.reveal()))

    def _try(self, judged: Judged, auth: AgentAuth, now: float) -> Taken | str:
        """Return the secret of one candidate, or why there is none to hand out."""
        if not judged.state.has_auth:
            return f"{judged.state}: {judged.reason}"
        place, reader = _place_of(judged.candidate, auth), self._runtime.reader
        if isinstance(place, str):
            return place
        if reader is None:
            return "the home was not opened yet"
        source = _source_of(place)
        late_s = self._overrun_s(source)
        if late_s is not None:
            return f"{source}: it has not answered for {late_s:.0f} s. Look at the disk; it is read again when it does"
        try:
            with self._under_way(source):
                try:
                    return reader.take(place, now)
                except StoreUnreadableError:
                    _let_its_writer_finish()
                    return reader.take(place, now)
        except HomeError as trouble:
            return str(trouble)

    @contextmanager
    def _under_way(self, source: str) -> Iterator[None]:
        token = object()
        self._begun[token] = (source, self._runtime.clock.monotonic())
        try:
            yield
        finally:
            self._begun.pop(token, None)

    def _overrun_s(self, source: str) -> float | None:
        """Return how long ago a reading of a source began that takes more than half its deadline; None when none
        does.
        """
        begun = [at for of, at in list(self._begun.values()) if of == source]
        late_s = self._runtime.clock.monotonic() - min(begun) if begun else 0.0
        return late_s if late_s > self._runtime.settings.source_deadline_s / 2 else None

    def _base_url(self, provider: ProviderId) -> str:
        config = self._runtime.config()
        entries = config.providers if config is not None else ()
        exact = next((one for one in entries if one.spelled == provider), None)
        entry = exact or next((one for one in entries if one.id == provider), None)
        return entry.base_url if entry is not None else ""


def nothing_known(verdict: Verdict) -> CredentialError:
    """Return the error about an agent or a provider for which there is no cell."""
    return CredentialError(verdict.agent_id, verdict.provider, f"{verdict.state}: {verdict.reason}", verdict.next_step)


def _let_its_writer_finish() -> None:
    """Wait as long as a torn store is given before it is read again (DESIGN.md section 4, rule 7)."""
    threading.Event().wait(_TORN_S)


def _source_of(place: Place) -> str:
    """Return what hangs when a place can't be read."""
    if place.source == "profile":
        return place.store
    return "the config" if place.source in ("config", "synthetic") else f"{place.source}:{place.name}"


def _place_of(candidate: Candidate, auth: AgentAuth) -> Place | str:
    """Return where a candidate's secret is, or why it has none."""
    evidence = candidate.evidence
    name = evidence.id.partition(":")[2]
    if evidence.kind == "aws-sdk":
        return _NOTHING_TO_HAND_OUT["cloud"]
    if evidence.source == "profile":
        at = auth.view.place(evidence.id)
        if candidate.store is None or at < 0:
            return "the profile is not there any more"
        return Place("profile", evidence.id, StoreId(candidate.store), auth.view.profiles[at].provider)
    if evidence.source in ("environment", "config", "external-cli"):
        return Place(evidence.source, name)
    if evidence.source == "synthetic" and evidence.kind == "api_key":
        return Place(evidence.source, name)
    return _NOTHING_TO_HAND_OUT.get(evidence.source, "there is no secret to hand out")
