"""Tables of results, as text for the terminal and as Markdown for docs/benchmarks.md.

`python bench/table.py NAME` prints the tables of `bench/results/NAME.json` for the documentation.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CLOSE = 1.1
HEAD = "| images | floor, µs | echoseg, µs | ÷ floor | all others ÷ echoseg |\n|---|---|---|---|---|"


def cases(results: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each case with the times of its contenders, µs per image, the fastest first."""
    for case in dict.fromkeys(row["case"] for row in results):
        times = {row["contender"]: row["microseconds"] for row in results if row["case"] == case}
        yield case, dict(sorted(times.items(), key=lambda item: item[1]))


def sections(results: list[dict[str, Any]], missing: dict[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """Yield each case with its lines for the terminal."""
    for case, times in cases(results):
        ours, floor = times.get("echoseg"), times.get("floor")
        lines = [f"{'contender':44s} {'µs per image':>12s} {'÷ echoseg':>10s} {'÷ floor':>9s}"]
        for name, value in times.items():
            against = [f"{value / other:.2f}" if other else "" for other in (ours, floor)]
            lines.append(f"{name:44s} {value:12.3f} {against[0]:>10s} {against[1]:>9s}")
        yield case, lines + [f"not installed: {name}" for name in missing.get(case, [])]


def markdown(name: str) -> str:
    """The machine, a table for each kind of work, and the contenders that are faster than echoseg or nearly as fast."""
    record = json.loads((HERE / "results" / f"{name}.json").read_text(encoding="utf-8"))
    machine, build, results = record["machine"], record["echoseg"], record["results"]
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items() if version)
    text = [
        f"`bench/results/{name}.json`, {record['date'][:10]}, commit {record['commit'][:7]}: {machine['cpu']}, "
        f"{machine['cpus']} cores, {build['simd_level']}, load {machine['load']} at the end"
        + (f", {machine['gpu']}" if "gpu" in machine else "")
        + f". Python {record['python']}, {versions}."
    ]
    work = ""
    for case, times in cases(results):
        title, _, images = case.rpartition(", N=") if ", N=" in case else case.rpartition(", ")
        if title != work:
            work = title
            text += [f"### {work[0].upper()}{work[1:]}", HEAD]
        text[-1] += "\n" + row(("N=" if ", N=" in case else "") + images, times, record["not_installed"].get(case, []))
    lost = [line for case, times in cases(results) for line in losses(case, times)]
    return "\n\n".join([*text, f"### Faster than echoseg, or within {CLOSE - 1:.0%}", "\n".join(lost)])


def row(case: str, times: dict[str, float], missing: list[str]) -> str:
    ours, floor = times["echoseg"], times.get("floor")
    others = [f"{name} {short(value / ours)}" for name, value in times.items() if name not in ("echoseg", "floor")]
    others += [f"not installed: {name}" for name in missing]
    cells = [case, f"{floor:.2f}" if floor else "", f"{ours:.2f}", short(ours / floor) if floor else ""]
    return f"| {' | '.join([*cells, ' · '.join(others)])} |"


def losses(case: str, times: dict[str, float]) -> list[str]:
    close = {
        name: value / times["echoseg"]
        for name, value in times.items()
        if name != "floor" and not name.startswith("echoseg") and value < CLOSE * times["echoseg"]
    }
    return [f"- {case}: {', '.join(f'{name} {short(ratio)}' for name, ratio in close.items())}"] if close else []


def short(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


if __name__ == "__main__":
    print(markdown(*sys.argv[1:]))
