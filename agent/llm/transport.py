"""What every provider over HTTP needs: a checked address, and how a broken connection looks."""

from __future__ import annotations

import importlib
import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from agent.llm.base import ModelConfigError


def transport_errors() -> tuple[type[Exception], ...]:
    """What a broken connection raises: the client packages ride on httpx2, older ones on httpx."""
    kinds: list[type[Exception]] = [httpx.HTTPError, httpx.StreamError, OSError]
    with suppress(ImportError):
        httpx2 = importlib.import_module("httpx2")
        kinds += [httpx2.HTTPError, httpx2.StreamError]
    return tuple(kinds)


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address as shown to users, and whether it is on this machine."""

    host: str
    loopback: bool


def check_address(url: str, name: str) -> Address:
    """Reads a base URL.

    Raises:
        ModelConfigError: it is no http(s) address, or holds a password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or parts.scheme not in ("http", "https"):
        shown = repr(url) if "@" not in url else "(not shown)"
        raise ModelConfigError(
            f"{name}: the base URL {shown} is no address; write http(s)://HOST[:PORT]/v1"
        )
    if parts.username or parts.password:
        raise ModelConfigError(
            f"{name}: the base URL holds a user name or password, which would end up in logs;"
            " give it as the key instead"
        )
    return Address(host if port is None else f"{host}:{port}", is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
