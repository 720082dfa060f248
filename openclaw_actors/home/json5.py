"""JSON5 text, parsed so that no error can carry a piece of the document.

pyjson5's exceptions hold the partly parsed document in their `args`, so none of them may ever be a cause or a context
of ours.
"""

from __future__ import annotations

import re

import pyjson5

from openclaw_actors.errors import ConfigError, HomeError
from openclaw_actors.home.files import CONFIG_LIMIT_BYTES, line_and_column, read_regular
from openclaw_actors.home.surrogates import without_halves

MAX_NESTING = 128
"""Deepest nesting; pyjson5's own default of 32 is too small for real configs, and unlimited could exhaust the C
stack.
"""

_LONG_HEX = re.compile(r"0[xX][0-9a-fA-F]{3000}")
"""A number that Python could not write down again: it refuses decimals of more than 4300 digits, but not these."""
_MAX_BITS = 12_000
_UNREPRESENTABLE = "it holds a number or text that can't be represented"
_NEAR = re.compile(r"near (\d+)")
_EXPECTED = re.compile(r"^Expected (.*?) near ")
_WORDS = {
    "JSON5Value": "a value",
    "comma": "a comma",
    "colon": "a colon",
    "IdentifierStart": "a key",
    "hexadecimal character": "a hexadecimal digit",
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "comment": "a comment",
    "NumericLiteral": "a number",
}
_REMEDY = "Mend the file; meanwhile the last good config holds, if there was one."


def read_json5(path: str) -> object | None:
    """Read and parse a JSON5 file; None when there is none. Raises ConfigError."""
    read = read_regular(path, ConfigError, limit=CONFIG_LIMIT_BYTES)
    return None if read is None else parse_json5(read[0], path)


def parse_json5(data: bytes | str, path: str, error: type[HomeError] = ConfigError) -> object:
    """Parse a JSON5 document; a byte order mark is tolerated.

    Raises:
        HomeError: As the given type, with file, line, column and what is wrong; never with any part of the document.
    """
    text, bad_byte = _decoded(without_halves(data) if isinstance(data, bytes) else data)
    if bad_byte >= 0:
        raise error(path, "it is not valid UTF-8", "Save it as UTF-8.", place=line_and_column(text, bad_byte))
    nul = text.find("\0")
    if nul >= 0:
        raise error(path, "it holds a NUL character", _REMEDY, place=line_and_column(text, nul))
    if not text.strip("\ufeff \t\r\n"):
        raise error(path, "it is empty", _REMEDY)
    place, problem = "", ""
    try:
        document = pyjson5.decode(text, MAX_NESTING)
        if _LONG_HEX.search(text) is None or not _has_huge_number(document):
            return document
        problem = _UNREPRESENTABLE
    except pyjson5.Json5DecoderException as trouble:
        place, problem = _explain(trouble, text)
    except RecursionError:
        problem = f"it is nested deeper than {MAX_NESTING} levels"
    except (ValueError, OverflowError, MemoryError):
        problem = _UNREPRESENTABLE
    raise error(path, problem, _REMEDY, place=place)


def _has_huge_number(document: object) -> bool:
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, int) and value.bit_length() > _MAX_BITS:
            return True
    return False


def _decoded(data: bytes | str) -> tuple[str, int]:
    """Return the text, and -1 or the index of the first character that is no UTF-8 (then with the text before it)."""
    if isinstance(data, str):
        return data, -1
    try:
        return data.decode("utf-8"), -1
    except UnicodeDecodeError as trouble:
        # The exception holds the document: it must not become the context of ours.
        before = data[: trouble.start].decode("utf-8", "replace")
        return before, len(before)


def _explain(trouble: Exception, text: str) -> tuple[str, str]:
    message = str(trouble.args[0]) if trouble.args else ""
    near = _NEAR.search(message)
    index = int(near[1]) - 1 if near else 0
    if isinstance(trouble, pyjson5.Json5NestingTooDeep):
        return line_and_column(text, index), f"it is nested deeper than {MAX_NESTING} levels"
    if isinstance(trouble, pyjson5.Json5ExtraData):
        return line_and_column(text, index), "something follows the end of the document"
    if isinstance(trouble, pyjson5.Json5EOF):
        unclosed = re.match(r"Unclosed b'([^']*)'", message)
        what = _WORDS.get(unclosed[1], "a value") if unclosed else "the document"
        return line_and_column(text, index), f"{what} that begins here is not closed"
    expected = _EXPECTED.match(message)
    if expected is None:
        return line_and_column(text, index), "a character that can't stand here"
    return line_and_column(text, index), f"expected {_in_words(expected[1])}"


def _in_words(grammar: str) -> str:
    """Turn pyjson5's grammar names (`b'comma' or U+007d`) into words; they are its own constants, never text of the
    document.
    """
    words = []
    for part in re.split(r",? or |, ", grammar):
        name = part.removeprefix("b'").removesuffix("'")
        point = re.fullmatch(r"U\+([0-9a-fA-F]{4,6})", name)
        words.append(f"`{chr(int(point[1], 16))}`" if point else _WORDS.get(name, "something else"))
    return " or ".join(dict.fromkeys(words))
