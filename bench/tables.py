"""What the sandbox benchmark found, as tables."""

from __future__ import annotations

from statistics import median

from bench.results import MemoryResults, Results, SetResults, Slope, Spread

_LISTED = 20


def text(results: Results, labels: dict[str, str]) -> str:
    """The tables. `labels` says what to call each peer."""
    width = max(map(len, labels.values())) + 2
    parts = [f"{key}: {value}" for key, value in (results.machine | results.settings).items()]
    parts += [f"skipped: {labels[name]}: {reason}" for name, reason in results.skipped.items()]
    for name, found in results.sets.items():
        parts += _set(name, found, labels, width)
    parts += _alone(results, labels, width)
    parts += _slots(results, labels, width)
    parts += _properties(results, labels)
    for name, memory in results.memory.items():
        parts += _memory(labels[name], memory)
    return "\n".join(parts)


def _set(name: str, found: SetResults, labels: dict[str, str], width: int) -> list[str]:
    parts = [""] if found.asked or found.skipped else []
    parts += [
        f"skipped for {name}: {labels[peer]}: {reason}" for peer, reason in found.skipped.items()
    ]
    if not found.asked:
        return [*parts, *_verdicts(found)]
    parts.append(
        f"{name}, {found.candidates} candidates: judged a second, median (least–most); "
        "seconds to start"
    )
    for peer, asked in found.asked.items():
        start = median(one.start_seconds for one in asked)
        count = len(asked[0].numbers)
        sample = f"  (a sample of {count})" if count < found.candidates else ""
        rates = Spread.of(one.rate for one in asked).text(1)
        parts.append(f"  {labels[peer]:{width}}{rates:>24}  {start:6.2f}{sample}")
    ratios = found.ratios()
    if ratios:
        parts += ["", f"{name}: ratios, median (least–most) over repeats"]
        parts += _ratios(ratios)
    if rest := found.ratios_without_endless():
        many = len(found.endless())
        parts += ["", f"{name}: without {many} candidates that run into the limit everywhere"]
        parts += _ratios(rest)
    return [*parts, *_verdicts(found)]


def _ratios(found: dict[str, list[float]]) -> list[str]:
    return [f"  {pair:30}{Spread.of(values).text(2):>24}" for pair, values in found.items()]


def _verdicts(found: SetResults) -> list[str]:
    parts = []
    for name, count in found.unexecuted.items():
        parts.append(f"{name}: {count} candidates judged without being run")
    for name, ids in found.wrong.items():
        more = f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
        parts.append(f"WRONG: {name} fails right solutions: {', '.join(ids[:_LISTED])}{more}")
    if found.compared:
        same = found.compared - len(found.disagreements)
        parts.append(f"verdicts agree on {same} of {found.compared} candidates")
        for one in found.disagreements[:_LISTED]:
            said = ", ".join(
                f"{name} {'passes' if passed else 'fails'}"
                for name, passed in one["passed"].items()
            )
            parts.append(f"  {one['task']} (candidate {one['candidate']}): {said}")
    return parts


def _alone(results: Results, labels: dict[str, str], width: int) -> list[str]:
    if not results.latencies:
        return []
    parts = ["", "one at a time, median ms a candidate (over a bare fork)"]
    overheads = results.overheads()
    for name, times in results.alone().items():
        over = f"  (+{1000 * overheads[name]:.1f})" if name in overheads else ""
        parts.append(f"  {labels[name]:{width}}{1000 * median(times):8.1f}{over}")
    return parts


def _slots(results: Results, labels: dict[str, str], width: int) -> list[str]:
    if not results.by_slots:
        return []
    counts = list(next(iter(results.by_slots.values())))
    parts = ["", "candidates a second by slots"]
    parts.append(" " * (width + 2) + "".join(f"{count:>9}" for count in counts))
    for name, found in results.by_slots.items():
        cells = "".join(f"{median(found[count]):9.1f}" for count in counts)
        parts.append(f"  {labels[name]:{width}}{cells}")
    return parts


def _properties(results: Results, labels: dict[str, str]) -> list[str]:
    if not results.properties:
        return []
    parts = [
        "",
        "examples of a property a second, median (least–most)",
        f"  {'':38}{'through':>18}{'one process':>18}{'ratio':>20}{'by cpu time':>20}",
    ]
    for sandbox, properties in results.properties.items():
        for name, found in properties.items():
            cells = f"{Spread.of(found.boundary).text(0):>18}{Spread.of(found.plain).text(0):>18}"
            cells += f"{Spread.of(found.ratios()).text(2):>20}"
            cells += f"{Spread.of(found.cpu_ratios()).text(2):>20}"
            parts.append(f"  {labels[sandbox]:16}{name:22}{cells}")
            versions = f"Python {found.python}, Hypothesis {found.hypothesis}"
            parts.append(f"  {'':16}{found.examples} examples a side; {versions}")
    return parts


def _memory(label: str, found: MemoryResults) -> list[str]:
    done = found.samples[-1].done
    rate = done / found.seconds
    parts = [
        "",
        f"{label}: memory over {done} candidates, {rate:.1f} a second, resident MiB",
        f"  {'':12}{'first':>9}{'last':>9}{'most':>9}   MiB for 10,000 candidates, 95 %",
    ]
    for name in ("controller", "guests"):
        values = [getattr(sample, name) for sample in found.samples]
        cells = "".join(f"{value:9.1f}" for value in (values[0], values[-1], max(values)))
        parts.append(f"  {name:12}{cells}   {_slope(getattr(found, name))}")
    cells_seen = len({sample.cell for sample in found.samples})
    parts.append(
        f"  slopes after {found.warm_up} candidates; {cells_seen} pairs of servers were seen, and "
        "the guests' slope is within a pair"
    )
    if found.failed:
        parts.append(f"WRONG: {found.failed} right solutions failed")
    return parts


def _slope(slope: Slope | None) -> str:
    if slope is None:
        return "too few samples"
    return f"{slope.value:+.2f} [{slope.low:+.2f}, {slope.high:+.2f}]"
