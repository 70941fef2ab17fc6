"""From a repository's files to the tree that is tested and the sandbox that it is tested in."""

from __future__ import annotations

import glob
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from packaging.requirements import Requirement
from pydantic import BaseModel, ConfigDict

from agent.fix.environment.layout import import_roots
from agent.fix.environment.needs import GIVEN, Need, read_needs
from agent.fix.environment.setup import Setup
from agent.fix.environment.sheet import parse
from agent.fix.environment.tables import build_requirements
from agent.fix.environment.test_command import TestCommand
from agent.fix.environment.versions import with_versions
from sandbox.base import Sandbox
from sandbox.errors import RequirementError
from sandbox.registry import SandboxOptions, choose_sandbox
from sandbox.suite import BUILT_PACKAGES
from sandbox.wheels import canonical
from verifiers.repository import RepositoryError, Snapshot, SuiteOptions
from verifiers.repository.settings import read_settings

SETUP_SOURCE = "--setup-cmd"
Say = Callable[[str], None]


class Environment(BaseModel):
    """What a repository's tests need.

    Attributes:
        snapshot: the tree that is tested: the repository's files, and what a build adds.
        needs: requirements from an index.
        roots: folders to import from; empty for the verifier's own choice.
        added: paths that only the tested tree has, or has otherwise: no patch may be of them.
        notes: what was left out or added, in lines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: Snapshot
    needs: tuple[Need, ...] = ()
    roots: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def suite(self, options: SuiteOptions, command: TestCommand | None = None) -> SuiteOptions:
        """How the suite is run in this environment.

        Args:
            options: how it is run otherwise.
            command: what the user wants to have run; the repository's own choice if not given.
        """
        asked = command or TestCommand()
        roots = (*asked.roots, *(self.roots or _default_roots(self.snapshot)))
        forbidden = (*options.rules.forbid, *map(glob.escape, self.added))
        return options.model_copy(
            update={
                "roots": tuple(dict.fromkeys(roots)) if asked.roots else self.roots,
                "installed": True,
                "paths": asked.paths,
                "files": asked.files,
                "arguments": (*options.arguments, *asked.arguments),
                "rules": options.rules.model_copy(update={"forbid": forbidden}),
            }
        )

    def after(self, setup: Setup) -> Environment:
        """This environment as a setup command leaves it: its tree, and what it installed.

        Where it installed another version than a requirement allows, the requirement goes.
        """
        old = self.snapshot.files
        other = {path for path, file in setup.tree.files.items() if old.get(path) != file}
        roots = self.roots
        if any(path.startswith(f"{BUILT_PACKAGES}/") for path in other):
            roots = (*(roots or _default_roots(self.snapshot)), BUILT_PACKAGES)
        versions = dict(pin.partition("==")[::2] for pin in setup.pins)
        needs = [need for need in self.needs if _allows(need, versions.get(need.name))]
        needs += [
            Need(requirement=f"{name}=={version}", name=name, source=SETUP_SOURCE)
            for name, version in versions.items()
            if name not in GIVEN
        ]
        return self.model_copy(
            update={
                "snapshot": setup.tree,
                "added": tuple(sorted({*self.added, *other})),
                "roots": roots,
                "needs": tuple(sorted(needs, key=lambda need: need.requirement)),
            }
        )


def read_environment(
    snapshot: Snapshot,
    folder: Path | None = None,
    *,
    requirements: Sequence[str] = (),
    building: bool = False,
) -> Environment:
    """What a repository needs, read from its files. Nothing of it is run.

    Args:
        snapshot: the repository as it is.
        folder: where it lies, to ask git for a version.
        requirements: what the user names besides.
        building: whether a setup command is run, which may need what a build does (PEP 518).

    Raises:
        RepositoryError: one of its files can't be read, or a named requirement is none.
    """
    read_settings(snapshot)  # what is wrong with them is said before anything is started
    found = read_needs(snapshot)
    needs = {need.requirement: need for need in found.needs}
    for text in requirements:
        parsed = parse(text)
        if isinstance(parsed, str):
            raise RepositoryError(
                f"requirement {text!r}: allowed are a name with extras, versions and markers, such"
                " as 'numpy>=2'; no option, path or address"
            )
        named = Need(requirement=str(parsed), name=canonical(parsed.name), source="--requirement")
        needs[named.requirement] = named
    for text in build_requirements(snapshot.text("pyproject.toml")) if building else ():
        if not isinstance(parsed := parse(text), str):
            build = Need(
                requirement=str(parsed), name=canonical(parsed.name), source="[build-system]"
            )
            needs.setdefault(build.requirement, build)
    added = with_versions(snapshot, folder)
    return Environment(
        snapshot=snapshot.changed(added),
        needs=tuple(needs[text] for text in sorted(needs)),
        roots=import_roots(snapshot),
        added=tuple(sorted(added)),
        notes=found.notes,
    )


def _allows(need: Need, version: str | None) -> bool:
    return version is None or Requirement(need.requirement).specifier.contains(version, True)


def _default_roots(snapshot: Snapshot) -> tuple[str, ...]:
    is_src = any(path.startswith("src/") and path.endswith(".py") for path in snapshot.files)
    return ("src", "") if is_src else ("",)


@asynccontextmanager
async def open_sandbox(
    name: str, options: SandboxOptions, needs: Sequence[Need], *, say: Say
) -> AsyncIterator[tuple[Sandbox, str]]:
    """Opens a sandbox that has all of the needs, or all but optional ones that can't be had.

    Args:
        name: of the sandbox, or `auto`.
        options: without requirements.
        needs: what it is to have.
        say: told of each need that is left out, in a line.

    Yields:
        The sandbox, and why it is this one.

    Raises:
        RequirementError: what the code itself needs can't be had.
        SandboxError: there is no sandbox to be had.
    """
    async with AsyncExitStack() as stack:
        left = tuple(needs)
        while True:
            wanted = tuple(sorted({need.requirement for need in left}))
            asked = options.model_copy(update={"requirements": wanted})
            sandbox, why = await choose_sandbox(name, asked)
            try:
                await stack.enter_async_context(sandbox)
            except RequirementError as error:
                left = _fewer(left, error, say)
                continue
            break
        yield sandbox, why


def _fewer(needs: tuple[Need, ...], error: RequirementError, say: Say) -> tuple[Need, ...]:
    """The needs without the optional one that can't be had.

    Where versions don't go together, optional needs give up theirs.

    Raises:
        RequirementError: it is none of the optional ones.
    """
    if error.conflict:
        freed = tuple(_any_version(need) for need in needs)
        if freed == needs:
            raise error
        say(f"{error.reason}: any version of what only tests need is taken")
        return freed
    blamed = [need for need in needs if need.name == error.name]
    if not blamed:
        raise error
    which = " and ".join(f"{need.requirement} ({need.source})" for need in blamed)
    if not all(need.optional for need in blamed):
        raise RequirementError(
            f"{which} can't be installed: {error.reason}; only wheels are taken", name=error.name
        )
    say(f"{which} can't be installed, and is left out: {error.reason}")
    return tuple(need for need in needs if need not in blamed)


def _any_version(need: Need) -> Need:
    parsed = Requirement(need.requirement)
    if not need.optional or not parsed.specifier:
        return need
    parsed.specifier = type(parsed.specifier)()
    return need.model_copy(update={"requirement": str(parsed)})
