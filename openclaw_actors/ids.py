"""The names of things: typed ids that all rooms share."""

from __future__ import annotations

from typing import NewType

AgentId = NewType("AgentId", str)
"""A normalised agent id (`main`, `ops`…)."""

ProviderId = NewType("ProviderId", str)
"""A normalised provider id (`openai`, `zai`, `amazon-bedrock`…)."""

EvidenceId = NewType("EvidenceId", str)
"""What one credential is called: a profile id, `env:NAME`, `config:PROVIDER`, `cli:NAME`…"""

StoreId = NewType("StoreId", str)
"""A profile store: the absolute path of the agent dir that holds it."""

Generation = NewType("Generation", int)
"""Which attempt a result belongs to: grows by one per warm that is asked for."""

Revision = NewType("Revision", int)
"""Per agent: grows by one only when its published content changes."""
