"""Store facts put together, with the two digests by which readings are compared."""

from __future__ import annotations

import msgspec

from openclaw_actors.home.digest import Digester
from openclaw_actors.home.facts import Finding, ProfileFacts, StoreFacts
from openclaw_actors.home.stores.decode import State
from openclaw_actors.ids import StoreId

_ENCODE = msgspec.msgpack.Encoder().encode


def store_facts(
    store: StoreId,
    kind: str,
    profiles: tuple[ProfileFacts, ...],
    state: State,
    *,
    digester: Digester,
    findings: tuple[Finding, ...] = (),
    depends_on: tuple[str, ...] = (),
) -> StoreFacts:
    """Return the facts of one store.

    The credentials digest covers the profiles in file order (it breaks ties of the order of use) and the explicit
    order; the windows digest covers what use leaves behind: the usage stats and the last good profiles. Neither
    depends on white space, unknown fields or key order.
    """
    return StoreFacts(
        store=store,
        kind=kind,
        profiles=profiles,
        order=state.order,
        last_good=state.last_good,
        usage=state.usage,
        credentials_digest=digester(_ENCODE((profiles, sorted(state.order)))),
        windows_digest=digester(_ENCODE((sorted(state.usage, key=lambda item: item[0]), sorted(state.last_good)))),
        findings=findings,
        depends_on=depends_on,
    )
