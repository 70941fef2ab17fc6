"""The two kinds of proposals of a repair by a model: a fresh patch, and a correction of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.fix.asking import Situation
from agent.fix.model.attempt import Attempt, AttemptKind, read_attempt
from agent.fix.model.prompts import fenced, first_chat, repair_chat, shortened
from agent.fix.patches.base import Answer
from agent.llm.base import Completion
from agent.proposals.base import Ask, Kind, Known, Node, Product
from agent.proposals.registry import UnknownKindError
from agent.search.base import Proposal
from agent.search.feedback import feedback
from sandbox.outcome import Outcome
from tasks.model import PublicTask
from verifiers.verdict import Verdict

_FAILED_SHOWN = 3
_DIFF = 1_200
TAMPERING = (
    "Your patch interferes with how tests are run or reported. Correct the code that the tests "
    "call instead."
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What both share.

    Attributes:
        situation: what is asked about.
        request: the first request.
        tests: files with tests that have to pass.
    """

    situation: Situation
    request: str
    tests: frozenset[str]

    def read(self, _proposal: Proposal, completion: Completion, _known: Known) -> Product:
        """The patch in an answer, or why there is none, as JSON."""
        answer = Answer(completion.text, cut=completion.finish == "length")
        own = self.situation
        attempt = read_attempt(answer, own.verifier, self.tests, own.language)
        return Product(attempt.model_dump_json())


class FreshPatch(_Kind):
    """Asks for a patch; from the second round on with what failed in the rounds before.

    Those are the rounds that were told as a whole, so what is asked depends on verdicts alone.
    """

    def work(self, proposal: Proposal, known: Known) -> Ask:
        """The first request."""
        before = [one for one in known.nodes.values() if one.proposal.group < proposal.group]
        ordered = sorted(before, key=lambda one: (-one.verdict.reward, one.proposal.index))
        failed: dict[str, str] = {}
        for node in ordered:
            candidate = Attempt.model_validate_json(node.program or "{}").candidate
            if candidate is not None and not node.verdict.passed:
                diff = shortened(candidate.diff(self.situation.snapshot), _DIFF)
                failed.setdefault(diff, why_failed(known.task, node.verdict))
        return Ask(first_chat(self.request, list(failed.items())[:_FAILED_SHOWN]))


class CorrectedPatch(_Kind):
    """Asks for a correction of an answer."""

    def work(self, proposal: Proposal, known: Known) -> Ask:
        """The request, the answer, and what is wrong with it."""
        parent = known.parent(proposal)
        why = why_failed(known.task, parent.verdict)
        if _said_before(parent, known):
            why = f"You have given this very patch before. {why}"
        return Ask(repair_chat(self.request, parent.text, why))


def kinds(situation: Situation, request: str) -> Callable[[str], Kind]:
    """Looks up the kinds by the names that strategies use."""
    tests = frozenset(
        name.partition("::")[0] for name in (*situation.targets.failing, *situation.targets.passing)
    )
    known: dict[str, Kind] = {
        "sample": FreshPatch(situation, request, tests),
        "repair": CorrectedPatch(situation, request, tests),
    }

    def kind_of(name: str) -> Kind:
        if name not in known:
            raise UnknownKindError(
                f"a repair has no proposals of the kind {name!r}: choose a strategy that samples "
                "and repairs"
            )
        return known[name]

    return kind_of


def why_failed(task: PublicTask, verdict: Verdict) -> str:
    """What a model is told of its patch; never what gave tampering away."""
    if verdict.outcome is Outcome.PROTOCOL:
        return TAMPERING
    if not verdict.tests:
        return f"Your answer can't be used: {verdict.detail}."
    if verdict.detail.startswith(SPECIAL):
        return f"Your patch passes the tests, but {verdict.detail.removeprefix(SPECIAL)}."
    return f"Your patch does not do it.\n\n{fenced(feedback(task, verdict).text(), 'text')}"


SPECIAL = "special case: "
"""What the detail of a verdict begins with where a patch is for the tests' inputs only."""


def _said_before(node: Node, known: Known) -> bool:
    """Whether an answer's patch is one that the chain of repairs had already."""
    own = Attempt.model_validate_json(node.program)
    index = node.proposal.parent
    while own.kind is AttemptKind.PATCH and own.candidate is not None and index is not None:
        above = known.nodes[index]
        other = Attempt.model_validate_json(above.program).candidate
        if other is not None and other.identity == own.candidate.identity:
            return True
        index = above.proposal.parent
    return False
