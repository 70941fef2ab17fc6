"""Where keys may be sent: not to an address that the repository under repair has set itself."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from agent.settings import Settings, SettingsError, file_values

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")


def check_addresses(settings: Settings, repository: Path) -> None:
    """Refuses a server elsewhere that a file of the repository names, where a key would go to it.

    Whoever changes a repository can change its `pyproject.toml`, and must not get keys by that.

    Raises:
        SettingsError: there is such an address.
    """
    file, values = file_values()
    if not file.resolve().is_relative_to(repository.resolve()):
        return
    if settings.api_key is None and not any(os.environ.get(name) for name in _KEYS):
        return
    for name in ("base_url", "base_urls"):
        given = getattr(settings, name)
        if name not in values or given != values[name]:
            continue  # a flag or the environment has said something else
        for address in given.values() if isinstance(given, dict) else (given,):
            if urlsplit(address).hostname not in _LOOPBACK:
                raise SettingsError(
                    f"{name} is set to {address} in {file}, which belongs to the repository: "
                    f"no key is sent there; say so yourself, with REGREEN_{name.upper()}"
                )
