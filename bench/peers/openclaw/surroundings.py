"""What OpenClaw is started with: an isolated home, and nothing that would reach the network.

A machine without a network must not make the peer look slow, and a measurement must not talk to anyone. So all that
would is switched off by OpenClaw's own documented settings (its `docs/`, in the package), and each is named here:

| setting | why |
|---|---|
| `HOME`, `OPENCLAW_STATE_DIR`, `OPENCLAW_CONFIG_PATH`, `TMPDIR` | all that it reads and writes is in the copied home |
| `OPENCLAW_SKIP_CHANNELS=1` | no chat service is contacted; none is configured either |
| `OPENCLAW_SKIP_CRON=1` | no scheduled run begins in the middle of a measurement |
| `OPENCLAW_DISABLE_BONJOUR=1`, `discovery.mdns.mode: off` | no multicast |
| `OPENCLAW_NO_AUTO_UPDATE=1`, `update.checkOnStart: false` | no look for a newer version |
| `OPENCLAW_NO_RESPAWN=1` | nothing is handed to a process that isn't ours |
| `models.pricing.enabled: false` (5.22, 6.11) | no catalogue of prices is fetched |
| `models.catalogRefresh.enabled: false` (newest) | likewise, of models and prices |
| `plugins.entries.codex.enabled: false` (newest) | 2026.9.6 gets it from npm at its start: a minute, offline |
| `npm_config_offline=true` | whatever else it asks npm for fails at once |
| `NODE_COMPILE_CACHE` | compiled scripts outlive a start, as in everyday use; the first one compiles |
| `OPENCLAW_GATEWAY_TOKEN`, `gateway.auth.mode: token` | a token made for this one run |
| `gateway.bind: loopback`, `gateway.port` | a free port that only this machine sees |

The pre-warm, its delay, the providers and the catalogue are left as they are.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import Any

import msgspec

from bench.peers.openclaw.installation import Installation
from bench.peers.openclaw.release import Release

LOOPBACK = "127.0.0.1"
"""Where the gateway listens."""

_LOG = "gateway.log"


class Surroundings(msgspec.Struct, frozen=True):
    """A home that OpenClaw may write in, and how its gateway is reached."""

    home: Path
    port: int
    token: str

    @classmethod
    def of(cls, home: Path) -> Surroundings:
        """Choose a free port and a token for a home."""
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = probe.getsockname()[1]
        return cls(home, port, secrets.token_hex(16))

    def env(self, installation: Installation) -> dict[str, str]:
        """Return the whole environment of OpenClaw's processes; nothing of this process's is in it."""
        temporary = self.home / "tmp"
        temporary.mkdir(exist_ok=True)
        return {
            "PATH": os.pathsep.join((str(installation.node.parent), os.defpath)),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "HOME": str(self.home / "user"),
            "TMPDIR": str(temporary),
            "OPENCLAW_STATE_DIR": str(self.home),
            "OPENCLAW_CONFIG_PATH": str(self.home / "openclaw.json"),
            "OPENCLAW_GATEWAY_TOKEN": self.token,
            "OPENCLAW_SKIP_CHANNELS": "1",
            "OPENCLAW_SKIP_CRON": "1",
            "OPENCLAW_DISABLE_BONJOUR": "1",
            "OPENCLAW_NO_AUTO_UPDATE": "1",
            "OPENCLAW_NO_RESPAWN": "1",
            "NODE_COMPILE_CACHE": str(installation.compile_cache),
            "npm_config_offline": "true",
        }

    def config(self, config: dict[str, Any], release: Release) -> dict[str, Any]:
        """Return a home's config with what this module's docstring names, in the words of a release."""
        models, plugins = config.get("models", {}), config.get("plugins", {})
        if release.prewarms:
            quiet = {"models": {**models, "pricing": {"enabled": False}}}
        else:
            quiet = {
                "models": {**models, "catalogRefresh": {"enabled": False}},
                "plugins": {**plugins, "entries": {**plugins.get("entries", {}), "codex": {"enabled": False}}},
            }
        return {
            **config,
            **quiet,
            "gateway": {"mode": "local", "port": self.port, "bind": "loopback", "auth": {"mode": "token"}},
            "update": {"checkOnStart": False},
            "discovery": {"mdns": {"mode": "off"}},
            "logging": {"file": str(self.home / _LOG)},
        }
