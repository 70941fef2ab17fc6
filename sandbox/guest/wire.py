"""Frames and values between processes that don't trust each other.

A frame is a four-byte big-endian length and that many bytes of JSON. Values are JSON where JSON
says exactly what Python means, and otherwise an object with a single key, the tag:

    t tuple   s set   f frozenset   d dict (pairs)   o dict with str keys   b bytes   y bytearray
    c complex   n nan or infinity   i big int (hex)   r range   e Ellipsis   q deque
    m memoryview   v view of a dict (keys, values, items)   l slice   a array.array
    x value of a known standard type (Decimal, Fraction, date ...)

Tags that only one side may send (handles, callbacks, iterators) are given to the encoder and the
decoder by that side. Decoding builds exact builtin types and nothing else; it never unpickles.
"""

from __future__ import annotations

import array
import base64
import collections
import datetime
import decimal
import fractions
import json
import math
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

FRAME_LIMIT = 64 * 1024 * 1024
"""Bytes of the longest frame between trusted processes."""

_HEADER = struct.Struct(">I")
_TIMEVAL = struct.Struct("@ll")
_PIECE, _MOST = 4096, 1 << 20
"""Bytes that are asked for at a time: of a small frame with what follows it, and of a large one."""
_SAFE_INT = 1 << 53
_PLAIN = frozenset({str, bool, type(None)})
_TYPECODES = frozenset("bBhHiIlLqQfdu")
_FORMATS = frozenset("bBhHiIlLqQnNfd?c")


class WireError(Exception):
    """The peer sent something that is no frame, or a frame that is no value."""


class FrameTooLongError(WireError):
    """A frame is longer than this reader takes."""


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not allowed")


# json.dumps and json.loads would make these anew for each frame: 3 of the 4.5 µs that they took.
_TO_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_make = json.encoder.c_make_encoder  # type: ignore[attr-defined]
# no check for circles: those end in a RecursionError
_ESCAPED, _CHECKS = json.encoder.encode_basestring_ascii, (False, False, False)
_chunks = _make and _make(None, _TO_JSON.default, _ESCAPED, None, ":", ",", *_CHECKS)
# The scanner itself takes no blanks around a value, and we send none.
_scan = json.JSONDecoder(parse_constant=_refuse_constant).scan_once  # type: ignore[attr-defined]


def dump(message: object) -> bytes:
    """One frame, header included."""
    body = text(message)
    return _HEADER.pack(len(body)) + body


def text(message: object) -> bytes:
    """A message's JSON."""
    if _chunks is None:
        return _TO_JSON.encode(message).encode()
    return "".join(_chunks(message, 0)).encode()


def numbered(number: int, request: bytes) -> bytes:
    """The frame of a request: its number, and the text of all the rest, which is an object."""
    body = b'{"c":%d,%b' % (number, request[1:])
    return _HEADER.pack(len(body)) + body


def load(body: bytes | bytearray) -> Any:
    """The JSON of one frame.

    Raises:
        WireError: the bytes are no JSON, or nested too deep.
    """
    try:
        told = body.decode("utf-8", "surrogatepass")
        value, end = _scan(told, 0)
    except StopIteration:
        raise WireError("a frame is no JSON: there is no value in it") from None
    except (ValueError, RecursionError) as error:
        raise WireError(f"a frame is no JSON: {error}") from None
    if end != len(told):
        raise WireError("a frame is no JSON: there is more than one value in it")
    return value


def split(buffer: bytearray, limit: int = FRAME_LIMIT) -> bytes | None:
    """Takes the first whole frame's body out of `buffer`, or returns `None` if it isn't there yet.

    Raises:
        FrameTooLongError: the announced length is over `limit`.
    """
    if len(buffer) < 4:
        return None
    (length,) = _HEADER.unpack_from(buffer)
    if length > limit:
        raise FrameTooLongError(f"a frame of {length} bytes, at most {limit} are taken")
    if len(buffer) < 4 + length:
        return None
    body = bytes(buffer[4 : 4 + length])
    del buffer[: 4 + length]
    return body


class Reader:
    """Frames of one conversation, with as few system calls as can be.

    Args:
        sock: a blocking stream socket that nobody else reads from.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._patience = 0.0

    def receive(self, limit: int = FRAME_LIMIT, *, deadline: float | None = None) -> Any:
        """The next frame. `None` at a clean end of file.

        Args:
            limit: bytes of the longest frame that is taken.
            deadline: on the monotonic clock, for the frame as a whole, however slowly it drips in.

        Raises:
            WireError: the stream ends inside a frame, or the frame is malformed or too long.
            TimeoutError: the deadline has passed.
        """
        buffer = self._buffer
        wanted = 4
        while len(buffer) < wanted or len(buffer) < (wanted := self._end(limit)):
            if deadline is not None:
                self._be_patient(deadline - time.monotonic())
            try:
                # no `min` here: a program may have replaced it, and is the only one to suffer
                data = self._sock.recv(_PIECE if wanted - len(buffer) <= _PIECE else _MOST)
            except BlockingIOError:
                raise TimeoutError from None
            if not data:
                if buffer:
                    raise WireError("the stream ends inside a frame")
                return None
            buffer += data
        body = buffer[4:wanted]
        del buffer[:wanted]
        return load(body)

    def _end(self, limit: int) -> int:
        (length,) = _HEADER.unpack_from(self._buffer)
        if length > limit:
            raise FrameTooLongError(f"a frame of {length} bytes, at most {limit} are taken")
        return 4 + int(length)

    def _be_patient(self, seconds: float) -> None:
        """Has the kernel wait for so long, give or take a tenth; told anew only when it matters."""
        if seconds <= 0:
            raise TimeoutError
        if not 0.9 * self._patience < seconds <= self._patience:
            self._patience = seconds
            amount = _TIMEVAL.pack(int(seconds), int(seconds % 1 * 1_000_000) or 1)
            for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self._sock.setsockopt(socket.SOL_SOCKET, direction, amount)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes every byte to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


Fallback = Callable[[object], object]
Builder = Callable[[Any], object]


class Encoder:
    """Turns values into JSON-able ones.

    Args:
        fallback: called with a value of any other type; returns what to send for it, or raises
            `TypeError`.
    """

    def __init__(self, fallback: Fallback) -> None:
        self._fallback = fallback

    def __call__(self, value: object) -> object:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is int:
            return value if -_SAFE_INT < value < _SAFE_INT else {"i": hex(value)}  # type: ignore[operator, arg-type]
        if kind is float:
            return value if math.isfinite(value) else {"n": repr(value)}  # type: ignore[arg-type]
        if kind is list:
            return [self(item) for item in value]  # type: ignore[attr-defined]
        make = _ENCODERS.get(kind)
        return make(self, value) if make is not None else self._fallback(value)


def _pairs(encode: Encoder, value: dict[Any, Any]) -> object:
    if all(type(key) is str for key in value):
        return {"o": {key: encode(item) for key, item in value.items()}}
    return {"d": [[encode(key), encode(item)] for key, item in value.items()]}


def _items(tag: str) -> Callable[[Encoder, Any], object]:
    return lambda encode, value: {tag: [encode(item) for item in value]}


def _view_parts(value: memoryview) -> list[Any]:
    shape = list(value.shape or ())
    return [base64.b64encode(value.tobytes()).decode(), value.format, shape]


def _standard(name: str, parts: Callable[[Any], object]) -> Callable[[Encoder, Any], object]:
    return lambda _encode, value: {"x": [name, parts(value)]}


def _view(name: str) -> Callable[[Encoder, Any], object]:
    return lambda encode, value: {"v": [name, [encode(item) for item in value]]}


_ENCODERS: dict[type, Callable[[Encoder, Any], object]] = {
    tuple: _items("t"),
    set: _items("s"),
    frozenset: _items("f"),
    dict: _pairs,
    collections.deque: _items("q"),
    bytes: lambda _encode, value: {"b": base64.b64encode(value).decode()},
    bytearray: lambda _encode, value: {"y": base64.b64encode(value).decode()},
    complex: lambda encode, value: {"c": [encode(value.real), encode(value.imag)]},
    range: lambda _encode, value: {"r": [hex(value.start), hex(value.stop), hex(value.step)]},
    array.array: lambda _encode, value: {
        "a": [value.typecode, base64.b64encode(value.tobytes()).decode()]
    },
    memoryview: lambda _encode, value: {"m": _view_parts(value)},
    **{
        type(getattr(some(), name)()): _view(name)
        for some in (dict, collections.OrderedDict)
        for name in ("keys", "values", "items")
    },
    slice: lambda encode, value: {
        "l": [encode(value.start), encode(value.stop), encode(value.step)]
    },
    type(Ellipsis): lambda _encode, _value: {"e": 0},
    decimal.Decimal: _standard("Decimal", str),
    fractions.Fraction: _standard(
        "Fraction", lambda value: [hex(value.numerator), hex(value.denominator)]
    ),
    datetime.date: _standard("date", lambda value: value.isoformat()),
    datetime.datetime: _standard("datetime", lambda value: value.isoformat()),
    datetime.time: _standard("time", lambda value: value.isoformat()),
    datetime.timedelta: _standard(
        "timedelta", lambda value: [value.days, value.seconds, value.microseconds]
    ),
}

BASES: tuple[type, ...] = (int, float, str, bytes, bytearray, tuple, list, dict, frozenset, set)


def plain(value: object) -> object:
    """The builtin value inside an instance of a subclass (a named tuple, an `IntEnum`, a Counter).

    Goes round every method that the subclass may have replaced.

    Raises:
        TypeError: the value is no builtin in any dress.
    """
    for base in BASES:
        if isinstance(value, base) and issubclass(type(value), base):
            if base is int:
                return int.__index__(value)  # type: ignore[arg-type]
            if base is float:
                return float.__float__(value)  # type: ignore[arg-type]
            if base is str:
                return str.__str__(value)
            if base is dict:
                return dict(dict.items(value))  # type: ignore[arg-type]
            if base in (bytes, bytearray):
                return base(memoryview(value))  # type: ignore[arg-type]
            return base(base.__iter__(value))  # type: ignore[attr-defined]
    raise TypeError(f"{type(value).__name__} is no builtin value")


class Decoder:
    """Builds exact builtin values from decoded JSON.

    Args:
        builders: tags that this side takes besides the common ones, with their constructors.
    """

    def __init__(self, builders: dict[str, Builder] | None = None) -> None:
        self._builders = builders or {}

    def __call__(self, data: Any) -> Any:
        """The value.

        Raises:
            WireError: unknown tag, wrong shape, unhashable key, or nested too deep.
        """
        return self._checked(self._value, data)

    def sequence(self, body: Any) -> list[Any]:
        """A list of values; anything else is malformed.

        Raises:
            WireError: as for a single value.
        """
        found: list[Any] = self._checked(self._sequence, body)
        return found

    def _checked(self, build: Builder, data: Any) -> Any:
        try:
            return build(data)
        except WireError:
            raise
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            raise WireError(f"a value is malformed: {type(error).__name__}") from None

    def _value(self, data: Any) -> Any:
        kind = type(data)
        if kind is list:
            return [self._value(item) for item in data]
        if kind is not dict:
            return data
        if len(data) != 1:
            raise WireError("a value has not exactly one tag")
        ((tag, body),) = data.items()
        builder = self._builders.get(tag)
        if builder is not None:
            return builder(body)
        common = _DECODERS.get(tag)
        if common is None:
            raise WireError(f"unknown tag {tag[:20]!r}")
        return common(self, body)

    def _sequence(self, body: Any) -> list[Any]:
        if type(body) is not list:
            raise WireError("a list was expected")
        return [self._value(item) for item in body]

    def pairs(self, body: Any) -> dict[Any, Any]:
        """A dict from a list of pairs."""
        return {self._value(key): self._value(item) for key, item in body}


def _text_keyed(decode: Decoder, body: Any) -> dict[str, Any]:
    if type(body) is not dict:
        raise WireError("an object was expected")
    return {key: decode._value(item) for key, item in body.items()}


def _special_float(_decode: Decoder, body: Any) -> float:
    if body not in ("nan", "inf", "-inf"):
        raise WireError("not a special float")
    return float(body)


def _memoryview(_decode: Decoder, body: Any) -> memoryview:
    data, form, shape = body
    view = memoryview(base64.b64decode(data, validate=True))
    if form == "B" and len(shape) == 1:
        return view
    if type(form) is not str or form not in _FORMATS or 0 in shape:
        raise WireError("a view has no such format")
    return view.cast(form, shape)  # type: ignore[call-overload, no-any-return]


def _plain_array(body: Any) -> array.array[Any]:
    typecode, data = body
    if type(typecode) is not str or typecode not in _TYPECODES:
        raise WireError("an array has no such element type")
    made: array.array[Any] = array.array(typecode)
    made.frombytes(base64.b64decode(data, validate=True))
    return made


def _dict_view(decode: Decoder, body: Any) -> Any:
    name, parts = body
    items = decode._sequence(parts)
    if name == "keys":
        return dict.fromkeys(items).keys()
    if name == "values":
        return dict(enumerate(items)).values()
    if name == "items":
        return dict(items).items()
    raise WireError("unknown view")


def _standard_value(_decode: Decoder, body: Any) -> Any:
    name, parts = body
    if name == "Decimal":
        return decimal.Decimal(parts)
    if name == "Fraction":
        return fractions.Fraction(int(parts[0], 16), int(parts[1], 16))
    if name == "timedelta":
        return datetime.timedelta(*parts)
    if name in ("date", "datetime", "time"):
        return getattr(datetime, name).fromisoformat(parts)
    raise WireError("unknown standard type")


_DECODERS: dict[str, Callable[[Decoder, Any], Any]] = {
    "t": lambda decode, body: tuple(decode._sequence(body)),
    "s": lambda decode, body: set(decode._sequence(body)),
    "f": lambda decode, body: frozenset(decode._sequence(body)),
    "q": lambda decode, body: collections.deque(decode._sequence(body)),
    "d": lambda decode, body: decode.pairs(body),
    "o": _text_keyed,
    "b": lambda _decode, body: base64.b64decode(body, validate=True),
    "y": lambda _decode, body: bytearray(base64.b64decode(body, validate=True)),
    "m": _memoryview,
    "a": lambda _decode, body: _plain_array(body),
    "v": _dict_view,
    "l": lambda decode, body: slice(*decode._sequence(body)),
    "c": lambda decode, body: complex(*decode._sequence(body)),
    "n": _special_float,
    "i": lambda _decode, body: int(body, 16),
    "r": lambda _decode, body: range(*(int(part, 16) for part in body)),
    "e": lambda _decode, _body: Ellipsis,
    "x": _standard_value,
}
