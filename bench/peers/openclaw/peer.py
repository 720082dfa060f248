"""OpenClaw as a peer: its versions, whether they are here, and one measurement of one of them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from bench.peers.homes import agent_entries, copy_home, main_profiles, write_config
from bench.peers.openclaw.installation import NEWEST, install, installation
from bench.peers.openclaw.measuring import Round
from bench.peers.openclaw.release import Release
from bench.peers.openclaw.surroundings import Surroundings
from bench.peers.processes import extra
from bench.peers.protocol import Availability, Limits, PeerError, PeerFigures, Watcher


class OpenClawPeer:
    """One version of OpenClaw."""

    def __init__(self, release: Release) -> None:
        """Name the version."""
        self._release = release

    @property
    def name(self) -> str:
        """`openclaw@` and the version that is wanted."""
        return f"openclaw@{self._release.wanted}"

    def availability(self) -> Availability:
        """Look into the cache folder."""
        found = installation(self._release.wanted)
        if found is None:
            return Availability(installed=False, remedy=self._remedy)
        return Availability(installed=True, version=found.receipt.version)

    def install(self, console: Console) -> None:
        """Install it from npm into the cache folder, with its own Node.

        Raises:
            PeerError: It can't be installed here.
        """
        with console.status(self.name) as status:
            found = install(self._release.wanted, status.update)
        console.print(f"{self.name}: {found.receipt.version} with Node {found.receipt.node}", highlight=False)

    def measure(self, home: Path, limits: Limits, watcher: Watcher) -> PeerFigures:
        """Measure one round; see `Peer.measure`."""
        present = installation(self._release.wanted)
        if present is None:
            raise PeerError(f"{self.name} isn't installed: {self._remedy}")
        for module in ("psutil", "websockets.sync.client"):
            extra(module)
        with tempfile.TemporaryDirectory(prefix="bench-openclaw-", ignore_cleanup_errors=True) as folder:
            surroundings = Surroundings.of(Path(folder, "home"))
            config = copy_home(home, surroundings.home)
            write_config(surroundings.home, surroundings.config(config, self._release))
            found = PeerFigures(peer=self.name, version=present.receipt.version, agents=len(agent_entries(config)))
            Round(self._release, present, surroundings, limits, watcher, found).run()
        stored = len(main_profiles(home))
        if any(seen < stored for seen in found.figures.get("profiles_seen", ())):
            found.problems.append(f"it sees fewer profiles than main's store has ({stored}): it answers for less")
        return found

    @property
    def _remedy(self) -> str:
        return f"python -m bench peers install {self.name}"


OPENCLAW = (
    OpenClawPeer(Release("2026.5.22", keeps_json=True, prewarms=True)),
    OpenClawPeer(Release("2026.6.11", keeps_json=False, prewarms=True)),
    OpenClawPeer(Release(NEWEST, keeps_json=False, prewarms=False)),
)
"""The pre-warm on the event loop, the one in a worker thread, and what there is now."""
