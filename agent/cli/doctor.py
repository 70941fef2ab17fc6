"""`regreen doctor`: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import anyio

from agent.cli import options
from agent.cli.exits import Exit


def doctor(as_json: options.AsJson = False) -> int:
    """Check engine, image, kernel, isolation, model and name clashes."""
    import json

    from agent.doctor import examine
    from agent.settings import load_settings

    findings = anyio.run(examine, load_settings())
    if as_json:
        print(json.dumps([finding.model_dump(mode="json") for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{finding.state:<8} {finding.what}: {finding.found}")
            if finding.advice:
                print(f"         → {finding.advice}")
    works = any(
        finding.what.startswith("sandbox") and finding.state == "ok" for finding in findings
    )
    return Exit.VERIFIED if works else Exit.INFRASTRUCTURE
