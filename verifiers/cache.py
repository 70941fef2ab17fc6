"""Verdicts by content, so that the same program is not run twice against the same tests.

A convenience: a cache that can't be read or written is no reason to stop, so its faults end the
cache and not the run.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path

from sandbox.folders import cache_folder
from sandbox.outcome import Outcome

from .verdict import Verdict

_WAIT_SECONDS = 1.0
"""For a database that another process has locked; everything else waits meanwhile."""
NEVER_CACHED = frozenset({Outcome.TIMEOUT, Outcome.INFRA})
"""Outcomes that another run might not repeat."""


def default_cache_path() -> Path:
    """Where verdicts are kept: `REGREEN_CACHE_DIR`, or the user's cache folder."""
    return cache_folder() / "verdicts.sqlite"


class VerdictCache:
    """A table from content key to verdict.

    Args:
        path: the database; `None` keeps it in memory for this run only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self.fault = ""
        """Why the cache is out of use, if it is."""
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                str(path or ":memory:"),
                check_same_thread=False,
                isolation_level=None,
                timeout=_WAIT_SECONDS,
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=OFF")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, body TEXT NOT NULL)"
            )
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def get(self, key: str) -> Verdict | None:
        """The verdict known for this key, marked as cached."""
        row = None
        with self._lock:
            if self._database is None:
                return None
            try:
                row = self._database.execute(
                    "SELECT body FROM verdicts WHERE key = ?", (key,)
                ).fetchone()
            except sqlite3.Error as error:
                self._give_up(error)
        if row is None:
            return None
        try:
            return Verdict.model_validate(json.loads(row[0])).model_copy(update={"cached": True})
        except ValueError:
            return None  # written by another version

    def put(self, key: str, verdict: Verdict) -> None:
        """Remembers a verdict, unless its outcome could be chance."""
        if (
            verdict.outcome in NEVER_CACHED
            or any(test.outcome in NEVER_CACHED for test in verdict.tests)
            or any(probe.kind in ("timeout", "lost") for probe in verdict.probes)
        ):
            return
        with self._lock:
            if self._database is None:
                return
            try:
                self._database.execute(
                    "INSERT OR REPLACE INTO verdicts VALUES (?, ?)",
                    (key, json.dumps(verdict.model_dump(mode="json"))),
                )
            except sqlite3.Error as error:
                self._give_up(error)

    def close(self) -> None:
        """Closes the database. Idempotent."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _give_up(self, error: Exception) -> None:
        self.fault = f"the verdict cache {self._path} is out of use: {error}"
        if self._database is not None:
            self._database.close()
            self._database = None
