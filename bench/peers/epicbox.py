"""epicbox from PyPI: a container for each program, by a profile, as its documentation shows.

Its last release (1.1.0) is of 2019 and passes urllib3 an argument that was renamed in 2021 and is
gone since urllib3 2. That one name is translated here; everything else runs as it was published.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from collections.abc import Sequence
from typing import Any

from bench.peers.base import TIMEOUT_SECONDS, PeerError, Round, in_threads
from bench.peers.engine import MEMORY_MB, Containers
from bench.programs import Candidate

_PROFILE = "regreen-bench"


class Epicbox(Containers):
    """`epicbox.run` for each candidate: makes a container, copies the program in, starts, removes.

    Its limit on real time counts from before the container starts, so it is twice what a program
    may take; the limit on cpu time is what all have.
    """

    name = "epicbox"
    label = "epicbox"
    most = 20
    protected = True

    def missing(self) -> str:
        """Whether the package is installed, can be imported, and an engine answers."""
        if importlib.util.find_spec("epicbox") is None:
            return "the package epicbox is not installed; the extra `bench` brings it"
        try:
            importlib.import_module("epicbox")
        except Exception as error:  # an old package among new ones
            return f"epicbox can't be imported: {error!r}"
        return super().missing()

    def run(self, candidates: Sequence[Candidate], workers: int) -> Round:
        """There is nothing to start before the first."""
        package = importlib.import_module("epicbox")
        errors = importlib.import_module("epicbox.exceptions")
        self._prepare(package)

        def judge(candidate: Candidate) -> bool:
            result = package.run(
                _PROFILE,
                "python3 main.py",
                files=[
                    {
                        "name": "main.py",
                        "content": candidate.script.encode("utf-8", "surrogatepass"),
                    }
                ],
                limits={
                    "cputime": math.ceil(TIMEOUT_SECONDS),
                    "realtime": 2 * TIMEOUT_SECONDS,
                    "memory": MEMORY_MB,
                },
            )
            return bool(result["exit_code"] == 0 and not result["timeout"])

        with self.failures():
            try:
                return in_threads(judge, candidates, workers, 0.0)
            except errors.EpicBoxError as error:
                raise PeerError(" ".join(str(error).split())[:300]) from None
            finally:
                known = importlib.import_module("epicbox.utils")._DOCKER_CLIENTS
                while known:
                    known.popitem()[1].close()

    def _prepare(self, package: Any) -> None:
        package.configure(profiles=[package.Profile(_PROFILE, self.image)])
        utils: Any = importlib.import_module("epicbox.utils")
        retry: Any = utils.Retry
        if isinstance(retry, type) and not hasattr(
            getattr(retry, "DEFAULT", None), "method_whitelist"
        ):
            utils.Retry = functools.partial(_retry, retry)
        # It takes no label. By its name, a container that is left can be told from those of others.
        sandboxes: Any = importlib.import_module("epicbox.sandboxes")
        sandboxes._SANDBOX_NAME_PREFIX = f"epicbox-{self.run_id}-"


def _retry(original: Any, *, method_whitelist: Any, **named: Any) -> Any:
    return original(allowed_methods=method_whitelist, **named)
