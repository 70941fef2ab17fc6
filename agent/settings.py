"""Every setting, from the first that has it: flag, `REGREEN_*`, `[tool.regreen]`, default."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError as SourceError

from agent.budget import Budget
from agent.llm.base import Effort
from agent.llm.prices import Price
from agent.routing.route import Way
from sandbox.jobs import Isolation, Limits

_DEPTH = 8
"""Folders above the current one in which a pyproject.toml is looked for."""
_FLAGS = {"n": "--samples-per-task", "strategy_options": "--option"}
"""Flags that are not called as their setting."""


class SettingsError(Exception):
    """A setting is wrong. The message is one line: which, where from, what is allowed."""


DEFAULT_STRATEGY = "adaptive"
DEFAULT_ROUTING = "full"


class Settings(BaseSettings):
    """All settings of a run.

    Attributes:
        model: full name, such as `openai/gpt-x` or `local/smollm2-135m`.
        cascade: models, cheap first, to be asked one after the other instead of `model`.
        cascade_samples: samples of each of them at the most; `n` for each if this isn't set.
        cascade_failures: of the samples of a better model, how many begin with a failure of the
            cheaper ones: those that came closest.
        base_url: address of an OpenAI-compatible server.
        base_urls: addresses by model name, or by a prefix that ends in `*`.
        api_key: for the model; the provider's own variable is used if this isn't set.
        model_timeout: seconds for one answer of the model.
        strategy: name of the search algorithm.
        strategy_options: the algorithm's own options by name; on the command line `name=value`.
        free_edits: edits of each promising program that ask no model; 0 for none.
        routing: name of a shipped profile, by which tasks are routed.
        profile: file of a profile in its place, as `regreen calibrate` writes it.
        reward_model: file of a learned reward, as `regreen train-reward` writes it.
        tier_samples: samples of the four tiers in place of the profile's, from easy to very hard.
        tier_strategies: likewise, how each tier searches.
        pool: samples of all tasks of an evaluation together, dealt out by what they promise.
        n: samples a task at the most.
        temperature: of sampling.
        top_p: nucleus mass of sampling.
        max_tokens: tokens out a sample at the most, thinking aside.
        effort: how long the model thinks, in the servers' words.
        thinking_tokens: tokens a sample that may be thought besides.
        early_stop: stop answers while they stream that can't end well.
        samples_per_call: fresh samples that one call to the model asks for.
        seed: of everything random.
        concurrency: calls to the model at a time; `None` for what suits the model.
        exhaustive: draw all `n` even after a verified pass.
        confirm: judge a pass again in a fresh sandbox before it counts.
        confirm_sandbox: the backend of that sandbox; `None` for the search's own.
        confirm_runtime: the engine's runtime for it; `None` for the search's own.
        cache: use verdicts known from before.
        sandbox: `auto`, `docker`, `local`, or another that is installed.
        isolation: `slot` or `container`.
        slots: programs at a time.
        image: a container image to use as it is.
        base_image: base of the image that is built.
        runtime: the engine's runtime.
        allow_reduced_isolation: accept less than full isolation.
        allow_in_process: run tests that need it in the program's own process.
        cpu_seconds: see `sandbox.Limits`, as for the next four.
        budget_samples: samples of the whole run.
        budget_tokens: tokens in and out of the whole run.
        max_cost: dollars of the whole run.
        max_seconds: wall time of the whole run.
        max_sandbox_seconds: run time of all candidates.
        runs: folder of run folders.
        prices: dollars per million tokens by model name.
    """

    model_config = SettingsConfigDict(
        env_prefix="REGREEN_",
        pyproject_toml_table_header=("tool", "regreen"),
        extra="forbid",
        frozen=True,
    )

    model: str = "local/smollm2-135m"
    cascade: Annotated[tuple[str, ...], NoDecode] = ()
    cascade_samples: Annotated[tuple[Annotated[int, Field(ge=1)], ...], NoDecode] = ()
    cascade_failures: int = Field(default=0, ge=0)
    base_url: str | None = None
    base_urls: dict[str, str] = Field(default_factory=dict)
    api_key: SecretStr | None = None
    model_timeout: float = Field(default=300.0, gt=0)
    strategy: str = DEFAULT_STRATEGY
    strategy_options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    free_edits: int = Field(default=0, ge=0)
    routing: str = DEFAULT_ROUTING
    profile: Path | None = None
    reward_model: Path | None = None
    tier_samples: Annotated[tuple[Annotated[int, Field(ge=1)], ...], NoDecode] = ()
    tier_strategies: Annotated[tuple[Way, ...], NoDecode] = ()
    pool: int | None = Field(default=None, ge=1)
    n: int = Field(default=10, ge=1)
    temperature: float = Field(default=0.8, ge=0, le=5)
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_tokens: int = Field(default=1024, ge=1)
    effort: Effort | None = None
    thinking_tokens: int | None = Field(default=None, ge=1)
    early_stop: bool = True
    samples_per_call: int = Field(default=1, ge=1, le=128)
    seed: int = 0
    concurrency: int | None = Field(default=None, ge=1)
    exhaustive: bool = False
    confirm: bool = True
    confirm_sandbox: str | None = None
    confirm_runtime: str | None = None
    cache: bool = True
    sandbox: str = "auto"
    isolation: Isolation = Isolation.SLOT
    slots: int | None = Field(default=None, ge=1)
    image: str | None = None
    base_image: str | None = None
    runtime: str | None = None
    allow_reduced_isolation: bool = False
    allow_in_process: bool = False
    cpu_seconds: float = Field(default=Limits().cpu_seconds, gt=0)
    wall_seconds: float = Field(default=Limits().wall_seconds, gt=0)
    memory_mb: int = Field(default=Limits().memory_mb, ge=16)
    pids: int = Field(default=Limits().pids, ge=1)
    output_bytes: int = Field(default=Limits().output_bytes, ge=1)
    file_mb: int = Field(default=Limits().file_mb, ge=0)
    budget_samples: int | None = Field(default=None, ge=0)
    budget_tokens: int | None = Field(default=None, ge=0)
    max_cost: float | None = Field(default=None, ge=0)
    max_seconds: float | None = Field(default=None, gt=0)
    max_sandbox_seconds: float | None = Field(default=None, gt=0)
    runs: Path | None = None
    prices: dict[str, Price] = Field(default_factory=dict)
    _flags: dict[str, Any] = PrivateAttr(default_factory=dict)
    """What was given on the command line."""

    @field_validator("strategy_options", mode="before")
    @classmethod
    def _read_options(cls, given: Any) -> Any:
        """Takes `name=value` words as well, with numbers and true or false as what they are."""
        if not isinstance(given, list | tuple):
            return given
        named = [str(word).partition("=") for word in given]
        if not all(name.strip() and mark for name, mark, _ in named):
            raise ValueError("give name=value")
        return {name.strip(): _scalar(value.strip()) for name, _, value in named}

    @field_validator("cascade", "cascade_samples", "tier_samples", "tier_strategies", mode="before")
    @classmethod
    def _read_list(cls, given: Any) -> Any:
        """Takes words with commas between them as well."""
        if not isinstance(given, str):
            return given
        return [word.strip() for word in given.split(",") if word.strip()]

    @model_validator(mode="after")
    def _check_cascade(self) -> Settings:
        if self.cascade_samples and len(self.cascade_samples) != len(self.cascade):
            raise ValueError(
                f"cascade_samples has {len(self.cascade_samples)} numbers and cascade has"
                f" {len(self.cascade)} models: give one number a model"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then pyproject.toml; no dotenv file, no secrets folder."""
        file = PyprojectTomlConfigSettingsSource(settings_cls, toml_file=_pyproject())
        return init_settings, env_settings, file

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are asked, cheap first."""
        return self.cascade or (self.model,)

    @property
    def limits(self) -> Limits:
        """What one program may use, unless its task says otherwise."""
        return Limits(
            cpu_seconds=self.cpu_seconds,
            wall_seconds=max(self.wall_seconds, self.cpu_seconds),
            memory_mb=self.memory_mb,
            pids=self.pids,
            output_bytes=self.output_bytes,
            file_mb=self.file_mb,
        )

    @property
    def routed(self) -> bool:
        """Whether the user has said what tiers of tasks are given."""
        own = self.profile or self.tier_samples or self.tier_strategies
        return bool(own) or self.routing != DEFAULT_ROUTING

    @property
    def budget(self) -> Budget:
        """What the whole run may spend."""
        return Budget(
            samples=self.budget_samples,
            tokens=self.budget_tokens,
            cost=self.max_cost,
            wall_seconds=self.max_seconds,
            sandbox_seconds=self.max_sandbox_seconds,
        )

    @property
    def calls_at_a_time(self) -> int:
        """Calls to the model at a time: the embedded one has a single thread."""
        if self.concurrency is not None:
            return self.concurrency
        return 1 if any(name.startswith("local/") for name in self.models) else 4

    def tasks_at_a_time(self, slots: int) -> int:
        """Tasks of a suite that are searched side by side.

        Args:
            slots: of the sandbox.
        """
        if all(name.startswith("replay/") for name in self.models):
            return slots + 1  # the bank answers at once: the sandbox decides
        return self.calls_at_a_time


def _scalar(text: str) -> bool | int | float | str:
    """A number or a truth value where the text is one; else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


Origin = Literal["flag", "environment", "pyproject.toml", "default"]


def load_settings(flags: dict[str, Any] | None = None) -> Settings:
    """The settings in force.

    Args:
        flags: what was given on the command line; `None` values weren't.

    Raises:
        SettingsError: a value is not allowed, or pyproject.toml can't be read.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    _check_file()
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error, given)) from None
    except SourceError as error:
        raise SettingsError(_explain_source(error)) from None
    settings._flags = given
    return settings


def origins(flags: dict[str, Any] | None = None) -> dict[str, Origin]:
    """Where each setting's value comes from."""
    given = {name for name, value in (flags or {}).items() if value is not None}
    _check_file()
    environment = EnvSettingsSource(Settings)()
    file = PyprojectTomlConfigSettingsSource(Settings, toml_file=_pyproject())()

    def origin(name: str) -> Origin:
        if name in given:
            return "flag"
        if name in environment:
            return "environment"
        return "pyproject.toml" if name in file else "default"

    return {name: origin(name) for name in Settings.model_fields}


def file_values(settings: Settings) -> tuple[Path, dict[str, Any]]:
    """The pyproject.toml that settings are read from, which need not exist, and what it decides.

    What a flag or the environment says as well is left out, even where it is the same; of a table,
    entry by entry, since tables are merged.
    """
    file = _pyproject()
    values = PyprojectTomlConfigSettingsSource(Settings, toml_file=file)()
    for said in (settings._flags, EnvSettingsSource(Settings)()):
        values = dict(_undecided(values, said))
    return file, values


def _undecided(values: dict[str, Any], said: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What of some values a source that goes before theirs does not decide."""
    for name, value in values.items():
        if name not in said:
            yield name, value
        elif isinstance(value, dict) and isinstance(said[name], dict):
            yield name, dict(_undecided(value, said[name]))


def _pyproject() -> Path:
    """The nearest pyproject.toml, from the current folder upwards; it need not exist."""
    name = "pyproject.toml"
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return Path(name)  # the current folder was removed
    folders = [here, *here.parents][: _DEPTH + 1]
    return next((folder / name for folder in folders if (folder / name).is_file()), here / name)


def _check_file() -> None:
    """Reads pyproject.toml as the settings' source will, to say what is wrong with it.

    Raises:
        SettingsError: it can't be read, is no TOML, or has no table where one is expected.
    """
    path = _pyproject()
    if not path.is_file():
        return
    try:
        data = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: no text; TOML in UTF-8 was expected") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise SettingsError(f"{path}: not TOML: nested too deeply") from None
    table = data.get("tool", {})
    for name in ("tool", "tool.regreen"):
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: [{name}] is a table of settings (given: {table!r})")
        table = table.get("regreen", {})


def _explain_source(error: SourceError) -> str:
    """Says which variable of the environment holds no JSON where JSON is needed."""
    named = re.search(r'field "(\w+)"', str(error))
    name = f"REGREEN_{named[1].upper()}" if named else "the environment"
    return f"{name}: JSON was expected, such as {{}}"


def _explain(error: ValidationError, flags: dict[str, Any]) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        known = ", ".join(Settings.model_fields)
        return f"[tool.regreen] in pyproject.toml: unknown setting {name!r}; known are {known}"
    flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
    where = {"flag": flag, "environment": f"REGREEN_{name.upper()}"}.get(
        origins(flags).get(name, ""), f"{name} in [tool.regreen]"
    )
    shown = "" if name == "api_key" else f" (given: {first.get('input')!r})"
    return f"{where}: {first['msg'].lower()}{shown}"
