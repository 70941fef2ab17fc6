"""`regreen doctor`: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import json

from agent.cli import interrupt, options
from agent.cli.exits import Exit
from agent.cli.output import emit, short


def doctor(as_json: options.AsJson = False) -> int:
    """Check engine, image, kernel, isolation, model and name clashes."""
    from agent.doctor import examine
    from agent.settings import load_settings

    settings = load_settings()
    findings = interrupt.run(lambda: examine(settings))
    if as_json:
        emit(json.dumps([finding.model_dump(mode="json") for finding in findings], indent=2))
    else:
        for finding in findings:
            emit(f"{finding.state:<8} {finding.what}: {short(finding.found, 300)}")
            if finding.advice:
                emit(f"         → {short(finding.advice, 300)}")
    works = any(
        finding.what.startswith("sandbox ") and finding.state == "ok" for finding in findings
    )
    return Exit.VERIFIED if works else Exit.INFRASTRUCTURE
