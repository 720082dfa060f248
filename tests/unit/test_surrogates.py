"""Halves of surrogate pairs in JSON texts."""

from __future__ import annotations

import json

import pytest

from openclaw_actors.errors import StoreUnreadableError
from openclaw_actors.home.stores.decode import json_object
from openclaw_actors.home.surrogates import without_halves


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "\ud800",
        "a\ud800b",
        "\ud83d\ude00",
        "\ud800\ud83d\ude00\ude00",
        "\\ud800",
        "\\\ud800",
        '"\n',
    ],
)
def test_only_halves_are_replaced(text: str) -> None:
    """What comes out is the text as an encoder of UTF-8 in JavaScript has it: pairs stay, halves become U+FFFD."""
    spelled = json.dumps(text)
    for data in (spelled.encode(), spelled.replace("\\ud", "\\uD").encode()):
        expected = "".join("\ufffd" if "\ud800" <= one <= "\udfff" else one for one in json.loads(data))
        assert json.loads(without_halves(data)) == expected


def test_a_text_without_any_is_returned_as_it_is() -> None:
    """Nothing is copied for the many documents that have none."""
    data = json.dumps({"key": "a\\b", "other": "c"}).encode()
    assert without_halves(data) is data


@pytest.mark.parametrize("data", [b"[", b"[[[[", b'["a", 1', b'"text', b"12 34", b"nul"])
def test_what_begins_like_another_shape_and_is_cut_off_is_torn(data: bytes) -> None:
    """A broken file keeps the last good answer; only a whole document of another shape says that there is no store."""
    with pytest.raises(StoreUnreadableError, match="not valid JSON"):
        json_object(data, "/store")


@pytest.mark.parametrize("data", [b"[]", b'["a", 1]', b'"text"', b"12", b"null"])
def test_a_whole_document_of_another_shape_is_no_object(data: bytes) -> None:
    """It is as OpenClaw takes it: no store."""
    assert json_object(data, "/store") is None
