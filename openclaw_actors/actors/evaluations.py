"""What the WarmerActor answers from: the newest facts, merged and indexed, and the evaluations made of them. Pure."""

from __future__ import annotations

from collections.abc import Callable

from openclaw_actors.auth.agent_profiles import reported_profiles
from openclaw_actors.auth.evaluation import Evaluation, SharedEvaluation
from openclaw_actors.auth.ledger import Ledger, LedgerEntry, LedgerKey, prune
from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.home.facts import StoreFacts
from openclaw_actors.home.stores.merge import Inherited, StoreView
from openclaw_actors.ids import ProviderId


class Evaluations:
    """Keeps one evaluation per distinct own store, for as long as nothing that it was made of has changed.

    Agents whose own store holds nothing see what `main` sees, and share its evaluation.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.index: SharedIndex | None = None
        self.ledger = ledger
        """Never mutated: each report makes a new one, so that an evaluation knows whether it has the newest."""
        self._reported = reported_profiles(ledger)
        self._shared: SharedEvaluation | None = None
        self._stores: dict[str, StoreFacts] = {}
        self._unread: dict[str, str] = {}
        self._main = ""
        self._inherited: Inherited | None = None
        self._views: dict[str, StoreView] = {}
        self._evaluations: dict[str, Evaluation] = {}

    def set_index(self, index: SharedIndex) -> None:
        """Answer from other shared facts from now on."""
        self.index = index
        self._shared = None
        self._evaluations.clear()

    def set_report(self, key: LedgerKey, entry: LedgerEntry) -> None:
        """Answer with one more report from now on, unless a newer one of its secret is known."""
        known = self.ledger.get(key)
        if known is not None and known.serial > entry.serial:
            return
        ledger = {**self.ledger, key: entry}
        prune(ledger, entry.observed_ms)
        self.ledger, self._reported = ledger, reported_profiles(ledger)
        if key.store is None:
            # cells that all agents share may depend on it
            self._shared = None
        self._evaluations.clear()

    def set_ledger(self, ledger: Ledger) -> None:
        """Answer with all these reports from now on."""
        if ledger != self.ledger:
            self.ledger, self._reported = ledger, reported_profiles(ledger)
            self._shared = None
            self._evaluations.clear()

    def let_time_pass(self) -> None:
        """Fold again what was folded as of an earlier moment: an answer has ended."""
        self._evaluations.clear()

    def set_store(self, source: str, facts: StoreFacts | None, unread: str = "") -> None:
        """Answer from another reading of a store; without facts, `unread` says why there are none."""
        if facts is None:
            self._stores.pop(source, None)
            self._unread[source] = unread
        else:
            self._stores[source] = facts
            self._unread.pop(source, None)
        if source == self._main:
            self._inherited = None
            self._views.clear()
            self._evaluations.clear()
        else:
            self._views.pop(source, None)
            self._evaluations.pop(source, None)

    def set_main(self, source: str) -> None:
        """Have every agent inherit from this store from now on."""
        if source != self._main:
            self._main = source
            self._inherited = None
            self._views.clear()
            self._evaluations.clear()

    def beside(self, source: str) -> Callable[[set[str]], set[ProviderId]]:
        """Return what says which providers some profile ids matter to beside their own: in the stores that are merged
        with this one, and where the config or an order names them.
        """
        merged = [source, self._main] if source != self._main else list(self._stores)
        return lambda ids: self._providers_of(ids, merged)

    def providers_of(self, profile_ids: set[str]) -> set[ProviderId]:
        """Return the providers of the stored profiles with some ids, in whichever store."""
        return self._providers_of(profile_ids, list(self._stores))

    def _providers_of(self, ids: set[str], sources: list[str]) -> set[ProviderId]:
        found: set[ProviderId] = set()
        orders = list(self.index.config.auth_order) if self.index is not None else []
        for facts in [self._stores[source] for source in sources if source in self._stores]:
            found.update(profile.provider for profile in facts.profiles if profile.id in ids)
            orders += facts.order
        found.update(provider for provider, names in orders if not ids.isdisjoint(names))
        if self.index is not None:
            found.update(item.provider for item in self.index.config.auth_profiles if item.id in ids)
        return found

    def forget_store(self, source: str) -> None:
        """Drop a store that no agent sees any more."""
        self.set_store(source, None)
        self._unread.pop(source, None)

    def shared(self, now: float) -> SharedEvaluation:
        """Return the evaluation that all agents share, as of `now` (epoch seconds)."""
        index = self.index
        assert index is not None
        known = self._shared
        if known is None or _is_outdated(known.now, known.shared.valid_until, now):
            known = self._shared = SharedEvaluation(index, self.ledger, now)
            self._evaluations.clear()
        return known

    def evaluation(self, own: str, now: float) -> Evaluation:
        """Return the evaluation for agents with this store, as of `now` (epoch seconds)."""
        base, own = self.shared(now), self._holder(own)
        known = self._evaluations.get(own)
        ends = known.table().valid_until if known is not None and known.is_complete else None
        if known is None or known.base is not base or _is_outdated(known.now, ends, now):
            known = self._evaluations[own] = Evaluation(base, self._view(own), self.ledger, now, self._reported)
        return known

    def _view(self, own: str) -> StoreView:
        """Return what an agent with this store sees, what it inherits included."""
        view = self._views.get(own)
        if view is None:
            main, unread = self._main, self._unread
            problems = [unread[source] for source in dict.fromkeys((own, main)) if source in unread]
            if self._inherited is None:
                self._inherited = Inherited(self._stores.get(main))
            view = self._views[own] = self._inherited.seen_with(self._stores.get(own), unread="; ".join(problems))
        return view

    def _holder(self, own: str) -> str:
        """Return the store whose agents see the same as those with this one."""
        facts = self._stores.get(own)
        return self._main if facts is not None and facts.is_empty else own


def _is_outdated(folded_at: float, valid_until: float | None, now: float) -> bool:
    """Tell whether answers that were folded as of one moment may differ now, also when the clock was set back since."""
    return now < folded_at or (valid_until is not None and valid_until <= now)
