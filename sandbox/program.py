"""The guest's sources as they are sent over the stream, and the command that takes them in."""

from __future__ import annotations

import functools
import hashlib
import json
import struct
from importlib import resources
from typing import Any

_PACKAGE = "regreen_guest"
_NOT_SENT = ("boot.py",)


@functools.cache
def boot_text() -> str:
    """The text that a bare `python3 -c` runs inside."""
    return (resources.files("sandbox.guest") / "boot.py").read_text(encoding="utf-8")


@functools.cache
def sources() -> dict[str, str]:
    """The guest's modules by the names they have inside."""
    found: dict[str, str] = {}
    for entry in resources.files("sandbox.guest").iterdir():
        if entry.name.endswith(".py") and entry.name not in _NOT_SENT:
            stem = entry.name.removesuffix(".py")
            name = _PACKAGE if stem == "__init__" else f"{_PACKAGE}.{stem}"
            found[name] = entry.read_text(encoding="utf-8")
    return found


@functools.cache
def guest_version() -> str:
    """A hash of the guest's sources; verdicts of different guests are never mixed."""
    text = json.dumps(sources(), sort_keys=True) + boot_text()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def first_frame(config: dict[str, Any]) -> bytes:
    """What a server reads first: its sources and its configuration."""
    body = json.dumps({"sources": sources(), "config": config}).encode()
    return struct.pack(">I", len(body)) + body
