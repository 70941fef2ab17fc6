"""Decomposition: helper functions that are solved and tested apart, and composed in the end.

The model names the helpers as stubs with examples (`decompose`); each is written alone and judged
by its own examples (`helper`); the entry point is written on top of those that were chosen
(`compose`). A step that fails is asked for again alone, so the others are not paid for twice.
Zelikman et al., "Parsel" (2023); Chen et al., "Divide-and-Conquer Meets Consensus" (2024).

The stubs are a model's words: what of them reaches a judge is names, parameters and examples, and
no expression that would be executed with the definition.
"""

from __future__ import annotations

import ast

from agent.llm.base import Completion
from agent.llm.proposal_prompts import compose_prompt, decompose_prompt, helper_prompt
from agent.proposals.base import Ask, Known, Node, Piece, Product
from agent.proposals.parts import bound_names, imports, is_stub, joined, stub, without_names
from agent.proposals.step import answered
from agent.search.base import Proposal
from agent.search.feedback import feedback
from sandbox.outcome import Outcome
from tasks.docstring import docstring_examples
from tasks.model import PublicTask
from verifiers.extract import extract_program
from verifiers.fences import split_fences, split_thought
from verifiers.gate import check_syntax
from verifiers.verdict import Verdict


class Decompose:
    """Asks for helper functions as stubs; `step` says how many at the most."""

    def work(self, proposal: Proposal, known: Known) -> Ask:
        """The task, and a request for stubs."""
        return Ask(decompose_prompt(known.task, max(1, proposal.step)))

    def read(self, proposal: Proposal, completion: Completion, known: Known) -> Product:
        """The stubs that can be used; `left` counts them and the entry point."""
        stubs = _stubs(completion.text, known.task)[: max(1, proposal.step)]
        if not stubs:
            verdict = Verdict(outcome=Outcome.FAILED, reward=0.0, detail="no helper was named")
            return Product("", Piece(0, verdict=verdict))
        verdict = Verdict(outcome=Outcome.PASSED, reward=1.0, detail=f"{len(stubs)} helpers")
        lines = imports(_blocks(completion.text)[0])
        return Product(joined([lines, *stubs]), Piece(len(stubs) + 1, verdict=verdict))


class Helper:
    """Asks for helper number `step` of the parent, again where `uses` names a failed attempt."""

    def work(self, proposal: Proposal, known: Known) -> Ask:
        """The stub alone, with the failed attempt and why it failed."""
        name, source = _helper(known.parent(proposal), proposal.step)
        apart = _apart(known.task, name, source)
        if not proposal.uses:
            return Ask(helper_prompt(source, name=name), apart)
        failed = known.node(proposal, proposal.uses[-1])
        told = feedback(apart, failed.verdict).text()
        return Ask(helper_prompt(source, name=name, failed=failed.program, feedback=told), apart)

    def read(self, proposal: Proposal, completion: Completion, known: Known) -> Product:
        """The helper, which is judged by its own examples."""
        parent = known.parent(proposal)
        name, source = _helper(parent, proposal.step)
        found = answered(completion, known.task, source, name)
        written = joined([imports(known.task.prompt), imports(parent.program), found])
        apart = _apart(known.task, name, source)
        if apart.visible:
            return Product(written, Piece(1, task=apart))
        gate = check_syntax(written, apart)
        outcome = Outcome.PASSED if gate.ok else Outcome.SYNTAX
        detail = gate.reason or "it has no examples"
        verdict = Verdict(outcome=outcome, reward=float(gate.ok), detail=detail)
        return Product(written, Piece(1, verdict=verdict))


class Compose:
    """Asks for the entry point on top of the helpers in `uses`.

    Where one of these is an earlier composition, it failed, and only the entry point is asked for
    again.
    """

    def work(self, proposal: Proposal, known: Known) -> Ask:
        """The task and the helpers' source."""
        helpers, failed = _used(proposal, known)
        source = joined([node.program for node in helpers])
        if failed is None:
            return Ask(compose_prompt(known.task, source), known.task)
        own = without_names(failed.program, bound_names(source))
        told = feedback(known.task, failed.verdict).text()
        return Ask(compose_prompt(known.task, source, failed=own, feedback=told), known.task)

    def read(self, proposal: Proposal, completion: Completion, known: Known) -> Product:
        """The helpers and the entry point as one program; helpers written anew are left out."""
        helpers, _failed = _used(proposal, known)
        sources = [node.program for node in helpers]
        taken = {name for source in sources for name in bound_names(source)}
        entry = extract_program(completion.text, known.task)
        main = without_names(entry, taken - {known.task.entry_point})
        return Product(joined([*sources, main]))


def _used(proposal: Proposal, known: Known) -> tuple[list[Node], Node | None]:
    nodes = [known.node(proposal, index) for index in proposal.uses]
    failed = [node for node in nodes if node.proposal.kind == "compose"]
    return [node for node in nodes if node not in failed], failed[-1] if failed else None


def _stubs(text: str, task: PublicTask) -> list[str]:
    """The helper stubs in an answer: functions at top level that nothing has defined yet."""
    taken = {task.entry_point, *bound_names(task.prompt)}
    found: dict[str, str] = {}
    for block in _blocks(text):
        try:
            tree = ast.parse(block)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name not in taken:
                found.setdefault(node.name, _as_stub(block, node))
    return list(found.values())


def _blocks(text: str) -> list[str]:
    """The blocks of an answer, or all of it where it has none."""
    said, _thought = split_thought(text)
    return [fence.text for fence in split_fences(said, lambda *_: False)] or [said]


def _as_stub(block: str, node: ast.FunctionDef) -> str:
    """The function's head and docstring, whatever the model put into the body."""
    if is_stub(node):
        return stub(block, node.name) + "\n"
    docstring = [one for one in node.body[:1] if ast.get_docstring(node) is not None]
    node.body = [*docstring, ast.Expr(ast.Constant(...))]
    return ast.unparse(node) + "\n"


def _helper(parent: Node, number: int) -> tuple[str, str]:
    """Name and stub of one helper of a decomposition."""
    tree = ast.parse(parent.program)
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return names[number], stub(parent.program, names[number])


def _apart(task: PublicTask, name: str, source: str) -> PublicTask:
    """The task of writing one helper: its stub, and its examples as tests."""
    examples = docstring_examples(source, name)
    return PublicTask(
        id=f"{task.id}#{name}",
        prompt=_inert(source),
        entry_point=name,
        module=task.module,
        visible=(examples,) if examples is not None else (),
        limits=task.limits,
        requirements=task.requirements,
        source=task.source,
    )


def _inert(source: str) -> str:
    """A stub whose definition executes nothing: no decorators, annotations or default values.

    The judge runs a prompt to know its names, and this one was written by a model.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.decorator_list, node.returns = [], None
            arguments = node.args
            arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
            arguments.kw_defaults = [
                None if one is None else ast.Constant(None) for one in arguments.kw_defaults
            ]
        elif isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
