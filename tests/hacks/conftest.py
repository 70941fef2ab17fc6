"""The sandboxes that the walls are tested with, opened once for all hacks."""

from __future__ import annotations

from tests.sandbox.conftest import backend, open_sandbox

__all__ = ["backend", "open_sandbox"]
