"""Which error ends with which exit code.

It knows every error by its class, and so imports nearly all there is: only one that ends a command
is a reason to.
"""

from __future__ import annotations

import errno
import sqlite3

from agent.budget import BudgetExhaustedError
from agent.calibration import CalibrationError
from agent.cli.exits import Exit, OutputError, UsageError
from agent.evaluation import ProtocolError
from agent.fix.environment.setup import SetupError
from agent.fix.failed import FailedTestsError
from agent.github.errors import GitHubConfigError, GitHubError
from agent.journal import JournalError
from agent.llm.base import ModelConfigError, ModelError
from agent.reward.model import RewardError
from agent.routing.profile import ProfileError
from agent.run import RunError, RunFolderError
from agent.search.options import StrategyError
from agent.settings import SettingsError
from agent.solving import NoTestsError
from agent.verification import SamplesError
from sandbox.errors import SandboxError, UnknownRuntimeError, UnknownSandboxError
from tasks.model import TaskError
from verifiers.repository import RepositoryError

_CODES: tuple[tuple[type[Exception], Exit], ...] = (
    (UsageError, Exit.USAGE),
    (SettingsError, Exit.USAGE),
    (TaskError, Exit.USAGE),
    (RepositoryError, Exit.USAGE),
    (FailedTestsError, Exit.USAGE),
    (GitHubConfigError, Exit.USAGE),
    (GitHubError, Exit.INFRASTRUCTURE),
    (SamplesError, Exit.USAGE),
    (ProtocolError, Exit.USAGE),
    (NoTestsError, Exit.USAGE),
    (CalibrationError, Exit.USAGE),
    (RunFolderError, Exit.INFRASTRUCTURE),
    (RunError, Exit.USAGE),
    (StrategyError, Exit.USAGE),
    (ProfileError, Exit.USAGE),
    (RewardError, Exit.USAGE),
    (UnknownSandboxError, Exit.USAGE),
    (UnknownRuntimeError, Exit.USAGE),
    (ModelConfigError, Exit.USAGE),
    (BudgetExhaustedError, Exit.BUDGET),
    (OutputError, Exit.INFRASTRUCTURE),
    (SetupError, Exit.INFRASTRUCTURE),
    (ModelError, Exit.INFRASTRUCTURE),
    (SandboxError, Exit.INFRASTRUCTURE),
    (JournalError, Exit.INFRASTRUCTURE),
)
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
    for kind, code in _CODES:
        if isinstance(error, kind):
            return error, code
    if isinstance(error, sqlite3.OperationalError):
        return OutputError(f"a database can't be used: {error}"), Exit.INFRASTRUCTURE
    if isinstance(error, OSError) and error.errno in _MACHINE_AT_ITS_END:
        where = f"{error.filename}: " if error.filename else ""
        return OutputError(f"{where}{error.strerror}"), Exit.INFRASTRUCTURE
    return None
