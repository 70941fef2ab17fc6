"""Settings that a repository under repair can't make for itself.

Whoever changes a repository can change its `pyproject.toml`, and must get neither the user's keys
nor a say in what judges the repository by that.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.settings import Settings, SettingsError, file_values

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
_ISOLATION = ("image", "base_image", "runtime", "allow_reduced_isolation")
"""What the tests run in: a stranger's Python could report whatever it likes of them."""


def check_isolation(settings: Settings, repository: Path) -> None:
    """Refuses what a file of the repository says of the sandbox that is to judge it.

    Raises:
        SettingsError: it names an image or a runtime, or accepts less isolation.
    """
    file, values = _own_values(settings, repository)
    for name in _ISOLATION:
        if name in values and getattr(settings, name):
            raise SettingsError(
                f"{name} is set in {file}, which belongs to the repository: it can't choose what "
                f"judges it; say so yourself, with REGREEN_{name.upper()}"
            )


def check_addresses(settings: Settings, repository: Path) -> None:
    """Refuses a server elsewhere that a file of the repository names, where a key would go to it.

    Raises:
        SettingsError: there is such an address.
    """
    if settings.api_key is None and not any(os.environ.get(name) for name in _KEYS):
        return
    file, values = _own_values(settings, repository)
    for name in ("base_url", "base_urls"):
        given = values.get(name) or ()
        for address in given.values() if isinstance(given, dict) else (given,) if given else ():
            if urlsplit(address).hostname not in _LOOPBACK:
                raise SettingsError(
                    f"{name} is set to {address} in {file}, which belongs to the repository: "
                    f"no key is sent there; say so yourself, with REGREEN_{name.upper()}"
                )


def _own_values(settings: Settings, repository: Path) -> tuple[Path, dict[str, Any]]:
    """The file that settings are read from, and what it decides, if it is the repository's."""
    file, values = file_values(settings)
    return file, values if file.resolve().is_relative_to(repository.resolve()) else {}
