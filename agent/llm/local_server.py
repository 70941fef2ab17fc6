"""Runs the embedded language model in a process of its own, which ends when its parent does.

Run as a script, by path: it imports nothing of this package, and with `python -P` nothing from
the current folder either. One line of JSON on standard input configures it, one line on standard
output gives the address; after that, end-of-file on standard input is the order to stop.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serves until standard input ends or the parent dies."""
    config = json.loads(sys.stdin.buffer.readline())
    die_with_parent(config["parent"])
    # The native library may print; standard output belongs to the one line for the parent.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    server = start(config)
    answer.write(json.dumps({"address": server.listening_address}) + "\n")
    answer.flush()
    while sys.stdin.buffer.read(4096):
        pass
    # A clean shutdown would wait for requests in flight; there is nobody left to read them.
    os._exit(0)


def die_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process when the parent ends, even by `kill -9` (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def start(config: dict[str, Any]) -> Any:
    """Loads the model and opens the server on a free loopback port."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = config["model"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [config["key"]]
    params.n_ctx = config["context"]
    # One thread: a second one spins while it waits for the first, and under load both collapse.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    # One slot: answers that are computed in one batch influence each other's last bits.
    params.n_parallel = 1
    # No reuse of earlier prompts unless a request asks for it: the last bits, and so sampled text,
    # would depend on what was asked before. Measured on nine (prompt, seed) pairs in two orders:
    # with reuse 3 of 9 answers were the same, without it 9 of 9. Whoever asks for it sees to it
    # that the prompt was read whole and alone.
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.ui = False
    params.verbosity = 0
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
