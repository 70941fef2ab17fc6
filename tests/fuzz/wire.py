"""Fuzzes what the judge reads of a candidate: frames, JSON, values, whole conversations."""

from __future__ import annotations

import collections
import contextlib
import datetime
import decimal
import fractions
import json
import socket
import struct
import warnings
from typing import Any

from sandbox.guest import wire
from sandbox.guest.handles import Handle
from sandbox.guest.proxies import _RemoteIterator
from sandbox.guest.remote import Lost, NotBuiltinError, Remote, Thrown

INSTRUMENTED = ("sandbox.guest.wire", "sandbox.guest.remote", "sandbox.guest.handles")
WORDS = (
    *(f'{{"{tag}":' for tag in (*wire._DECODERS, "h", "E", "T", "I", "A", "u")),
    '{"r":0,"v":', '{"r":1,"x":[[', '{"r":2,"v":', '"m":[', '{"b":1,"f":1,"a":[],"k":{}}',
    '"Decimal"', '"Fraction"', '"date"', '"datetime"', '"time"', '"timedelta"', '"keys"',
    '"values"', '"items"', '"nan"', '"-inf"', '"0x1"', '"ValueError"', '"StopIteration"',
    '"SystemExit"', '"UnicodeDecodeError"', "\\ud800", "null", "true", "1e999",
)  # fmt: skip
LONGEST = 4096

_ALLOWED = {
    type(None), bool, int, float, str, list, tuple, set, frozenset, dict, bytes, bytearray,
    complex, range, type(...), collections.deque, slice, memoryview, decimal.Decimal,
    fractions.Fraction, datetime.date, datetime.datetime, datetime.time, datetime.timedelta,
    type({}.keys()), type({}.values()), type({}.items()),
}  # fmt: skip
_REPLIES = (
    {"r": 0, "v": None},
    {"r": 1, "v": [1, {"t": [True, {"s": [1]}]}], "m": [[3], {"d": [[1, 2]]}]},
    {"r": 2, "v": {"h": [7, "Tree", True]}},
    {"r": 3, "v": {"h": [8, "Kind", False, 5]}},
    {"r": 1, "x": [[["Mine", 4], ["ValueError", None]], ["no"], "no", ["line 1"], None, 9]},
    {"r": 1, "x": [[["StopIteration", None]], [3], "3", [], None, 0]},
    {"r": 1, "x": [[["UnicodeDecodeError", None]], [1], "text", [], 12, 0]},
    {"b": 1, "f": 1, "a": [], "k": {}},
    {"r": 1, "v": {"E": [["Mine", 3], ["ValueError", None]]}},
    {"r": 1, "v": {"T": "int"}},
    {"r": 1, "v": {"I": 3}},
    {"r": 2, "v": {"A": 1}},
    {"r": 1, "v": {"u": "object"}},
)
_VALUES: tuple[Any, ...] = (
    [0, -1.5, "text\ud800", None, True, [[]]],
    {"t": [{"s": [1, {"f": []}]}, {"q": [1]}]},
    {"o": {"a": {"i": "0xfffffffffffffffffff"}}},
    {"d": [[1, {"b": "AAEC"}], [{"t": []}, {"y": "AA=="}]]},
    {"c": [{"n": "nan"}, 2.0]},
    {"r": ["0x0", "0xa", "-0x1"]},
    {"v": ["items", [{"t": [1, 2]}]]},
    {"v": ["keys", [1]]},
    {"l": [1, None, {"e": 0}]},
    {"m": "AA=="},
    *({"x": [name, text]} for name, text in (
        ("Decimal", "1E+3"), ("Fraction", ["0x1", "0x2"]), ("date", "2020-01-02"),
        ("datetime", "2020-01-02T03:04:05"), ("time", "03:04:05"), ("timedelta", [1, 2, 3]),
    )),
)  # fmt: skip


def seeds() -> list[bytes]:
    """What a fuzzer starts from: one of each kind of message, by each way in."""
    values = [json.dumps(value).encode() for value in _VALUES]
    frames = [wire.dump(reply) for reply in _REPLIES]
    talk = b"".join(frames[:4])
    found = [b"\0" + body for body in values]
    found += [b"\1" + frame for frame in frames]
    for way in (b"\2", b"\3", b"\4"):
        found += [way + talk, *(way + frames[0] + frame for frame in frames[1:])]
    return found


def check(data: bytes) -> None:
    """Reads the data one way, by its first byte; raises where that isn't dealt with."""
    way, body = data[:1], data[1:]
    if way == b"\0":
        _value(body)
    elif way == b"\1":
        _stream(body)
    else:
        _talk(body, handles=way >= b"\3", mutates=way == b"\4")


def _value(body: bytes) -> None:
    try:
        value = wire.Decoder()(wire.load(body))
    except wire.WireError:
        return
    _only_builtin(value)
    _hashable_or_not(value)
    encoded = wire.Encoder(_refuse)(value)
    again = wire.Decoder()(wire.load(wire.dump(encoded)[4:]))
    assert type(again) is type(value)


def _refuse(value: object) -> object:
    raise AssertionError(f"{type(value).__name__} came out of the decoder and has no encoding")


def _hashable_or_not(value: Any) -> None:
    with contextlib.suppress(TypeError):
        hash(value)


def _only_builtin(value: Any) -> None:
    assert type(value) in _ALLOWED, type(value)
    if isinstance(value, dict):
        for key, item in value.items():
            _only_builtin(key)
            _only_builtin(item)
    elif isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        for item in value:
            _only_builtin(item)


def _stream(body: bytes) -> None:
    """The same frames come out however the bytes arrive."""
    limit = 1 << 16
    whole, parts = bytearray(body), bytearray()
    first: list[bytes] = []
    second: list[bytes] = []
    ended = ""
    try:
        while (frame := wire.split(whole, limit)) is not None:
            first.append(frame)
    except wire.FrameTooLongError:
        ended = "too long"
    try:
        for start in range(0, len(body), 3):
            parts += body[start : start + 3]
            while (frame := wire.split(parts, limit)) is not None:
                second.append(frame)
    except wire.FrameTooLongError:
        assert ended == "too long"
    assert first == second
    assert sum(4 + len(frame) for frame in first) + len(whole) == len(body)
    for frame in first:
        with contextlib.suppress(wire.WireError):
            wire.load(frame)


def _talk(body: bytes, *, handles: bool, mutates: bool) -> None:
    """A candidate that says this and no more: each question ends as a test may see it end."""
    ours, theirs = socket.socketpair()
    with ours, theirs, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine that nobody awaits
        theirs.setblocking(False)
        theirs.send(body)
        theirs.shutdown(socket.SHUT_WR)
        remote = Remote(
            ours, wall_seconds=5.0, reply_bytes=1 << 16, handles=handles, mutates=mutates
        )
        remote.know_exceptions({"Mine": type("Mine", (ValueError,), {})})
        for _question in range(64):
            try:
                _ask(remote)
            except Lost:
                break
            except (NotBuiltinError, Thrown):
                continue
            except Exception as error:
                _is_the_candidates(error)
        assert remote.lost is not None, "64 answers and no end"
        assert remote.lost.reason in ("gone", "protocol"), remote.lost.reason


def _is_the_candidates(error: Exception) -> None:
    """Whether it is what the candidate says that it raised, and no fault of ours."""
    stop = isinstance(error, RuntimeError) and "StopIteration" in str(error)
    assert stop or hasattr(error, "__remote__"), repr(error)


def _ask(remote: Remote) -> None:
    if not remote.calls:
        remote.ready()
    arguments = ([3], {1: 2}, len)
    _use(remote.ask("call", {"g": "f"}, arguments, {}))
    assert type(arguments[0]) is list
    assert type(arguments[1]) is dict


def _use(value: Any) -> None:
    """What a test does with a value."""
    if isinstance(value, (Handle, _RemoteIterator)):
        with contextlib.suppress(TypeError, AttributeError):
            bool(value == 1)
            repr(value)
            next(iter(value), None)
    elif hasattr(value, "cr_await"):
        value.close()
    elif type(value) in _ALLOWED:
        _hashable_or_not(value)


def describe(data: bytes) -> str:
    """The data as a person would look at it."""
    if data[:1] < b"\2":
        return repr(data)
    frames, at = [], 1
    while at + 4 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        frames.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return f"way {data[0]}: {frames}"
