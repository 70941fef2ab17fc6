"""What judges have made of tests, for the next judge of the very same ones.

Rewriting and compiling tests is a tenth of what a verdict costs, and a search asks for many
verdicts on the same tests. It is done by a judge, locked down, before it has heard of its
candidate; here it is text that nobody looks into. A judge in a fresh sandbox gets none of it.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict

from .jobs import Job

_LIMIT = 32 << 20
"""Characters that are kept in all; the tests of a HumanEval task take about 8,000."""


class PreparedTests:
    """Prepared tests by what they were made of, the least recently used dropped first."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._size = 0

    @staticmethod
    def key(job: Job, guest: str) -> str:
        """A name for a job's tests under one guest, empty if there is nothing to prepare.

        Args:
            job: with the tests.
            guest: names the guest and its Python.
        """
        if not any(test["kind"] == "asserts" for test in job.tests):
            return ""
        text = json.dumps([job.tests, job.kind, guest])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def get(self, key: str) -> dict[str, str] | None:
        """What was kept under a key."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: str, prepared: dict[str, str]) -> None:
        """Keeps what a judge has made."""
        if key in self._kept:
            return
        self._kept[key] = prepared
        self._size += sum(map(len, prepared.values()))
        while self._size > self._limit:
            _, dropped = self._kept.popitem(last=False)
            self._size -= sum(map(len, dropped.values()))


PREPARED = PreparedTests()
"""Of this process: sandboxes come and go, and tests stay."""
