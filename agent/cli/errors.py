"""Which error ends with which exit code.

Errors go by their names: whoever raised one has its class, and a command need not import the
classes of all others, nor look for them on a machine that is at its end.
"""

from __future__ import annotations

import errno
import sqlite3

from agent.cli.exits import Exit, OutputError

CODES: tuple[tuple[str, Exit], ...] = (
    ("agent.cli.exits.UsageError", Exit.USAGE),
    ("agent.settings.SettingsError", Exit.USAGE),
    ("tasks.model.TaskError", Exit.USAGE),
    ("verifiers.repository.snapshot.RepositoryError", Exit.USAGE),
    ("agent.fix.failed.FailedTestsError", Exit.USAGE),
    ("agent.github.errors.GitHubConfigError", Exit.USAGE),
    ("agent.github.errors.GitHubError", Exit.INFRASTRUCTURE),
    ("agent.verification.SamplesError", Exit.USAGE),
    ("agent.evaluation.ProtocolError", Exit.USAGE),
    ("agent.solving.NoTestsError", Exit.USAGE),
    ("agent.calibration.CalibrationError", Exit.USAGE),
    ("agent.run.RunFolderError", Exit.INFRASTRUCTURE),
    ("agent.run.RunError", Exit.USAGE),
    ("agent.search.options.StrategyError", Exit.USAGE),
    ("agent.routing.profile.ProfileError", Exit.USAGE),
    ("agent.reward.model.RewardError", Exit.USAGE),
    ("sandbox.errors.UnknownSandboxError", Exit.USAGE),
    ("sandbox.errors.UnknownRuntimeError", Exit.USAGE),
    ("agent.llm.base.ModelConfigError", Exit.USAGE),
    ("agent.budget.BudgetExhaustedError", Exit.BUDGET),
    ("agent.cli.exits.OutputError", Exit.INFRASTRUCTURE),
    ("agent.fix.environment.setup.SetupError", Exit.INFRASTRUCTURE),
    ("agent.llm.base.ModelError", Exit.INFRASTRUCTURE),
    ("sandbox.errors.SandboxError", Exit.INFRASTRUCTURE),
    ("agent.journal.JournalError", Exit.INFRASTRUCTURE),
)
"""The first that an error is or descends from counts."""
_MACHINE_AT_ITS_END = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)


def known_error(error: BaseException) -> tuple[Exception, Exit] | None:
    """The error to tell the user of, and the code to end with; `None` for a fault of ours.

    Of a group (task groups raise them) it is the first one that is known.
    """
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            found = known_error(part)
            if found is not None:
                return found
        return None
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    for name, code in CODES:
        if isinstance(error, Exception) and name in names:
            return error, code
    if isinstance(error, sqlite3.OperationalError):
        return OutputError(f"a database can't be used: {error}"), Exit.INFRASTRUCTURE
    if isinstance(error, OSError) and error.errno in _MACHINE_AT_ITS_END:
        where = f"{error.filename}: " if error.filename else ""
        return OutputError(f"{where}{error.strerror}"), Exit.INFRASTRUCTURE
    return None
