"""Whatever stands in a file or comes over the socket: it is decoded, or refused by an exception of ours."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from decoders import Decoders
from documents import STRATEGIES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    """Return the decoders, on a home in memory where there is such a thing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Decoders(Path(folder))


@pytest.mark.parametrize("name", STRATEGIES)
def test_nearly_right_documents_are_decoded_or_refused(name: str, decoders: Decoders) -> None:
    """Real shapes, broken by type, nesting, number, text, key and byte, bring out no exception but ours."""

    @settings(max_examples=30, **_COMMON)
    @given(STRATEGIES[name])
    def check(data: bytes) -> None:
        decoders.run(name, data)

    check()


@pytest.mark.parametrize("name", STRATEGIES)
def test_any_bytes_are_decoded_or_refused(name: str, decoders: Decoders) -> None:
    """Bytes without any shape bring out no exception but ours."""

    @settings(max_examples=30, **_COMMON)
    @given(st.binary(max_size=200))
    def check(data: bytes) -> None:
        decoders.run(name, data)

    check()


@pytest.mark.stress
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", STRATEGIES)
def test_very_many_nearly_right_documents(name: str, decoders: Decoders) -> None:
    """The same with thousands of documents."""

    @settings(max_examples=5000, **_COMMON)
    @given(STRATEGIES[name])
    def check(data: bytes) -> None:
        decoders.run(name, data)

    check()
