"""The flags that commands share. `None` means: not given, so a lower source decides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox.jobs import Isolation

_MODEL = "Model"
_SEARCH = "Search"
_BUDGET = "Budget"
_SANDBOX = "Sandbox"
_OUTPUT = "Output"

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="PROVIDER/NAME: openai/gpt-x, local/smollm2-135m, replay/FILE.",
        rich_help_panel=_MODEL,
    ),
]
Cascade = Annotated[
    str | None,
    typer.Option(
        help="Models, cheap first, with commas between: the next where one fails.",
        metavar="A,B,C",
        rich_help_panel=_MODEL,
    ),
]
CascadeSamples = Annotated[
    str | None,
    typer.Option(
        help="Samples of each of them at the most, with commas.",
        metavar="N,N,N",
        rich_help_panel=_MODEL,
    ),
]
CascadeFailures = Annotated[
    int | None,
    typer.Option(
        help="Of a better model's samples, how many repair the best failures before it.",
        rich_help_panel=_MODEL,
    ),
]
EarlyStop = Annotated[
    bool | None,
    typer.Option(
        "--early-stop/--no-early-stop",
        help="Stop answers while they stream that can't end well.",
        rich_help_panel=_MODEL,
    ),
]
SamplesPerCall = Annotated[
    int | None,
    typer.Option(
        help="Samples that one call asks for, for servers that then read the prompt only once.",
        rich_help_panel=_MODEL,
    ),
]
EffortWord = Annotated[
    str | None,
    typer.Option(
        "--effort",
        help="How long the model thinks: none, minimal, low, medium, high, xhigh.",
        rich_help_panel=_MODEL,
    ),
]
ThinkingTokens = Annotated[
    int | None,
    typer.Option(help="Tokens that may be thought besides.", rich_help_panel=_MODEL),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(help="Address of an OpenAI-compatible server.", rich_help_panel=_MODEL),
]
Temperature = Annotated[
    float | None, typer.Option(help="Sampling temperature.", rich_help_panel=_MODEL)
]
TopP = Annotated[float | None, typer.Option(help="Nucleus mass.", rich_help_panel=_MODEL)]
MaxTokens = Annotated[
    int | None, typer.Option(help="Tokens a sample at the most.", rich_help_panel=_MODEL)
]
ModelTimeout = Annotated[
    float | None, typer.Option(help="Seconds for one answer.", rich_help_panel=_MODEL)
]
Strategy = Annotated[
    str | None, typer.Option("--strategy", help="Search algorithm.", rich_help_panel=_SEARCH)
]
StrategyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        help="The strategy's own, as name=value; may be repeated.",
        metavar="NAME=VALUE",
        rich_help_panel=_SEARCH,
    ),
]
Routing = Annotated[
    str | None,
    typer.Option(help="How tasks are routed: full, production, latency.", rich_help_panel=_SEARCH),
]
RoutingProfile = Annotated[
    Path | None,
    typer.Option(
        "--profile", help="A file to route by, of `regreen calibrate`.", rich_help_panel=_SEARCH
    ),
]
RewardFile = Annotated[
    Path | None,
    typer.Option(
        "--reward-model",
        help="A file to rank programs by where tests are few, of `regreen train-reward`.",
        rich_help_panel=_SEARCH,
    ),
]
TierSamples = Annotated[
    str | None,
    typer.Option(
        help="Samples of easy, medium, hard, very hard tasks at the most.",
        metavar="N,N,N,N",
        rich_help_panel=_SEARCH,
    ),
]
TierStrategies = Annotated[
    str | None,
    typer.Option(
        help="Of each: greedy, best-of-n, or thompson, which repairs too.",
        metavar="A,B,C,D",
        rich_help_panel=_SEARCH,
    ),
]
Pool = Annotated[
    int | None,
    typer.Option(
        "--pool", help="Samples of all tasks together, dealt out.", rich_help_panel=_BUDGET
    ),
]
FreeEdits = Annotated[
    int | None,
    typer.Option(
        "--free-edits",
        help="Small edits of each promising program, without a model.",
        rich_help_panel=_SEARCH,
    ),
]
Samples = Annotated[
    int | None,
    typer.Option("--samples-per-task", "-n", help="Samples at the most.", rich_help_panel=_SEARCH),
]
Exhaustive = Annotated[
    bool | None,
    typer.Option("--exhaustive", help="Draw all, even after a pass.", rich_help_panel=_SEARCH),
]
Seed = Annotated[int | None, typer.Option(help="Of everything random.", rich_help_panel=_SEARCH)]
Concurrency = Annotated[
    int | None, typer.Option(help="Calls to the model at a time.", rich_help_panel=_SEARCH)
]
Confirm = Annotated[
    bool | None,
    typer.Option(
        "--confirm/--no-confirm",
        help="Judge a pass again in a fresh sandbox.",
        rich_help_panel=_SANDBOX,
    ),
]
ConfirmSandbox = Annotated[
    str | None,
    typer.Option(help="Backend that a pass is judged again in.", rich_help_panel=_SANDBOX),
]
ConfirmRuntime = Annotated[
    str | None,
    typer.Option(
        help="The engine's runtime that a pass is judged again under: runsc.",
        rich_help_panel=_SANDBOX,
    ),
]
BudgetSamples = Annotated[
    int | None, typer.Option(help="Samples of the whole run.", rich_help_panel=_BUDGET)
]
BudgetTokens = Annotated[
    int | None, typer.Option(help="Tokens in and out of the run.", rich_help_panel=_BUDGET)
]
MaxCost = Annotated[
    float | None, typer.Option(help="Dollars of the whole run.", rich_help_panel=_BUDGET)
]
MaxSeconds = Annotated[
    float | None, typer.Option(help="Wall time of the whole run.", rich_help_panel=_BUDGET)
]
MaxSandboxSeconds = Annotated[
    float | None, typer.Option(help="Run time of all candidates.", rich_help_panel=_BUDGET)
]
Sandbox = Annotated[
    str | None, typer.Option("--sandbox", help="auto, docker, local.", rich_help_panel=_SANDBOX)
]
IsolationLevel = Annotated[
    Isolation | None,
    typer.Option("--isolation", help="A slot, or a container each.", rich_help_panel=_SANDBOX),
]
Slots = Annotated[int | None, typer.Option(help="Programs at a time.", rich_help_panel=_SANDBOX)]
Image = Annotated[
    str | None, typer.Option(help="A container image to use as it is.", rich_help_panel=_SANDBOX)
]
Runtime = Annotated[
    str | None, typer.Option(help="The engine's runtime: runsc.", rich_help_panel=_SANDBOX)
]
AllowReduced = Annotated[
    bool | None,
    typer.Option(
        "--allow-reduced-isolation",
        help="Go on where the machine grants too little; every verdict says so.",
        rich_help_panel=_SANDBOX,
    ),
]
AllowInProcess = Annotated[
    bool | None,
    typer.Option(
        "--allow-in-process",
        help="Run tests that need it in the program's own process; their verdicts say so.",
        rich_help_panel=_SANDBOX,
    ),
]
CpuSeconds = Annotated[
    float | None, typer.Option(help="Cpu time of a program.", rich_help_panel=_SANDBOX)
]
WallSeconds = Annotated[
    float | None, typer.Option(help="Wall time of a program.", rich_help_panel=_SANDBOX)
]
MemoryMb = Annotated[int | None, typer.Option(help="MiB of a program.", rich_help_panel=_SANDBOX)]
Pids = Annotated[
    int | None, typer.Option(help="Processes and threads of a program.", rich_help_panel=_SANDBOX)
]
OutputBytes = Annotated[
    int | None, typer.Option(help="Bytes that a program may print.", rich_help_panel=_SANDBOX)
]
FileMb = Annotated[
    int | None,
    typer.Option(help="MiB of a file, and of scratch space.", rich_help_panel=_SANDBOX),
]
Cache = Annotated[
    bool | None,
    typer.Option(
        "--cache/--no-cache", help="Use verdicts known from before.", rich_help_panel=_SANDBOX
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="JSON on standard output.", rich_help_panel=_OUTPUT)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_OUTPUT)]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write there instead.", rich_help_panel=_OUTPUT),
]
Runs = Annotated[Path | None, typer.Option(help="Folder of run folders.", rich_help_panel=_OUTPUT)]
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume",
        help="Go on with a run: its id or folder; alone, the newest of the same kind.",
        rich_help_panel=_OUTPUT,
    ),
]
