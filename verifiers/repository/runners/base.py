"""What the verifier asks of a test runner; docs/extending/runner.md says how to add one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from verifiers.repository.options import SuiteOptions
from verifiers.repository.patch import Patch
from verifiers.repository.snapshot import Snapshot


class Canaries(BaseModel):
    """Tests of one run that must fail.

    Attributes:
        texts: whole texts of the files that they are in, new files or pristine ones with more.
        ids: of the tests.
        alone: whether they have files of their own. In a file of others' a canary can't be
            reported where that file could not be collected, and nothing in it passes then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: dict[str, str]
    ids: tuple[str, ...]
    alone: bool = True


class Plan(BaseModel):
    """What one run of a suite is to be.

    Attributes:
        canaries: to be put into the tree.
        files: to run; `None` for the whole suite.
        only: ids of the tests to run, canaries among them; empty for all.
        changed: files of the tree that are the candidate's.
        trace: files of which is told what each test executes, where the runner can tell.
        seed: for random numbers.
        hash_seed: for what else may differ from run to run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    canaries: Canaries
    files: tuple[str, ...] | None = None
    only: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()
    seed: int = 0
    hash_seed: int = 0


class Runner(Protocol):
    """One repository, as the runner of its tests sees it. Nothing of it is executed here.

    Ids of tests begin with their file's path and `::`.

    Args:
        snapshot: the pristine repository.
        options: how its suite is run.

    Raises:
        RepositoryError: the repository's settings can't be read.
    """

    def __init__(self, snapshot: Snapshot, options: SuiteOptions) -> None: ...

    @classmethod
    def recognises(cls, snapshot: Snapshot) -> bool:
        """Whether a repository has tests of this kind. The first runner to say so takes it."""

    def sources(self) -> tuple[str, ...]:
        """The files that a candidate may change, sorted."""

    def check(self, patch: Patch) -> str:
        """Why a patch is refused, in a line; empty if it may be tried."""

    def syntax(self, patch: Patch) -> str:
        """The first syntax error in a patch, in a line; empty if there is none to be seen."""

    def test_files(self) -> list[str]:
        """Files with tests, as far as their names tell, where the suite looks for them."""

    def in_order(self, files: Iterable[str]) -> list[str]:
        """Files with tests in the order in which a run of the whole suite comes to them."""

    def canaries(self, tree: Snapshot, files: Iterable[str], seed: str) -> Canaries:
        """Tests among those of some files that must fail.

        Args:
            tree: the repository as it is run.
            files: of the tests that are run.
            seed: decides names and places; never told to a candidate.
        """

    def traps(
        self, ids: Iterable[str], seed: str, *, beside: Iterable[str] = ()
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        """Makes some of these tests fail, under their own names.

        Args:
            ids: of the tests to choose from.
            seed: decides which.
            beside: other tests, of which some may come to fail with them: a function's parameters.

        Returns:
            The new texts of their files, and which of the ids must fail.
        """

    def order(self, tree: Snapshot, plan: Plan) -> dict[str, Any]:
        """What the guest is told of one run: an order of `sandbox.suite`.

        Args:
            tree: the repository with the patch, without the canaries.
            plan: what is run of it, and how.
        """
