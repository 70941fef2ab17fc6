"""The seam between a search and its prompts: what a kind of proposal asks, and how it reads.

A kind sees the public task and what earlier proposals came to, all of it judged by visible tests;
there is nothing else in its reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.llm.base import Completion, Message
from agent.search.base import Proposal
from tasks.model import PublicTask
from verifiers.extract import extract_program, join_completion
from verifiers.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Node:
    """What an earlier proposal came to.

    Attributes:
        proposal: as it was made.
        text: the model's answer, or empty.
        program: that was read from it; of a piece, as far as it goes.
        verdict: on it.
    """

    proposal: Proposal
    text: str
    program: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Known:
    """All that a kind may look at.

    Attributes:
        task: as the search sees it, without hidden tests.
        nodes: what the earlier proposals came to, by index.
    """

    task: PublicTask
    nodes: Mapping[int, Node]

    def parent(self, proposal: Proposal) -> Node:
        """The node that a proposal goes on from.

        Raises:
            ValueError: it names none, or one that was never told.
        """
        return self.node(proposal, proposal.parent)

    def node(self, proposal: Proposal, index: int | None) -> Node:
        """A node that a proposal names.

        Raises:
            ValueError: there is no such node.
        """
        if index is None or index not in self.nodes:
            raise ValueError(
                f"proposal {proposal.index} ({proposal.kind}) needs an earlier proposal that was "
                f"told, and names {index}: a strategy may only build on what it was told of"
            )
        return self.nodes[index]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the model.

    Attributes:
        messages: the chat.
        wanted: the task whose program the answer should be, the search's own or one of a part of
            it, so that an answer that can't become that may be stopped early; `None` where the
            answer is no program: a plan, or stubs.
    """

    messages: tuple[Message, ...]
    wanted: PublicTask | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A program that was made without a model."""

    program: str


@dataclass(frozen=True, slots=True)
class Piece:
    """What marks a product as no whole program, and how it is judged.

    Attributes:
        left: pieces that have to be written after it.
        task: it is run against this task's visible tests; a part of the search's own task, made
            of what the search can see.
        verdict: where nothing is to be run, the verdict as it stands.
    """

    left: int
    task: PublicTask | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """What was read from an answer; a whole program unless `piece` says otherwise."""

    program: str
    piece: Piece | None = None


class Kind(Protocol):
    """One kind of proposal. Has no state: the same proposal and the same nodes, the same work."""

    def work(self, proposal: Proposal, known: Known) -> Ask | Made | None:
        """What is to be done; `None` where there is nothing to do, as for an edit too many."""
        ...

    def read(self, proposal: Proposal, completion: Completion, known: Known) -> Product:
        """What an answer comes to."""
        ...


def whole_program(completion: Completion, task: PublicTask) -> Product:
    """The whole program in an answer."""
    if completion.kind == "continuation":
        return Product(join_completion(task.prompt, completion.text))
    return Product(extract_program(completion.text, task))
