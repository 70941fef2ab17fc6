"""Hands out what was written down: in pieces, as the messages of tests that fail."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

PIECE = 2800
"""Characters of one message; the run's records keep the last 3000 of each."""


def packed(told: Any) -> str:
    """A text for some JSON."""
    return base64.b85encode(zlib.compress(json.dumps(told).encode(), 9)).decode()


def unpacked(text: str, most: int = 64 << 20) -> Any:
    """The JSON of a text.

    Args:
        text: that `packed` made, or that somebody says it made.
        most: bytes that are unpacked.

    Raises:
        ValueError: it is none, or too large.
    """
    try:
        unpack = zlib.decompressobj()
        data = unpack.decompress(base64.b85decode(text), most)
        if unpack.unconsumed_tail:
            raise ValueError("too large")
        return json.loads(data)
    except (zlib.error, RecursionError) as error:
        raise ValueError(str(error)) from None
