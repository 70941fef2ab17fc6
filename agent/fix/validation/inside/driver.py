"""Calls functions with given inputs and writes down what comes of it, for one version of the code.

Whether that is as it should be is no question here: nothing of what other versions do, and nothing
that a test expects, is in this process.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import itertools
import json
import random
import re
import time
from collections.abc import Iterator
from typing import Any

from .alarm import TimeUp, clear_alarm, set_alarm
from .values import Encoder, StrangeError, _find, decode

CALL_SECONDS = 0.15
"""Cpu time of one call."""
CALL_WALL_SECONDS = 4.0
LOST_SECONDS = 4.0
"""Cpu time of calls that were broken off, together; after that no more are made."""
_PREVIEW = 120
_ITEMS = 1000
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")


class Driver:
    """Makes the calls of one list, as they are asked for.

    Args:
        inputs: each a label of a function, `module:qualified name`, and its encoded arguments.
    """

    def __init__(self, inputs: list[Any]) -> None:
        self._inputs = inputs
        self._lost = 0.0

    def observe(self, start: int, stop: int) -> list[list[str]]:
        """What each of some calls gives: kind, digest, preview.

        The kinds are `value`, `raised`, `hang`, `strange` (the result can't be written down),
        `unready` (the input can't be made here), and `lost` (no call was made).
        """
        return [self._one(*self._inputs[place]) for place in range(start, stop)]

    def _one(self, label: str, given: Any) -> list[str]:
        if self._lost > LOST_SECONDS:
            return ["lost", "", ""]
        try:
            module, _, name = label.partition(":")
            function = _find(module, name)
            arguments, named = decode(given)
        except Exception as error:
            return ["unready", "", type(error).__name__]
        random.seed(0)
        began = time.process_time()
        try:
            return _call(function, arguments, named)
        except TimeUp:
            self._lost += time.process_time() - began
            return ["hang", "hang", ""]
        finally:
            clear_alarm()


def _call(function: Any, arguments: list[Any], named: dict[str, Any]) -> list[str]:
    set_alarm(CALL_SECONDS, CALL_WALL_SECONDS)
    try:
        result = function(*arguments, **named)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        if isinstance(result, Iterator):
            result = ["iterator", *itertools.islice(result, _ITEMS)]
    except TimeUp:
        raise
    except BaseException as error:
        text = f"{type(error).__name__}: {_ADDRESS.sub('', str(error))[:200]}"
        return ["raised", _digest(text), text[:_PREVIEW]]
    return _seen(result, [arguments, named])


def _seen(result: Any, given: Any) -> list[str]:
    """A result, with what has become of the arguments."""
    try:
        text = json.dumps(Encoder(exact=False).encode([result, given]))
    except StrangeError:
        pass
    except Exception as error:
        return ["strange", _digest(type(error).__name__), type(error).__name__]
    else:
        return ["value", _digest(text), _shown(result)]
    try:
        text = json.dumps(Encoder(exact=False).encode(result))
        return ["value", _digest(text), _shown(result)]
    except Exception:
        name = type(result).__name__
        return ["strange", _digest(name), name[:_PREVIEW]]


def _shown(value: Any) -> str:
    return _ADDRESS.sub("", repr(value))[:_PREVIEW]


def _digest(text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=6).hexdigest()
