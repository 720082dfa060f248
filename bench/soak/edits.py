"""The edits: each changes the model, writes what the model says, and tells the journal what has to follow."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.homes import overwrite_file, replace_file
from bench.soak.journal import Edit, Expected, Line, Roster
from bench.soak.model import CUSTOM, EDITED, RESTING, Answers, Form, Model, Rest

GAP_S = 0.7
"""How long one answer is left alone after an edit of it: faster ones may be taken together, which nobody measures."""

_USAGE_WAYS = ("usage replaced", "usage replaced", "usage overwritten in place", "usage saved with all profiles")
"""How usage is written, by weight. OpenClaw 2026.5.22 saves the credentials too, identical as they are (store.ts)."""

Later = Callable[[float, Callable[[], None]], None]
"""Has something done after so many seconds."""


class Edits:
    """Edits one home. Never edits what is torn, nor an answer that was edited less than `GAP_S` ago."""

    def __init__(self, model: Model, chance: random.Random, tell: Callable[[Line], None], later: Later) -> None:
        self._model = model
        self._home = model.home
        self._chance = chance
        self._tell = tell
        self._later = later
        self._busy_until: dict[str, float] = {}
        self._torn: set[str] = set()
        self._serial = 0
        self.last_edit_at = 0.0
        """When an answer was last changed, monotonic seconds."""
        self.agents_changed_at = 0.0
        """When an agent last came or went, monotonic seconds."""

    # -------------------------------------------------------------------------------------------------------- usage

    def use(self) -> None:
        """Write the usage stats of some store, the way one program or the other does."""
        store = self._chance.choice(self._model.stores_in_use())
        kind = self._chance.choice(_USAGE_WAYS)
        self._model.use(store, _now_ms())
        text, path = self._model.state_text(store), self._home.state_path(store)
        if kind == "usage overwritten in place":
            overwrite_file(path, text)
        else:
            replace_file(path, text)
        if kind == "usage saved with all profiles" and store not in self._torn:
            replace_file(self._home.profiles_path(store), self._model.profiles_text(store))
        self._tell(Edit(kind, store, time.monotonic()))

    # -------------------------------------------------------------------------------------------------- credentials

    def replace_credentials(self, left_s: float) -> None:
        """Give one to three providers of a store another credential: mostly one with another answer."""
        store = self._store()
        if store is not None:
            self._replace(store, left_s, "credentials replaced")

    def tear_store(self, mended_after_s: float, left_s: float) -> None:
        """Break a store's credentials, and mend them after a moment, sometimes with another credential in them."""
        store = self._store()
        if store is None:
            return
        self._tear(store, self._home.profiles_path(store), self._model.profiles_text(store))

        def mend() -> None:
            self._torn.discard(store)
            if self._chance.random() < 1 / 3 and self._replace(store, left_s - mended_after_s, "store mended"):
                return
            self._save(store, "store mended", ())

        self._later(mended_after_s, mend)

    def _replace(self, store: str, left_s: float, kind: str) -> bool:
        free = self._free(EDITED)
        if not free:
            return False
        chosen = self._chance.sample(free, min(len(free), self._chance.randint(1, 3)))
        before = self._model.answers(chosen)
        expiring: dict[str, float] = {}
        for provider in chosen:
            held = self._model.held[store][provider]
            if held.form is Form.KEY and self._chance.random() < 0.3:
                self._model.put(store, provider, Form.KEY)  # another key: the same answer
                continue
            form = self._chance.choice([one for one in Form if one is not held.form])
            if form is Form.EXPIRING and left_s < 3.0:
                form = Form.KEY
            expires_ms = 0
            if form is Form.EXPIRING:
                expiring[provider] = self._chance.uniform(1.2, 2.0)
                expires_ms = _now_ms() + round(expiring[provider] * 1000)
            self._model.put(store, provider, form, expires_ms)
        if kind == "credentials replaced" and not self._model.changed_since(before):
            kind = "credentials replaced, same answers"
        at = self._save(store, kind, chosen, before)
        for provider, delay_s in expiring.items():
            self._expire_later(store, provider, delay_s, at)
        return True

    def _expire_later(self, store: str, provider: str, delay_s: float, at: float) -> None:
        due_s = self._model.held[store][provider].expires_ms / 1000

        def expire() -> None:
            before = self._model.answers([provider])
            self._model.let_expire(store, provider)
            self._tell_timed("token expired", store, due_s, self._model.changed_since(before))

        self._keep_busy([provider], at + delay_s)
        self._later(delay_s, expire)

    # -------------------------------------------------------------------------------------------------------- rests

    def rest(self, left_s: float) -> None:
        """Put a profile to rest for a moment by its usage stats, or clear a rest that is over."""
        store = self._store()
        free = self._free(RESTING)
        if store is None or not free:
            return
        provider = self._chance.choice(free)
        before = self._model.answers([provider])
        if self._model.resting[store].get(provider) is Rest.OVER:
            self._model.clear_rest(store, provider)
            self._save_usage(store, "rest cleared", provider, before)
            return
        if left_s < 3.0:
            return
        delay_s = self._chance.uniform(1.2, 2.0)
        until_ms = _now_ms() + round(delay_s * 1000)
        self._model.rest(store, provider, until_ms)
        at = self._save_usage(store, "rest written", provider, before)

        def end() -> None:
            earlier = self._model.answers([provider])
            self._model.end_rest(store, provider)
            self._tell_timed("rest over", store, until_ms / 1000, self._model.changed_since(earlier))

        self._keep_busy([provider], at + delay_s)
        self._later(delay_s, end)

    # ------------------------------------------------------------------------------------------------------- config

    def change_custom_provider(self) -> None:
        """Add or remove a provider in the config, or give it another key."""
        free = [] if "config" in self._torn else self._free(CUSTOM)
        if not free:
            return
        provider = self._chance.choice(free)
        before, known = self._model.answers([provider]), self._model.custom.get(provider)
        if known is None:
            self._model.set_custom(provider, self._chance.choice(("usable", "usable", "unresolved")))
            kind = "provider added"
        elif known == "usable" and self._chance.random() < 0.3:
            self._model.set_custom(provider, "usable")  # another key: the same answer
            kind = "provider's key rotated"
        else:
            self._model.set_custom(provider, None)
            kind = "provider removed"
        self._save_config(kind, [provider], before)

    def tear_config(self, mended_after_s: float) -> None:
        """Break the config, and mend it after a moment."""
        if "config" in self._torn:
            return
        self._tear("config", self._home.config_path, self._model.config_text())

        def mend() -> None:
            self._torn.discard("config")
            self._save_config("config mended")

        self._later(mended_after_s, mend)

    def change_agents(self) -> None:
        """Add an agent to the config, or remove one that was added. Only while nothing else is under way."""
        present = [agent for agent in self._model.agents if agent in self._home.spares]
        absent = [agent for agent in self._home.spares if agent not in present]
        if absent and (not present or self._chance.random() < 0.5):
            guest, kind = self._chance.choice(absent), "agent added"
            agents = [*self._model.agents, guest]
        else:
            guest, kind = self._chance.choice(present), "agent removed"
            agents = [agent for agent in self._model.agents if agent != guest]
        self._model.set_agents(agents, self._model.default)
        self.agents_changed_at = self._save_config(kind)

    def flip_default(self) -> None:
        """Make another agent the default one: no answer depends on that."""
        if "config" not in self._torn:
            names = [agent.id for agent in self._home.agents if agent.id != self._model.default]
            self._model.set_agents(self._model.agents, self._chance.choice(names))
            self._save_config("default agent changed")

    def change_unrelated(self) -> None:
        """Change a part of the config that no answer depends on."""
        if "config" not in self._torn:
            self._serial += 1
            self._home.config["gateway"]["port"] = 18_800 + self._serial % 1000
            self._save_config("unrelated key changed")

    # ------------------------------------------------------------------------------------------------------- within

    def _store(self) -> str | None:
        whole = [store for store in self._model.edited_stores if store not in self._torn]
        return self._chance.choice(whole) if whole else None

    def _free(self, providers: Iterable[str]) -> list[str]:
        now = time.monotonic()
        return [one for one in providers if self._busy_until.get(one, 0.0) <= now]

    def _keep_busy(self, providers: Iterable[str], until: float) -> None:
        for one in providers:
            self._busy_until[one] = until + GAP_S

    def _save(self, store: str, kind: str, providers: Iterable[str], before: Answers | None = None) -> float:
        replace_file(self._home.profiles_path(store), self._model.profiles_text(store))
        return self._written(kind, store, providers, before)

    def _save_usage(self, store: str, kind: str, provider: str, before: Answers) -> float:
        replace_file(self._home.state_path(store), self._model.state_text(store))
        return self._written(kind, store, [provider], before)

    def _save_config(self, kind: str, providers: Iterable[str] = (), before: Answers | None = None) -> float:
        replace_file(self._home.config_path, self._model.config_text())
        at = self._written(kind, "config", providers, before)
        self._tell(Roster(tuple(agent.id for agent in self._model.agents), self._model.default, at))
        return at

    def _written(self, kind: str, where: str, providers: Iterable[str], before: Answers | None) -> float:
        at = time.monotonic()
        expected: tuple[Expected, ...] = () if before is None else self._model.changed_since(before)
        self._tell(Edit(kind, where, at, expected))
        self._keep_busy(providers, at)
        if expected:
            self.last_edit_at = at
        return at

    def _tell_timed(self, kind: str, store: str, due_at: float, expected: tuple[Expected, ...]) -> None:
        now = time.monotonic()
        self._tell(Edit(kind, store, now - (time.time() - due_at), expected, timed=True))
        self.last_edit_at = now

    def _tear(self, where: str, path: Path, text: str) -> None:
        self._torn.add(where)
        torn = text[: round(len(text) * self._chance.uniform(0.1, 0.9))]
        if self._chance.random() < 0.5:
            overwrite_file(path, torn)
        else:
            replace_file(path, torn)
        self._tell(Edit("config torn" if where == "config" else "store torn", where, time.monotonic()))


def _now_ms() -> int:
    return round(time.time() * 1000)
