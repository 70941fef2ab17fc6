"""Agreement: the right answer where no test decides, by what independent programs agree on.

Fresh samples are filtered by the visible tests, and those that pass vote by what they do on probes
(`verifiers.inputs`): calls for which nobody knows the answer, but wrong programs differ on them in
many ways and right ones don't. It stops where the next sample isn't worth its price any more: the
answer is settled, or nothing passes and the samples behave as they do where nothing will.

Filter and groups: Chen et al., "CodeT" (2022); stopping: Aggarwal et al., "Let's Sample Step by
Step: Adaptive-Consistency for Efficient Reasoning and Coding with LLMs" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field

from agent.reward.model import RewardModel
from agent.reward.signs import learned
from agent.search.base import Proposal, SearchState, Seen, StrategyOptions, seen
from agent.search.belief import course_of, signs, usual_belief, words_of
from agent.search.options import OwnOptions, StrategyOptionError, read_own
from agent.search.votes import Standing, Vote, Worth, by_size, standing, vote_of
from tasks.model import PublicTask
from verifiers.inputs import PROBES, example_arguments, make_probes
from verifiers.verdict import Verdict


class AgreementOptions(OwnOptions):
    """Options of agreement.

    Attributes:
        probes: calls that each program is observed on, at the most; with 0 the visible tests'
            answers alone are what programs agree on.
        patience: with 2 it goes on until a sample is worth half as much as by default, and tries
            twice as often where nothing passes.
        parallel: samples that may be under way at a time.
        enough: with a learned reward: what a program has to be worth by it to end the search; with
            1 none is.
    """

    probes: int = Field(default=PROBES, ge=0, le=500)
    patience: float = Field(default=1.0, gt=0)
    parallel: int = Field(default=4, ge=1)
    enough: float = Field(default=1.0, gt=0, le=1)


class AgreementState(SearchState):
    """What was seen, and what each program said to the probes."""

    votes: tuple[Vote, ...] = ()
    examples: int = 0
    """Visible tests that the task has, as far as one can count them."""
    words: int = 0
    """Of the prompt."""
    settled: bool = False
    """Whether the next sample was not worth its price."""
    reward: RewardModel | None = None
    """What groups are worth; unset: their size."""

    @property
    def standing(self) -> Standing | None:
        """How the votes of those stand that are still seen."""
        known = {one.index for one in self.seen}
        return standing([vote for vote in self.votes if vote.index in known], self.worth)

    @property
    def worth(self) -> Worth:
        """What groups are worth."""
        return by_size if self.reward is None else learned(self.reward)

    @property
    def best(self) -> Seen | None:
        """The program that the votes believe."""
        stands = self.standing
        if stands is None:
            return None
        return next(one for one in self.seen if one.index == stands.chosen.index)

    @property
    def confidence(self) -> float | None:
        """The probability that `best` is right."""
        stands = self.standing
        if stands is None:
            return None
        return usual_belief().right(signs(self.votes, stands, self.examples))

    @property
    def ending(self) -> str:
        """`agreed` or `hopeless` if it stopped before all samples were drawn."""
        if not self.settled:
            return ""
        return "agreed" if any(vote.passed for vote in self.votes) else "hopeless"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Draws up to `n` samples and takes the one that most agree with.

    Args:
        n: samples at the most.
        temperature: of each.
        exhaustive: draw all of them.
        seed: of the probes.
        reward: what groups are worth, learned from journals; unset: their size.
        own: options of its own.
    """

    n: int = 10
    temperature: float = 0.8
    exhaustive: bool = False
    seed: int = 0
    reward: RewardModel | None = None
    own: AgreementOptions = field(default_factory=AgreementOptions)
    name: str = "agreement"

    def prepared(self, task: PublicTask) -> PublicTask:
        """The task with probes."""
        if not self.own.probes:
            return task
        probes = make_probes(task, count=self.own.probes, seed=self.seed, failures=True)
        return task.model_copy(update={"probes": probes})

    def start(self, task: PublicTask) -> AgreementState:
        """Nothing asked, nothing seen."""
        return AgreementState(
            examples=len(example_arguments(task)),
            words=words_of(task.prompt),
            reward=self.reward,
        )

    def ask(self, state: AgreementState, k: int) -> tuple[AgreementState, tuple[Proposal, ...]]:
        """The next fresh samples, a few ahead of the verdicts."""
        over = state.exhausted or self.finished(state)
        ahead = self.n if self.exhaustive else len(state.seen) + self.own.parallel
        count = 0 if over else max(0, min(k, min(self.n, ahead) - state.asked))
        proposals = tuple(
            Proposal(index=state.asked + offset, temperature=self.temperature)
            for offset in range(count)
        )
        return state.model_copy(update={"asked": state.asked + count}), proposals

    def tell(self, state: AgreementState, proposal: Proposal, verdict: Verdict) -> AgreementState:
        """Counts one more vote, and decides whether the next one is worth having."""
        votes = (*state.votes, vote_of(proposal, verdict))
        settled = False
        if not self.exhaustive and len(votes) < self.n:
            stands = standing(votes, state.worth)
            course = course_of(votes, stands, state.words)
            settled = not usual_belief().patience.goes_on(course, self.own.patience)
            settled = settled or self._is_enough(stands)
        known = (*state.seen, seen(proposal, verdict))
        return state.model_copy(update={"seen": known, "votes": votes, "settled": settled})

    def _is_enough(self, stands: Standing | None) -> bool:
        """Whether the learned reward is sure of a program that passes."""
        if self.reward is None or stands is None or not stands.chosen.passed:
            return False
        return self.own.enough < 1 and stands.worth >= self.own.enough

    def finished(self, state: AgreementState) -> bool:
        """When all are drawn, or the next one was not worth it."""
        return state.settled or len(state.seen) >= self.n


def build(options: StrategyOptions) -> Agreement:
    """From what the user set.

    Raises:
        StrategyOptionError: an option that agreement doesn't have, or one that asks for a learned
            reward where there is none.
    """
    own = read_own("agreement", AgreementOptions, options)
    if own.enough < 1 and options.reward is None:
        raise StrategyOptionError("option enough of strategy agreement: it needs --reward-model")
    return Agreement(
        n=options.n,
        temperature=options.temperature,
        exhaustive=options.exhaustive,
        seed=options.seed,
        reward=options.reward,
        own=own,
    )
