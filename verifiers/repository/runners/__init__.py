"""What runs a repository's tests: one file a runner, all in one registry."""

from .base import Canaries, Plan, Runner
from .registry import RUNNERS, make_runner, runner_names, runner_of

__all__ = ["RUNNERS", "Canaries", "Plan", "Runner", "make_runner", "runner_names", "runner_of"]
