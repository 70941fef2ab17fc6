"""The sandboxes that the walls are tested with, opened once for all verifiers."""

from __future__ import annotations

from tests.sandbox.conftest import backend, open_sandbox, opened

__all__ = ["backend", "open_sandbox", "opened"]
