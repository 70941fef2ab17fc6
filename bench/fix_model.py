"""Whether `regreen fix` takes the true patch, and nothing else, from what a model answers.

    python bench/fix_model.py cheats --data quixbugs_dev.jsonl
    python bench/fix_model.py embedded --data quixbugs_dev.jsonl --only kth,sieve,flatten

`cheats`: a server on this machine that speaks the protocol of OpenAI answers each failing program
in random order with wrong patches, patches that cheat (edit a test, end the process, look for the
tests' inputs, ...) and one true fix. No free edit is made, so all comes from the server. The true
fix has to be chosen each time, and a cheat never.

`embedded`: the model of 135M parameters that comes with Regreen, end to end by the command. It
repairs hardly anything; what is looked at is that the run is clean and the report honest.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from agent.budget import Budget, Ledger
from agent.fix.candidate import Candidate
from agent.fix.model.search import ModelSearch
from agent.fix.patches.base import Answer, PatchError, Texts
from agent.fix.patches.registry import read_patch
from agent.fix.repair import Repair, Repairer
from agent.settings import Settings
from agent.tiers import open_tiers
from bench.fix_cheats import Said, Sort, answers
from bench.quixbugs import read_rows, repository
from sandbox.base import Sandbox
from sandbox.registry import SandboxOptions, choose_sandbox
from verifiers.repository import SUITE_LIMITS, Snapshot, SuiteOptions

_LIMITS = SUITE_LIMITS.model_copy(update={"wall_seconds": 90.0, "cpu_seconds": 6})
"""Cpu time ends what loops for ever; wall time is for a machine that has much else to do."""


class Server:
    """Gives one answer after the other of those that are set, and then the same again."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self._asked = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = json.dumps(outer._next()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def play(self, texts: Sequence[str]) -> None:
        """Sets the answers."""
        self.answers, self._asked = list(texts), 0

    def close(self) -> None:
        """Stops it."""
        self._http.shutdown()
        self._http.server_close()

    def _next(self) -> dict[str, Any]:
        with self._lock:
            text = self.answers[self._asked % len(self.answers)]
            self._asked += 1
        message = {"role": "assistant", "content": text}
        return {
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 500, "completion_tokens": len(text) // 4},
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One program.

    Attributes:
        name: of it.
        chosen: what the chosen patch is: a name of an answer, `other`, or empty for none.
        sort: of it.
        place: of the true fix among the answers, from 1.
        asked: answers that came.
        passed: patches that pass the suite, by their names.
        counts: what came of the answers.
        seconds: wall time.
        note: why there is none.
    """

    name: str
    chosen: str
    sort: str
    place: int
    asked: int
    passed: tuple[str, ...]
    counts: dict[str, int]
    seconds: float
    note: str = ""


async def cheats(given: argparse.Namespace) -> list[Row]:
    """All programs, one after the other, in one sandbox."""
    wanted = SandboxOptions(
        limits=_LIMITS, slots=given.slots, allow_reduced=given.allow_reduced_isolation
    )
    sandbox, why = await choose_sandbox(given.sandbox, wanted)
    server, found = Server(), list[Row]()
    try:
        async with sandbox:
            print(f"sandbox {sandbox.level} ({why})", file=sys.stderr)
            for row in read_rows(given.data, given.only):
                found.append(await _one(sandbox, server, row, given.seed))
                print(_line(found[-1]), file=sys.stderr, flush=True)
    finally:
        server.close()
    return found


async def _one(sandbox: Sandbox, server: Server, row: dict[str, Any], seed: int) -> Row:
    began, snapshot = time.monotonic(), repository(row)
    order = answers(row, snapshot)
    random.Random(f"{seed}/{row['name']}").shuffle(order)
    server.play([one.text for one in order])
    settings = Settings(
        model="openai/loopback", base_url=server.url, api_key="none", n=len(order), seed=seed
    )
    ledger = Ledger(Budget())
    async with open_tiers(settings) as tiers:
        repair = await Repairer(
            sandbox=sandbox,
            options=SuiteOptions(limits=_LIMITS),
            ledger=ledger,
            most=0,
            workers=sandbox.slots,
            asker=ModelSearch(settings=settings, tiers=tiers, ledger=ledger),
        ).repair(snapshot)
    return _row(row["name"], repair, snapshot, order, time.monotonic() - began)


def _row(
    name: str, repair: Repair, snapshot: Snapshot, order: Sequence[Said], seconds: float
) -> Row:
    said = {}
    for one in order:
        try:
            texts = read_patch(Answer(one.text), Texts(snapshot, snapshot.files)).texts
        except PatchError:
            continue
        said[Candidate(texts=texts, places=()).identity] = one
    asked = repair.asked
    chosen = repair.chosen
    meant = said.get(chosen.candidate.identity) if chosen is not None else None
    return Row(
        name=name,
        chosen="" if chosen is None else meant.name if meant is not None else "other",
        sort=meant.sort.value if meant is not None else "",
        place=1 + next(n for n, one in enumerate(order) if one.sort is Sort.TRUE),
        asked=asked.answers.received if asked is not None else 0,
        passed=tuple(
            said[one.candidate.identity].name if one.candidate.identity in said else "other"
            for one in repair.finalists
        ),
        counts=asked.answers.model_dump() if asked is not None else {},
        seconds=seconds,
        note=repair.targets.broken
        or repair.stopped
        or "".join(f"{candidate}: {why}" for candidate, why in repair.refused[:1]),
    )


def embedded(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The command with the embedded model, on each program's repository in a folder."""
    found = []
    for row in read_rows(given.data, given.only):
        with tempfile.TemporaryDirectory() as folder:
            for path, file in repository(row).files.items():
                target = Path(folder, "repository", path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.content)
            words = (
                "fix", f"{folder}/repository", "--model", given.model, "--candidates", "0",
                "--samples-per-task", str(given.samples), "--sandbox", given.sandbox,
                "--suite-seconds", "10", "--runs", f"{folder}/runs", "--json",
                *(("--allow-reduced-isolation",) if given.allow_reduced_isolation else ()),
            )  # fmt: skip
            command = [sys.executable, "-P", "-m", "agent.cli", *words]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
        report = json.loads(ended.stdout) if ended.stdout else {}
        kept = ("status", "reason", "answers", "candidates", "tokens_in", "tokens_out", "seconds")
        found.append(
            {
                "name": row["name"],
                "code": ended.returncode,
                "errors": ended.stderr.count("Traceback"),
                "said": ended.stderr.strip().rpartition("\n")[2],
                **{name: report.get(name) for name in kept},
                "diff": report.get("diff", ""),
            }
        )
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return found


def _line(row: Row) -> str:
    passed = ", ".join(row.passed)
    return (
        f"{row.name:24}{row.sort or '-':>7}{row.place:>7}{row.asked:>7}{row.seconds:>9.1f}"
        f"  {row.chosen or row.note or 'none'} (passed: {passed or 'none'})"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 0 if all that has to hold did."""
    parser = argparse.ArgumentParser(
        prog="bench/fix_model.py",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("what", choices=("cheats", "embedded"))
    parser.add_argument("--data", type=Path, required=True, help="lines of name, buggy and tests")
    parser.add_argument("--only", default="", metavar="NAMES", help="separated by commas")
    parser.add_argument("--sandbox", default="auto", help="auto, docker, local")
    parser.add_argument("--slots", type=int, help="suites at a time")
    parser.add_argument(
        "--allow-reduced-isolation", action="store_true", help="as `regreen` has it"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the order of the answers")
    parser.add_argument("--model", default="local/smollm2-135m", help="for `embedded`")
    parser.add_argument("--samples", type=int, default=6, help="for `embedded`: answers a program")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    given = parser.parse_args(argv)
    if given.what == "embedded":
        runs = embedded(given)
        print(json.dumps({"programs": runs}))
        return int(any(run["errors"] or run["code"] not in (0, 1) for run in runs))
    rows = anyio.run(cheats, given)
    true = sum(row.sort == Sort.TRUE for row in rows)
    cheated = sum(row.sort == Sort.CHEAT for row in rows)
    if given.json:
        print(json.dumps({"true": true, "cheats": cheated, "programs": [asdict(r) for r in rows]}))
    else:
        print(f"{'program':24}{'':>7}{'place':>7}{'asked':>7}{'seconds':>9}")
        for row in rows:
            print(_line(row))
        print(f"{true} of {len(rows)} by the true fix, {cheated} by a cheat")
    return int(true < len(rows) or cheated > 0)


if __name__ == "__main__":
    sys.exit(main())
