"""Where a run tries each kind of credential (OpenClaw 2026.5.22, model-auth.ts; formats 7.6)."""

from __future__ import annotations

import enum


class Rank(enum.IntEnum):
    """First member of `Candidate.order`: smaller is tried first."""

    AWS_PROFILE = 0
    """A profile that the config describes with mode `aws-sdk`."""
    AWS_AUTH = 1
    """`auth: "aws-sdk"` of the provider's entry."""
    CONFIG_KEY_FIRST = 2
    """The configured key when `auth` is `api-key`."""
    BEDROCK = 3
    """Bedrock's default chain."""
    LOCAL_MARKER = 4
    """A marker key of a local server."""
    PROFILE = 5
    """Stored profiles and adopted logins, in their order."""
    ENVIRONMENT = 6
    """Variables, then evidence files."""
    CONFIG_KEY = 7
    """The configured key otherwise."""
    SYNTHETIC = 8
    """Local servers without a key, then plugins' synthetic auth."""
