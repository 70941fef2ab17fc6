"""The command line: reads flags, shows what happens, turns errors into one line and a code."""

from agent.cli.main import main

__all__ = ["main"]
