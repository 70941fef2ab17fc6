"""Where this program keeps what may be fetched or made again: one place for all packages."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

PACKAGES = "site-packages"
"""Name of every folder that packages are installed in. By it, Hypothesis and others tell them from
the code under test, which they look into for constants."""


def cache_folder() -> Path:
    """The root of everything that may be had again: `REGREEN_CACHE_DIR` or the user's cache."""
    root = os.environ.get("REGREEN_CACHE_DIR") or platformdirs.user_cache_dir("regreen")
    return Path(root).expanduser()
