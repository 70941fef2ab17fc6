"""The next step of a program that grows: one of its open functions is written.

The program so far is the task's stub, in which the earlier functions are filled in. It is judged
by what the search can see: the examples in the docstrings of the functions that are written, or,
where the visible tests look at more than the entry point, by these.
"""

from __future__ import annotations

from agent.llm.base import Completion
from agent.llm.proposal_prompts import step_prompt
from agent.proposals.base import Ask, Known, Piece, Product, whole_program
from agent.proposals.parts import fill, open_parts, stub
from agent.search.base import Proposal
from sandbox.outcome import Outcome
from tasks.docstring import docstring_examples
from tasks.model import PublicTask, StdioTests
from verifiers.extract import extract_program
from verifiers.verdict import Verdict

_UNTESTED = Verdict(
    outcome=Outcome.PASSED, reward=1.0, detail="nothing that can be seen tests this step"
)
_NOT_WRITTEN = Verdict(
    outcome=Outcome.SYNTAX, reward=0.0, detail="the answer does not define the function asked for"
)


class Step:
    """Asks for the open function number `step` on top of the parent's program."""

    def work(self, proposal: Proposal, known: Known) -> Ask:
        """The program so far, and the name of what is next."""
        source, parts = _so_far(proposal, known), open_parts(known.task)
        name = parts[proposal.step]
        messages = step_prompt(known.task, source, name, last=proposal.step == len(parts) - 1)
        return Ask(messages, part_of(known.task, source, name))

    def read(self, proposal: Proposal, completion: Completion, known: Known) -> Product:
        """The program with that function in it; whole once nothing is open any more."""
        task, source = known.task, _so_far(proposal, known)
        parts = open_parts(task)
        name = parts[proposal.step]
        left = len(parts) - 1 - proposal.step
        written = fill(source, name, answered(completion, task, source, name))
        if left == 0:
            return Product(written) if written is not None else whole_program(completion, task)
        if written is None:
            return Product(source, Piece(left, verdict=_NOT_WRITTEN))
        judged = _task_so_far(task, parts[: proposal.step + 1])
        if judged is None:
            return Product(written, Piece(left, verdict=_UNTESTED))
        return Product(written, Piece(left, task=judged))


def part_of(task: PublicTask, source: str, name: str) -> PublicTask:
    """The task of writing one function of a source, without a test."""
    alone = {
        "id": f"{task.id}#{name}",
        "prompt": stub(source, name),
        "start": "",
        "entry_point": name.rpartition(".")[2],
        "entry_kind": "function",
        "visible": (),
    }
    return task.model_copy(update=alone)


def answered(completion: Completion, task: PublicTask, source: str, name: str) -> str:
    """The module in an answer to a question for one function.

    Nothing is borrowed from the program around it, but a bare body may complete the stub.
    """
    return extract_program(completion.text, part_of(task, source, name))


def _so_far(proposal: Proposal, known: Known) -> str:
    return known.task.prompt if proposal.parent is None else known.parent(proposal).program


def _task_so_far(task: PublicTask, written: tuple[str, ...]) -> PublicTask | None:
    """A task that the functions written so far should pass; `None` if nothing is known of them."""
    examples = [
        found
        for name in written
        if "." not in name and (found := docstring_examples(task.prompt, name)) is not None
    ]
    if examples:
        named = {
            "id": f"{task.id}#{written[-1]}",
            "entry_point": written[-1],
            "entry_kind": "function",
            "visible": tuple(examples),
        }
        return task.model_copy(update=named)
    bare = {name.rpartition(".")[2] for name in written}
    sources = [tests.source for tests in task.visible if not isinstance(tests, StdioTests)]
    mentioned = any(name in source for name in bare for source in sources)
    return task if mentioned else None
