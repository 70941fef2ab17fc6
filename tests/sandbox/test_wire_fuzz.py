"""Whatever the peer sends, decoding gives builtin values or `WireError`, in bounded time."""

from __future__ import annotations

import array
import contextlib
import datetime
import decimal
import fractions
import json
import math
import struct
import time
import tracemalloc
from collections import deque
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sandbox.guest import wire

RELAXED = settings(
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TAGS = (*wire._DECODERS, "h", "?")
encode = wire.Encoder(lambda value: pytest.fail(f"{type(value).__name__} has no encoding"))
decode = wire.Decoder()

hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.dates()
    | st.datetimes().map(lambda moment: moment.replace(fold=0))  # not part of the text
    | st.times().map(lambda moment: moment.replace(fold=0))
    | st.timedeltas()
    | st.builds(range, st.integers(), st.integers(), st.integers().filter(bool))
    | st.just(...),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=8,
)
values = st.recursive(
    hashable | st.binary().map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.sets(hashable, max_size=4)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.lists(inner, max_size=4).map(deque)
        | st.lists(inner, max_size=4).map(tuple)
    ),
    max_leaves=20,
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ("nan", "inf", "Decimal", "Fraction", "date", "time", "timedelta", "-0x1", "=")
    )
)
messages = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(TAGS) | st.text(max_size=3), inner, max_size=2)
        | st.tuples(st.sampled_from(TAGS), inner).map(lambda pair: {pair[0]: pair[1]})
    ),
    max_leaves=20,
)
ALLOWED = {
    type(None), bool, int, float, str, list, tuple, set, frozenset, dict, bytes, bytearray,
    complex, range, type(...), deque, slice, memoryview, decimal.Decimal, fractions.Fraction,
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, type({}.keys()),
    type({}.values()), type({}.items()), array.array,
}  # fmt: skip


def types_in(value: Any) -> set[type]:
    """The types of a value and of all that is in it."""
    found = {type(value)}
    if isinstance(value, dict):
        for key, item in value.items():
            found |= types_in(key) | types_in(item)
    elif type(value) in ALLOWED - {str, bytes, bytearray, range, memoryview} and hasattr(
        value, "__iter__"
    ):
        for item in value:
            found |= types_in(item)
    return found


@RELAXED
@given(values)
@example([math.inf, -math.inf, -0.0, 1 << 4000, {"o": {"t": []}}, {1: 2, "1": 3}])
def test_values_come_back_as_they_were(value: Any) -> None:
    frame = wire.dump(encode(value))
    body = wire.split(bytearray(frame))
    assert body is not None
    back = decode(wire.load(body))
    assert back == value
    assert repr(back) == repr(value) or types_in(value) & {set, frozenset}
    assert types_in(back) == types_in(value)


def test_what_is_not_a_number_stays_so() -> None:
    assert math.isnan(decode(encode(math.nan)))
    assert decode(encode(decimal.Decimal("sNaN"))).is_snan()


@RELAXED
@given(messages)
@example({"d": [[[], 1]]})
@example({"s": [{"o": {}}]})
@example({"x": ["datetime_CAPI", 0]})
@example({"x": ["Fraction", ["1", "0"]]})
@example({"x": ["Fraction", ["0x1"]]})
@example({"x": ["timedelta", [10**400]]})
@example({"x": ["Decimal", [1, 2, 3]]})
@example({"r": ["0", "1", "0"]})
@example({"i": "0x" + "f" * 100_000})
@example({"n": []})
@example({"c": ["1", 2]})
@example({"b": "not base 64"})
@example({"a": {"f": None, "": None}})
@example({"a": ["d", "AAAAAAAA8D8="]})
def test_any_message_is_a_value_or_refused(message: Any) -> None:
    try:
        value = decode(message)
    except wire.WireError:
        return
    assert types_in(value) <= ALLOWED


@RELAXED
@given(messages)
@example([{"x": ["Fraction", ["0x1"]]}])
@example([{"x": ["timedelta", [10**400]]}])
def test_any_sequence_is_a_list_or_refused(message: Any) -> None:
    try:
        assert type(decode.sequence(message)) is list
    except wire.WireError:
        return


@RELAXED
@given(st.binary(max_size=2000))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"\xff\xfe")
@example(b"NaN")
@example(b"1" * 100_000)
@example(b'"\\ud800"')
@example(b"\xef\xbb\xbf1")
@example(b"")
def test_any_bytes_are_json_or_refused(body: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        decode(wire.load(body))


@RELAXED
@given(st.lists(st.binary(max_size=50), max_size=5), st.data())
def test_frames_come_apart_as_they_were_put_together(bodies: list[bytes], data: Any) -> None:
    stream = b"".join(struct.pack(">I", len(body)) + body for body in bodies)
    buffer, found = bytearray(), []
    while stream:
        step = data.draw(st.integers(1, len(stream)))
        buffer += stream[:step]
        stream = stream[step:]
        while (body := wire.split(buffer)) is not None:
            found.append(body)
    assert found == bodies
    assert not buffer


@RELAXED
@given(st.binary(max_size=64), st.integers(0, 100))
def test_any_stream_is_split_or_refused(stream: bytes, limit: int) -> None:
    buffer = bytearray(stream)
    try:
        while (body := wire.split(buffer, limit)) is not None:
            assert len(body) <= limit
    except wire.FrameTooLongError:
        assert struct.unpack(">I", buffer[:4])[0] > limit
    assert stream.endswith(buffer)


LARGE: dict[str, Any] = {
    "nested lists": b"[" * 500_000 + b"]" * 500_000,
    "nested tags": b'{"t":[' * 200_000 + b"]}" * 200_000,
    "digits": b"9" * 1_000_000,
    "hexadecimal": json.dumps({"i": "f" * 1_000_000}).encode(),
    "an exponent": json.dumps({"x": ["Decimal", "1e999999999"]}).encode(),
    "a range": json.dumps({"r": ["0", "f" * 1000, "1"]}).encode(),
    "many keys": json.dumps({"o": {str(n): n for n in range(100_000)}}).encode(),
    "many tags": json.dumps([{"t": []}] * 100_000).encode(),
}


@pytest.mark.parametrize("name", LARGE)
def test_time_and_memory_are_bounded(name: str) -> None:
    body = LARGE[name]
    tracemalloc.start()
    before = time.process_time()
    try:
        with contextlib.suppress(wire.WireError):
            decode(wire.load(body))
    finally:
        used, most = time.process_time() - before, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert used < 5
    assert most < 64 * len(body) + (1 << 20)
