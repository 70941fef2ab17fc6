"""Shows what was spent on what, a line for each model."""

from __future__ import annotations

from collections.abc import Sequence

from agent.accounts import Entry, table
from agent.cli.output import short


def ledger_lines(rows: Sequence[Entry]) -> list[str]:
    """A line for each tier and model; none where the totals say it all.

    They do where one model was asked and nothing was cached, only thought, stopped or called off.
    """
    by_model = table(rows, ("tier", "model"))
    if len(by_model) < 2 and not any(_details(row) for row in by_model):
        return []
    lines = []
    for row in by_model:
        about = "about " if row.estimated else ""
        details = "".join(f", {text}" for text in _details(row))
        lines.append(
            f"{row.tier + 1}. {short(row.model, 60) or 'no model'}: {row.samples} samples,"
            f" {about}{row.tokens_in} in, {row.tokens_out} out{details},"
            f" model {row.model_seconds:.1f} s, sandbox {row.sandbox_seconds:.1f} s,"
            f" ${row.cost:.4f}"
        )
    return lines


def _details(row: Entry) -> list[str]:
    told = (
        (row.tokens_cached, "cached"),
        (row.tokens_thinking, "thinking"),
        (row.cut, "stopped early"),
        (row.dropped, "called off"),
    )
    return [f"{count} {what}" for count, what in told if count]
