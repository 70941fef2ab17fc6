"""What a model is asked when it goes on from earlier work: a failed program, a plan, a part.

Each chat begins with the words that a fresh sample of the task is asked with, so that servers which
keep prefixes have read that part already. A program that is shown again goes in as the model's own
turn.
"""

from __future__ import annotations

from typing import Literal

from agent.llm.base import Message
from agent.llm.prompts import task_prompt
from tasks.model import PublicTask

_LONGEST_PROGRAM = 8_000
"""Characters of an earlier program that are shown again, about 2,000 tokens."""
_LONGEST_PLAN = 4_000
Role = Literal["system", "user", "assistant"]


def repair_prompt(task: PublicTask, program: str, feedback: str) -> tuple[Message, ...]:
    """Asks for a corrected program, after one that failed.

    Olausson et al., "Is Self-Repair a Silver Bullet for Code Generation?" (2023): a repair is as
    good as the feedback it gets.
    """
    said = f"This is wrong.\n{feedback}" if feedback else "This is wrong."
    return (
        *task_prompt(task),
        _said(task, program),
        _user(f"{said}\n\nCorrect it. {_whole(task)}"),
    )


def plan_prompt(task: PublicTask) -> tuple[Message, ...]:
    """Asks for a plan in words.

    Jiang et al., "Self-Planning Code Generation with Large Language Models" (2023).
    """
    return _then(
        task,
        "But first, before any code: how would you solve it? Answer with a short numbered plan in "
        "plain words, edge cases included, and no code.",
    )


def code_prompt(task: PublicTask, plan: str) -> tuple[Message, ...]:
    """Asks for the program to a plan."""
    return (
        *plan_prompt(task),
        _message("assistant", _cut(plan.strip(), _LONGEST_PLAN)),
        _user(f"Now follow this plan. {_whole(task)}"),
    )


def rate_prompt(task: PublicTask) -> tuple[Message, ...]:
    """Asks how difficult the task is."""
    return _then(
        task,
        "But first, before any code: how difficult is this for you, from 1 (you would surely get "
        "it right) to 5 (you would hardly ever)? Answer with the number and nothing else.",
    )


def step_prompt(task: PublicTask, program: str, name: str, *, last: bool) -> tuple[Message, ...]:
    """Asks for the next open function of a program that grows.

    Args:
        task: as a whole.
        program: as far as it is written, with the open functions as stubs.
        name: the function or method that is wanted.
        last: whether nothing is open after it.
    """
    rest = "" if last else " The other open functions come later: leave them out."
    return _then(
        task,
        f"The program so far:\n\n{_block(task, program)}\n\n"
        f"Now write `{name}` and nothing else, in one ```python block.{rest}",
    )


def complete_prompt(task: PublicTask, program: str) -> tuple[Message, ...]:
    """Asks for all that is still missing in a program that grows."""
    return _then(
        task,
        f"The program so far:\n\n{_block(task, program)}\n\n"
        f"Complete it, keeping what is written. {_whole(task)}",
    )


def decompose_prompt(task: PublicTask, most: int) -> tuple[Message, ...]:
    """Asks for helper functions, as stubs with examples.

    Zelikman et al., "Parsel" (2023); Chen et al., "Divide-and-Conquer Meets Consensus" (2024).
    """
    return _then(
        task,
        f"But first, which helper functions (1 to {most}) would make it easy? Answer with one "
        "```python block that has a stub of each: type hints, a docstring that says what it "
        "returns and has two `>>>` examples, and `...` as the body. Leave out "
        f"`{task.entry_point}`, and solve nothing yet.",
    )


def helper_prompt(
    stub: str, *, name: str, failed: str = "", feedback: str = ""
) -> tuple[Message, ...]:
    """Asks for one helper function alone, again with feedback where it failed before."""
    text = (
        f"Complete the following Python function. Answer with the whole function `{name}` in one "
        f"```python block and nothing else.\n\n```python\n{stub.strip()}\n```"
    )
    if not failed:
        return (_user(text),)
    return (
        _user(text),
        _message("assistant", f"```python\n{_cut(failed.strip())}\n```"),
        _user(f"This is wrong.\n{feedback}\n\nCorrect it, in one ```python block."),
    )


def compose_prompt(
    task: PublicTask, helpers: str, *, failed: str = "", feedback: str = ""
) -> tuple[Message, ...]:
    """Asks for the entry point on top of helper functions that exist.

    Args:
        task: as a whole.
        helpers: their source.
        failed: an earlier attempt at the entry point, which failed.
        feedback: why.
    """
    asked = (
        f"These helper functions exist and are right:\n\n```python\n{_cut(helpers.strip())}\n```"
        f"\n\nWrite `{task.entry_point}` and nothing else, in one ```python block; call the "
        "helpers where they fit."
    )
    if not failed:
        return _then(task, asked)
    return (
        *_then(task, asked),
        _said(task, failed),
        _user(f"This is wrong.\n{feedback}\n\nCorrect `{task.entry_point}` and nothing else."),
    )


def _then(task: PublicTask, text: str) -> tuple[Message, ...]:
    """The task's own request with more behind it, in one turn: servers want turns to alternate."""
    *before, last = task_prompt(task)
    return (*before, _message(last.role, f"{last.content}\n\n{text}"))


def _whole(task: PublicTask) -> str:
    what = {"program": "program", "class": "class"}.get(task.entry_kind, "function")
    return f"Answer with the whole {what} in one ```{task.language} block and nothing else."


def _block(task: PublicTask, program: str) -> str:
    return f"```{task.language}\n{_cut(program.strip())}\n```"


def _said(task: PublicTask, program: str) -> Message:
    return _message("assistant", _block(task, program))


def _user(text: str) -> Message:
    return _message("user", text)


def _message(role: Role, text: str) -> Message:
    """A turn in which whatever an earlier program said can be sent as UTF-8."""
    return Message(role=role, content=text.encode("utf-8", "replace").decode("utf-8"))


def _cut(text: str, longest: int = _LONGEST_PROGRAM) -> str:
    return text if len(text) <= longest else text[:longest].rstrip() + "\n…"
