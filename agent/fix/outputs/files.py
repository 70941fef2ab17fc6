"""Parts of the report that stand in a file by themselves: the patch, the message, the result."""

from __future__ import annotations

import json

from agent.fix.outputs.base import Story
from agent.fix.outputs.safe import inert, plain


def patch(story: Story) -> bytes:
    """The unified diff as `git apply` takes it, byte for byte; empty if there is none."""
    return story.report.diff.encode("utf-8", "surrogatepass")


def commit_message(story: Story) -> bytes:
    """What a commit of the patch should say; empty if there is none."""
    message = inert(plain(story.report.message))
    return f"{message}\n".encode("utf-8", "replace") if message else b""


def result(story: Story) -> bytes:
    """What `--json` prints."""
    return f"{json.dumps(story.report.model_dump(mode='json'))}\n".encode()


def story(story: Story) -> bytes:
    """All that any output is made of: another job makes the rest of it, without running a thing."""
    return f"{json.dumps(story.model_dump(mode='json'))}\n".encode()
