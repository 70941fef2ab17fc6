"""What the agent asks of a language model, and how a model may fail.

ModelError
├── ModelConfigError       wrong name, key or address: exit code 2, no retry
│   └── PromptTooLongError     this one chat doesn't fit the model's context
├── ModelUnavailableError  no usable answer after all retries: exit code 3
└── BankExhaustedError     a replayed bank has no more samples: a clear end, not a fault
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict


class ModelError(Exception):
    """A model gave no usable answer. The message is one line; it never holds a key."""


class ModelConfigError(ModelError):
    """The request can't succeed as configured (unknown model, bad key, no price)."""


class PromptTooLongError(ModelConfigError):
    """The chat is longer than the model's context; other tasks may still fit."""


class ModelUnavailableError(ModelError):
    """The server is down, overloaded for ever, or answers with something that is no answer."""


class BankExhaustedError(ModelError):
    """A replayed bank has no sample left for this task."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(_Frozen):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class Usage(_Frozen):
    """Tokens of one completion.

    Attributes:
        tokens_in: of the prompt, those from a cache included.
        tokens_out: of the answer, thinking included.
        tokens_cached: of the prompt, what the server had read before and kept.
        tokens_thinking: of the answer, what was only thought.
        tokens_written: of the prompt, what the server charged for keeping.
        estimated: whether some count is ours, since the server gave none.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    tokens_thinking: int = 0
    tokens_written: int = 0
    estimated: bool = False


class CallShape(_Frozen):
    """How a test calls the entry point: what any signature has to accept."""

    positional: int = 0
    keywords: tuple[str, ...] = ()


class Watch(_Frozen):
    """What an answer has to become, so that one that can't any more is stopped; see `early`.

    It is made of the task as the search sees it.

    Attributes:
        language: of the program.
        entry_point: the function or class that the program must define; may be empty.
        calls: the ways in which visible tests call it, as far as they can be read off.
        lent: names that the task's own prompt defines, for answers that leave them out.
        prefix: text that the answer continues verbatim; of a chat answer, empty.
    """

    language: str = "python"
    entry_point: str = ""
    calls: tuple[CallShape, ...] = ()
    lent: frozenset[str] = frozenset()
    prefix: str = ""


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


class ModelRequest(_Frozen):
    """One call: a chat and how to sample from it.

    Attributes:
        messages: the chat so far.
        task_id: which task it is for; a replayed bank is looked up by it.
        index: the sample's number within its task, from 0; replay serves by it.
        n: completions wanted from this call.
        temperature: sampling temperature; 0 is greedy.
        top_p: nucleus sampling mass.
        max_tokens: upper bound of tokens out, per completion.
        stop: strings at which a completion ends.
        seed: sampling seed where the server honours one.
        watch: stops the answer while it streams, when it can't end well; `None` lets it go on.
        effort: how long to think, for servers that take a word for it; `None` says nothing.
        thinking: tokens that may be thought on top of `max_tokens`; `None` says nothing.
    """

    messages: tuple[Message, ...]
    task_id: str
    index: int = 0
    n: int = 1
    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    seed: int | None = None
    watch: Watch | None = None
    effort: Effort | None = None
    thinking: int | None = None

    @property
    def tokens_out_most(self) -> int:
        """The most tokens that one answer may have, thinking included."""
        return self.max_tokens + (self.thinking or 0)


class Completion(_Frozen):
    """One answer of a model.

    `kind` is `chat` for an answer in which the program must be found, or `continuation` for
    text that continues the task's prompt verbatim (a replayed bank of completions). `reason` says
    why an answer was `cut`: a word of `early.Reason`, `time`, `size`; or empty, by the server.
    """

    text: str
    usage: Usage
    finish: Literal["stop", "length", "cut"]
    model: str
    seconds: float
    kind: Literal["chat", "continuation"] = "chat"
    reason: str = ""


class Model(Protocol):
    """A language model. Implementations are safe to call from many tasks at once."""

    @property
    def name(self) -> str:
        """The full name, as the user gives it: `openai/gpt-x`, `local/smollm2-135m`."""
        ...

    async def complete(self, request: ModelRequest) -> Sequence[Completion]:
        """Answers one request with up to `request.n` completions.

        Raises:
            ModelError: no usable answer; see the tree above.
        """
        ...

    async def aclose(self) -> None:
        """Frees connections and stops what the model started. Idempotent."""
        ...
