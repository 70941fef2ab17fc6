"""Round trips that a docstring promises become tests, and others don't."""

from __future__ import annotations

import ast

import pytest

from tasks.docstring import docstring_examples, extract_asserts
from tasks.round_trips import round_trips

ENCODE = "def encode(text: str) -> str:\n    return text[::-1]\n"
DECODE = 'def decode(text: str) -> str:\n    """What encode was given."""\n'


def found(prompt: str, entry_point: str = "decode") -> list[str]:
    return list(round_trips(ast.parse(prompt), entry_point))


def test_back_from_where_the_other_one_leads() -> None:
    lines = found(ENCODE + DECODE)
    assert lines[0] == "assert decode(encode('a')) == 'a'"
    assert len(lines) == 8


def test_there_and_back_by_the_other_one() -> None:
    prompt = (
        "def unpack(data: bytes) -> list[int]:\n    return list(data)\n"
        'def pack(numbers: list[int]) -> bytes:\n    """What unpack takes."""\n'
    )
    assert found(prompt, "pack")[1] == "assert unpack(pack([1, 2])) == [1, 2]"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("encode_cyclic", "decode_cyclic"),
        ("runLengthEncode", "runLengthDecode"),
        ("serialize", "deserialize"),
        ("json_dumps", "json_loads"),
    ],
)
def test_names_that_are_opposite(one: str, other: str) -> None:
    prompt = ENCODE.replace("encode", one) + DECODE.replace("encode", one).replace("decode", other)
    assert found(prompt, other)[0] == f"assert {other}({one}('a')) == 'a'"


@pytest.mark.parametrize(
    "prompt",
    [
        ENCODE + 'def decode(text: str) -> str:\n    """Something of its own."""\n',
        ENCODE + 'def decode(text: str) -> str:\n    """What recoded texts were."""\n',
        'def encode(text: str) -> str:\n    """A stub."""\n' + DECODE,
        "def encode(text: str) -> str:\n    raise NotImplementedError\n" + DECODE,
        DECODE,
        ENCODE.replace("text: str", "text") + DECODE,
        ENCODE.replace("text: str", "text: Anything") + DECODE,
        ENCODE.replace("text: str", "text: str, key: int") + DECODE,
        ENCODE.replace("text: str", "*text: str") + DECODE,
        ENCODE + DECODE.replace("text: str", "text: str, key: int"),
        ENCODE.replace("encode", "reverse") + DECODE.replace("encode", "reverse"),
        ENCODE.replace("encode", "encode_text") + DECODE.replace("encode", "encode_text"),
        "class Code:\n    " + ENCODE.replace("\n", "\n    ") + "\n" + DECODE,
    ],
)
def test_nothing_is_made_of_what_is_in_doubt(prompt: str) -> None:
    assert found(prompt) == []


def test_they_come_after_the_examples() -> None:
    prompt = ENCODE + DECODE.replace("given.", "given.\n\n    >>> decode('ba')\n    'ab'\n    ")
    lines = list(extract_asserts(prompt, "decode"))
    assert lines[:2] == [
        "assert decode('ba') == 'ab'",
        "assert decode(encode('a')) == 'a'",
    ]


def test_a_prompt_that_is_no_program_has_none() -> None:
    assert docstring_examples(ENCODE + "def decode(text: str) -> str: encode", "decode") is None
    assert docstring_examples("decode, the inverse of encode (", "decode") is None
