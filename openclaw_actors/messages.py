"""The whole protocol: every message that an actor sends or receives. Read this file first.

    Supervisor ──► WarmerActor        BeginWarming, WarmScope, AgentActorDied
    WatcherActor ─► WarmerActor       SourcesTouched
    readers ─────► WarmerActor        SourceRead
    AuthState ───► WarmerActor        SweepFinished
    FailureListener ► WarmerActor     LedgerChanged (priority), ReportAnswered, WarmScope
    WarmerActor ─► itself             SweepFinished, AgentActorDied (of agents that need no sweep, or can't be told)
    WarmerActor ─► itself (alarms)    ReadDue, GraceOver, BudgetOver, TimePassed, ClockDue, ResyncDue,
                                      ResyncStep, BreakerDue, UseDue, ContinuePatching
    WarmerActor ─► AuthStateActor     SweepAgent, CancelSweep (priority)
    AuthStateActor ► itself           ContinueSweep
    WarmerActor ─► WatcherActor       WatchSource, UnwatchSource, ArmNow, CheckStamps
    file watcher ► WatcherActor       PathsTouched, RescanNeeded, WatchingDegraded, WatchingRecovered
    readers, alarms ► WatcherActor    StampsChecked, ArmDue
    Supervisor ──► FailureListener    ReportFailure, ReportSuccess, ForgiveScope, HoldUsage, ForgetUsage, FlushUsage,
                                      WarmerRestarted
    alarms, writer ► FailureListener  UsageDue, UsageWritten, EarlyReportsDue
    FailureListener ► itself          TakeOver, ReportFailure and ReportSuccess (of agents that are published by now)

All messages are frozen and hold ids, facts and other frozen things; none holds a secret. What belongs to a warm
carries its `generation`. Messages with `priority` overtake the others in a mailbox: a failure that proves a credential
bad, and a cancel.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec

from openclaw_actors.auth.evaluation import Evaluation
from openclaw_actors.auth.ledger import LedgerEntry, LedgerKey
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.home.facts import CliFacts, StoreFacts
from openclaw_actors.ids import AgentId, EvidenceId, Generation, ProviderId, StoreId
from openclaw_actors.scope import Scope
from openclaw_actors.watching.stamp import FileStamp


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all messages."""

    priority: ClassVar[bool] = False
    """Whether it overtakes the messages that wait in a mailbox."""


class Reread(enum.Flag):
    """Which sources an event wants read again before its cells are checked."""

    NOTHING = 0
    HOME = enum.auto()
    """Config, dotenv files, environment, model rows."""
    LOGINS = enum.auto()
    """The logins of other programs."""
    STORES = enum.auto()
    """The stores that the agents in scope see."""
    ALL = HOME | LOGINS | STORES


Stamps = tuple[tuple[str, FileStamp | None], ...]
"""Paths with their stamps as of a reading; None where nothing was."""


class Reading(msgspec.Struct, frozen=True):
    """What one reading of a source yields."""

    facts: HomeReading | CliFacts | StoreFacts | None
    """None when it can't be read."""
    stamps: Stamps
    """What the reading depended on, existing or not; empty when a failed one doesn't say."""
    problem: str = ""
    """Why it can't be read; secret-free."""
    look_again_s: float = 0.0
    """In how many seconds to read it again though no event may come: what was being written shows only when it is
    committed. 0 when nothing was.
    """


# ---------------------------------------------------------------------------------------------------- to the
# WarmerActor


class BeginWarming(Message, frozen=True, kw_only=True):
    """Start: read everything once and warm every agent. Sent again after the actor's restart."""

    generation: Generation
    reason: str
    answers: tuple[Generation, ...] = ()
    """Other attempts that nobody works on any more and that this one answers: their messages died with an actor."""


class WarmScope(Message, frozen=True, kw_only=True):
    """An event wants a scope answered again."""

    generation: Generation
    scope: Scope
    reason: str
    cause_at: float
    """When the cause was seen, monotonic seconds."""
    reread: Reread
    cancels: bool = False
    """Whether running sweeps of the scope are cancelled: config reload, plugin reload, logout, clear, stop."""
    diff_only: bool = False
    """Whether only what turns out to have changed is checked (a reload), rather than the whole scope (a recheck)."""


class SourcesTouched(Message, frozen=True, kw_only=True):
    """Look at these sources again: something about a path that they depend on may have changed."""

    sources: tuple[str, ...]
    cause_at: float
    resync: bool = False
    """Whether a resync found that, rather than a file event."""


class SourceRead(Message, frozen=True, kw_only=True):
    """A reader is done with a source (`home`, `cli:NAME`, `store:DIR`)."""

    source: str
    ticket: int
    """Which reading of this source it is."""
    reading: Reading | None
    """What was read; secret-free facts. None when it came to nothing."""
    problem: str = ""
    """Why it came to nothing; secret-free."""
    took_s: float = 0.0
    """How long it took, the wait for a reader not counted."""
    overran: bool = False


class ReadDue(Message, frozen=True, kw_only=True):
    """An alarm: the time to read a source again has come."""

    source: str


class GraceOver(Message, frozen=True, kw_only=True):
    """An alarm: first publications stop waiting for slow login files."""


class BudgetOver(Message, frozen=True, kw_only=True):
    """An alarm: readings that take longer than a sweep may are given up."""


class TimePassed(Message, frozen=True, kw_only=True):
    """An alarm: the earliest `valid_until` has come."""


class ClockDue(Message, frozen=True, kw_only=True):
    """An alarm: see whether the wall clock was set; alarms are monotonic, and expiries are not."""


class ResyncDue(Message, frozen=True, kw_only=True):
    """An alarm: compare everything that was read with the disk, as a net under the events."""


class ResyncStep(Message, frozen=True, kw_only=True):
    """An alarm: the next part of a resync."""


class UseDue(Message, frozen=True, kw_only=True):
    """An alarm: patch the answers that depend on when credentials were last used."""


class ContinuePatching(Message, frozen=True, kw_only=True):
    """The WarmerActor tells itself to go on with patches after letting others run."""


class BreakerDue(Message, frozen=True, kw_only=True):
    """An alarm: see whether sources that kept changing for nothing have settled."""


class SweepFinished(Message, frozen=True, kw_only=True):
    """An agent's sweep is done; its cells are in the evaluation."""

    agent_id: AgentId
    generation: Generation
    evaluation: Evaluation
    providers: tuple[ProviderId, ...] | None
    """What was swept; None for all."""
    checks: int
    serial: int = 0
    """Which sweep it was: one that was cancelled as it ended may have been asked for again."""


class LedgerChanged(Message, frozen=True, kw_only=True):
    """A reported failure or success changed what is known of a secret: applied to published cells before any check."""

    priority: ClassVar[bool] = True
    generation: Generation
    key: LedgerKey
    entry: LedgerEntry
    reason: str
    cause_at: float
    followed: bool = False
    """Whether a `WarmScope` of the same generation follows, which says what else that attempt has to answer."""


class ReportAnswered(Message, frozen=True, kw_only=True):
    """A report changed no answer; its generation is answered."""

    generation: Generation
    key: LedgerKey | None = None
    entry: LedgerEntry | None = None
    """What is known of its secret since: counted once more, or seen again later. An older success that another process
    wrote, and that nobody here has read yet, doesn't count against it.
    """


class AgentActorDied(Message, frozen=True, kw_only=True):
    """An agent's actor is gone: the scope that it was working on is wanted again."""

    agent_id: AgentId


# ------------------------------------------------------------------------------------------------- to an AuthStateActor


class SweepAgent(Message, frozen=True, kw_only=True):
    """Check some providers of one agent."""

    generation: Generation
    evaluation: Evaluation
    """The facts, and the pure fold over them."""
    providers: tuple[ProviderId, ...] | None
    """None for all that the agent's answers cover."""
    serial: int = 0
    """Which sweep it is: a generation may be swept again after a cancel."""


class ContinueSweep(Message, frozen=True, kw_only=True):
    """An actor tells itself to go on with a sweep after letting others run."""

    generation: Generation


class CancelSweep(Message, frozen=True, kw_only=True):
    """Stop a sweep between two providers; its result is not wanted."""

    priority: ClassVar[bool] = True
    generation: Generation
    serial: int = 0
    """This sweep and those before it."""


# --------------------------------------------------------------------------------------------------- to the
# WatcherActor


class WatchSource(Message, frozen=True, kw_only=True):
    """A source depends on exactly these paths now."""

    source: str
    stamps: Stamps


class UnwatchSource(Message, frozen=True, kw_only=True):
    """A source is not read any more."""

    source: str


class CheckStamps(Message, frozen=True, kw_only=True):
    """Compare the stamp of every path with the one of its last reading (a resync)."""


class PathsTouched(Message, frozen=True, kw_only=True):
    """The file watcher saw something happen to these paths."""

    paths: tuple[str, ...]
    seen_at: float
    """Monotonic seconds."""


class RescanNeeded(Message, frozen=True, kw_only=True):
    """The file watcher may have lost events: everything is to be looked at."""

    reason: str


class WatchingDegraded(Message, frozen=True, kw_only=True):
    """The file watcher can't watch some paths natively; they are polled."""

    reason: str


class WatchingRecovered(Message, frozen=True, kw_only=True):
    """No path is polled for this reason any more."""

    reason: str


class ArmNow(Message, frozen=True, kw_only=True):
    """All agents are published: whatever waits to be watched together with what comes next is not to wait any more."""


class ArmDue(Message, frozen=True, kw_only=True):
    """An alarm: watches that wait for others, or that could not be armed, are set now."""


class StampsChecked(Message, frozen=True, kw_only=True):
    """A comparison of stamps is done."""

    drifted: tuple[tuple[str, Stamps], ...]
    """Sources whose paths changed without an event, with their stamps as they are now."""
    resync: bool
    """Whether it was a resync or the check right after a watch was set."""
    problem: str = ""


# ------------------------------------------------------------------------------------------------ to the
# FailureListener


class ReportFailure(Message, frozen=True, kw_only=True):
    """A provider refused a credential, or a request with it failed."""

    generation: Generation
    agent_id: AgentId
    evidence_id: EvidenceId
    reason: str
    """One of the reasons of formats 7.1, normalised."""
    model: str | None
    observed_at: float
    """Epoch seconds."""
    cause_at: float
    """Monotonic seconds."""
    digests: tuple[bytes, ...] = ()
    """Keyed digests that the secret may have which the request was made with; empty for whatever is there now."""


class ReportSuccess(Message, frozen=True, kw_only=True):
    """A request with a credential succeeded."""

    generation: Generation
    agent_id: AgentId
    evidence_id: EvidenceId
    model: str | None
    observed_at: float
    cause_at: float
    digests: tuple[bytes, ...] = ()


class ForgiveScope(Message, frozen=True, kw_only=True):
    """A person wants credentials tried again: what speaks against them is set aside, then the warm is asked for."""

    warm: WarmScope
    evidence_id: EvidenceId | None
    """One credential, or None for all in the warm's scope."""
    observed_at: float


class TakeOver(Message, frozen=True, kw_only=True):
    """The FailureListener begins: it goes on with what its predecessor left, if there was one."""


class EarlyReportsDue(Message, frozen=True, kw_only=True):
    """An alarm: see whether the agents of early reports are published by now."""


class UsageDue(Message, frozen=True, kw_only=True):
    """An alarm: write the usage of a store that has waited long enough."""

    store: StoreId


class UsageWritten(Message, frozen=True, kw_only=True):
    """The usage writer is done with a store, or takes too long."""

    store: StoreId
    problem: str = ""
    permanent: bool = False
    """Whether trying again soon is useless: the store is of a kind that isn't written."""
    gone: bool = False
    """Whether there is no store any more: nothing is to be written."""
    hangs: bool = False
    """Whether the write is still under way after its time: what came of it is told later."""


class HoldUsage(Message, frozen=True, kw_only=True):
    """Profiles are being removed or cleared: usage that waits for them is not to be written until that is over, well
    (then ForgetUsage comes first) or not.
    """

    priority: ClassVar[bool] = True
    store: StoreId
    profiles: tuple[str, ...]
    over: bool = False
    """Whether it begins or is over."""


class ForgetUsage(Message, frozen=True, kw_only=True):
    """Profiles were removed or cleared: usage that waits for them is not to be written any more, nor what was reported
    before that and is still to be taken in.
    """

    priority: ClassVar[bool] = True
    until: Generation
    """The newest attempt by then: reports of later ones count."""
    store: StoreId
    profiles: tuple[str, ...]


class WarmerRestarted(Message, frozen=True, kw_only=True):
    """The supervisor: a new WarmerActor has begun. What this actor has said of these attempts before this message may
    have been told to the dead one.
    """

    reports: tuple[Generation, ...]
    """They are answered by what the new one has read from the ledger."""
    warms: tuple[WarmScope, ...]
    """They still want what they asked for."""


class FlushUsage(Message, frozen=True, kw_only=True):
    """Write all waiting usage now: the supervisor stops."""
