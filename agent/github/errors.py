"""The errors of GitHub's interface and of pushing to it; each is one line, and none holds a token.

GitHubError
├── GitHubConfigError       a token, an address or a name that can't be right
├── GitHubRefusedError      the request is understood and refused
└── GitHubUnavailableError  no network, a fault of the server, or a limit that lasts too long
"""

from __future__ import annotations


class GitHubError(Exception):
    """Something between us and GitHub went wrong."""


class GitHubConfigError(GitHubError):
    """The user has to change something: a token, its permissions, an address, a name."""


class GitHubRefusedError(GitHubError):
    """GitHub, or git, refuses what was asked.

    Attributes:
        status: of HTTP; 0 if there is none.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class GitHubUnavailableError(GitHubError):
    """It may work later."""
