"""What a model is asked. Short on purpose: small models follow short requests best."""

from __future__ import annotations

import hashlib
import inspect
from importlib import import_module

from agent.llm.base import Message
from tasks.model import PublicTask, PytestTests, StdioTests

_TESTS_CHARS = 6_000
_CASES_SHOWN = 4
_DECIDE_PROMPTS = (__name__, "agent.llm.proposal_prompts", "agent.search.feedback")


def task_prompt(task: PublicTask) -> tuple[Message, ...]:
    """The chat that asks for one whole program. The task has no hidden tests in it."""
    if task.entry_kind == "program":
        text = _program_request(task)
    elif task.start:
        text = _repair_request(task)
    else:
        text = _completion_request(task)
    return (Message(role="user", content=text),)


def _completion_request(task: PublicTask) -> str:
    kind = "class" if task.entry_kind == "class" else "function"
    parts = [
        f"Complete the following Python {kind}. Answer with the whole {kind} in one ```python "
        "block and nothing else.",
        _block("python", task.prompt),
        _tests(task),
    ]
    return "\n\n".join(part for part in parts if part)


def _repair_request(task: PublicTask) -> str:
    parts = [
        f"This Python program is wrong. Correct `{task.entry_point}` and answer with the whole "
        "corrected program in one ```python block and nothing else.",
        _block("python", task.start),
        f"What it should do:\n\n{task.prompt.strip()}" if task.prompt.strip() else "",
        _tests(task),
    ]
    return "\n\n".join(part for part in parts if part)


def _program_request(task: PublicTask) -> str:
    parts = [
        f"Write a {task.language} program that reads standard input and writes standard output. "
        f"Answer with the whole program in one ```{task.language} block and nothing else.",
        task.prompt.strip(),
        _tests(task),
    ]
    return "\n\n".join(part for part in parts if part)


def _tests(task: PublicTask) -> str:
    """The visible tests, where the prompt doesn't show them already."""
    shown: list[str] = []
    for tests in task.visible:
        if isinstance(tests, StdioTests):
            shown += [
                f"Input:\n{_block('', case.stdin)}\nOutput:\n{_block('', case.stdout)}"
                for case in tests.cases[:_CASES_SHOWN]
            ]
        elif isinstance(tests, PytestTests) or not tests.derived:
            shown.append(_block("python", tests.source[:_TESTS_CHARS]))
    if not shown:
        return ""
    return "It must pass these tests:\n\n" + "\n\n".join(shown)


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```"


def prompts_hash() -> str:
    """A hash of all that decides what is asked, for manifests."""
    digest = hashlib.sha256()
    for name in _DECIDE_PROMPTS:
        digest.update(inspect.getsource(import_module(name)).encode())
    return digest.hexdigest()[:16]
