"""What edits of each kind were worth on real programs."""

from __future__ import annotations

LEAST = 0.001
PRIORS: dict[str, float] = {}
