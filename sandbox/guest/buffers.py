"""Arrays of numpy's between processes: element type, shape and bytes; each side builds its own.

An array is `{"N": [dtype, shape, bytes]}`, where `shape` is `None` for a scalar. Only the exact
classes are taken, no subclass, and only element types that are numbers, texts, bytes or times: an
array of objects or of records is refused, and metadata stay behind. numpy is never imported for the
encoding; whoever holds an array has it.
"""

from __future__ import annotations

import base64
import math
import re
import sys
from typing import Any

from . import wire

_DTYPE = re.compile(r"[<>|=][biufcSUmM]\d{1,6}(\[\d{0,6}[a-zA-Z]{1,7}\])?")
_DIMENSIONS = 32
_SIDE = 1 << 40


class NoNumpyError(Exception):
    """An array of numpy's arrived, and there is no numpy here."""


def encode(value: Any) -> object | None:
    """What is sent for an array; `None` if it is none, or of a kind that isn't sent."""
    kind = type(value)
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or not hasattr(numpy, "ndarray"):
        return None
    if kind is numpy.ndarray:
        if not _DTYPE.fullmatch(value.dtype.str):
            return None
        body = base64.b64encode(numpy.ndarray.tobytes(value)).decode()
        return {"N": [value.dtype.str, list(numpy.shape(value)), body]}
    if kind is numpy.dtype or isinstance(value, numpy.dtype):
        text = value.str
        return {"P": [False, text]} if _DTYPE.fullmatch(text) else None
    if kind is type and issubclass(value, numpy.generic):
        name = value.__name__
        return {"P": [True, name]} if getattr(numpy, name, None) is value else None
    if kind.__module__ == "numpy" and issubclass(kind, numpy.generic):
        if getattr(numpy, kind.__name__, None) is not kind:
            return None
        made = numpy.asarray(value)
        if not _DTYPE.fullmatch(made.dtype.str):
            return None
        return {"N": [made.dtype.str, None, base64.b64encode(made.tobytes()).decode()]}
    return None


def is_array(value: object) -> bool:
    """Whether a value is an array or scalar of numpy's, of whatever kind."""
    numpy: Any = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic))


def _numpy() -> Any:
    try:
        import numpy
    except ImportError:
        raise NoNumpyError("returned an array, and the tests' side has no numpy") from None
    return numpy


def element_type(body: Any) -> Any:
    """An element type of numpy's, or the class of its scalars.

    Raises:
        WireError: malformed.
        NoNumpyError: there is no numpy in this process.
    """
    is_class, name = body
    numpy = _numpy()
    if is_class is True and type(name) is str:
        found = getattr(numpy, name, None)
        if isinstance(found, type) and issubclass(found, numpy.generic):
            return found
    elif type(name) is str and _DTYPE.fullmatch(name):
        return numpy.dtype(name)
    raise wire.WireError("no such element type")


def numpy_array(body: Any) -> Any:
    """An array or scalar of this process's own numpy.

    Raises:
        WireError: malformed.
        NoNumpyError: there is no numpy in this process.
    """
    dtype, shape, data = body
    if type(dtype) is not str or not _DTYPE.fullmatch(dtype):
        raise wire.WireError("an array has no such element type")
    sides = [] if shape is None else shape
    if type(sides) is not list or len(sides) > _DIMENSIONS:
        raise wire.WireError("an array has no such shape")
    if not all(type(side) is int and 0 <= side < _SIDE for side in sides):
        raise wire.WireError("an array has no such shape")
    raw = base64.b64decode(data, validate=True)
    numpy = _numpy()
    kind = numpy.dtype(dtype)
    if kind.hasobject or kind.itemsize * math.prod(sides) != len(raw):
        raise wire.WireError("an array has not as many bytes as its shape says")
    if kind.itemsize == 0:
        made: Any = numpy.zeros(sides, kind)
    else:
        made = numpy.frombuffer(raw, dtype=kind).reshape(sides).copy()
    return made[()] if shape is None else made
