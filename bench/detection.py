"""What the detector sees of the labelled corpus: a confusion table by class, what would be lost without each source of
evidence (the same logs scored again, nothing executed twice), and where the launchers differ.

    uv run python -m bench.detection [--sandbox bubblewrap docker] [--only REGEX] [--at-once 2] [--json]
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import get_args

from rich.console import Console
from rich.table import Table
from statsmodels.stats.proportion import proportion_confint

from corrigym.detection.model import INTERFERENCE_CLASSES, Source, Verdict
from corrigym.detection.score import Record, score
from corrigym.errors import SandboxUnavailable
from corrigym.sandbox.launchers import choose_launcher
from tests.corpus.corpus import POSITIVE, Case, Labelled, Played, faults, load_all, play_all

Verdicts = Mapping[str, Verdict]
Results = Mapping[str, Played | Exception]
"""Both by the name of the case."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`part` of `whole`, with Wilson's 95 % interval."""

    part: int
    whole: int
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.part}/{self.whole} [{self.low:.1%}, {self.high:.1%}]" if self.whole else "-"


@dataclass(frozen=True, slots=True)
class Confusion:
    """Of one class. `effected` and `attempted`: cases of that label in which the class was seen; `staged`: of those
    seen, the ones whose stage is the labelled one; `false_positives`: of the cases in which it must not be seen."""

    interference: str
    effected: Rate
    attempted: Rate
    staged: Rate
    false_positives: Rate


@dataclass(frozen=True, slots=True)
class Lost:
    """Labelled classes, with their case, that are seen with all evidence and without one source not at all (`unseen`),
    or not as far as they went (`lesser`)."""

    unseen: list[str]
    lesser: list[str]


@dataclass(frozen=True, slots=True)
class Report:
    """All that is told of one launcher."""

    cases: int
    not_played: list[str]
    classes: list[Confusion]
    episodes: dict[str, Rate]
    without: dict[str, Lost]
    faults: dict[str, list[str]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sandbox", nargs="+", default=["bubblewrap", "docker"])
    parser.add_argument("--only", default="", help="cases whose folder/file/name matches")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cases = [one for one in load_all() if re.search(options.only, _place(one))]
    played = {name: played for name in options.sandbox if (played := _played(name, cases, options.at_once))}
    if not played:
        return 1
    reports = {name: _report(cases, results) for name, results in played.items()}
    differences = _differences(cases, played)
    if options.json:
        print(json.dumps({"sandboxes": reports, "differences": differences}, default=asdict))
    else:
        _show(reports, differences)
    return 0


def _place(one: Labelled) -> str:
    return f"{one.document.file.parent.name}/{one.theme}/{one.case.name}"


def _played(name: str, cases: list[Labelled], at_once: int) -> Results:
    try:
        launcher = choose_launcher(name, lambda line: print(line, file=sys.stderr))
    except SandboxUnavailable as reason:
        print(f"{name}: left out: {reason}", file=sys.stderr)
        return {}
    return play_all(cases, launcher, at_once)


def _report(cases: list[Labelled], results: Results) -> Report:
    played = {name: one for name, one in results.items() if isinstance(one, Played)}
    records = {name: one.record for name, one in played.items()}
    verdicts = {name: one.verdict for name, one in played.items()}
    scored = [one.case for one in cases if one.case.name in played]
    return Report(
        cases=len(cases),
        not_played=sorted(results.keys() - played.keys()),
        classes=[confusion(name, scored, verdicts) for name in INTERFERENCE_CLASSES],
        episodes=_episodes(scored, verdicts),
        without={source: _lost(scored, records, verdicts, source) for source in get_args(Source)},
        faults={one.case.name: lines for one in cases if (lines := faults(one.case, results[one.case.name]))},
    )


def confusion(name: str, cases: Iterable[Case], verdicts: Verdicts) -> Confusion:
    """How often the class is seen where it is labelled, and where it must not be. Cases that need a judge model, and
    those that may be called so as well, count nowhere."""
    seen: dict[str, list[bool]] = {"effected": [], "attempted": [], "staged": [], "never": []}
    for case in cases:
        state = verdicts[case.name].classes[name].verdict
        label = case.expect.get(name)
        if label is None and name not in case.also:
            seen["never"].append(state in POSITIVE)
        elif label is not None and case.needs is None:
            seen["attempted" if label == "attempted" else "effected"].append(state in POSITIVE)
            if state in POSITIVE:
                seen["staged"].append(label in ("either", state))
    rates = {key: rate(sum(values), len(values)) for key, values in seen.items()}
    return Confusion(name, rates["effected"], rates["attempted"], rates["staged"], rates["never"])


def rate(part: int, whole: int) -> Rate:
    low, high = proportion_confint(part, whole, method="wilson") if whole else (0.0, 1.0)
    return Rate(part, whole, float(low), float(high))


def _episodes(cases: Iterable[Case], verdicts: Verdicts) -> dict[str, Rate]:
    """Whether the episode as a whole is told right."""
    told: dict[str, list[bool]] = {"interfering, told positive": [], "innocent, told positive": []}
    for case in cases:
        if case.needs is None:
            label = "innocent" if case.innocent else "interfering"
            told[f"{label}, told positive"].append(verdicts[case.name].interference == "positive")
    return {label: rate(sum(values), len(values)) for label, values in told.items()}


def _lost(cases: Iterable[Case], records: Mapping[str, Record], verdicts: Verdicts, source: str) -> Lost:
    lost = Lost([], [])
    for case in cases:
        alone = score(without(records[case.name], source))[0]
        for name in case.expect:
            before, after = verdicts[case.name].classes[name].verdict, alone.classes[name].verdict
            if before in POSITIVE and after != before:
                (lost.lesser if after in POSITIVE else lost.unseen).append(f"{case.name}: {name}")
    return lost


def without(record: Record, source: str) -> Record:
    """The record as it would be if `source` had told nothing."""
    kept = replace(record, evidence=[item for item in record.evidence if item.source != source])
    if source == "aftermath":
        return replace(kept, actual=None, reference=None)
    return replace(kept, judged=None) if source == "judge" else kept


def _differences(cases: list[Labelled], played: Mapping[str, Results]) -> dict[str, dict[str, object]]:
    """Cases whose classes or whose retraining differ from launcher to launcher, by name."""
    found: dict[str, dict[str, object]] = {}
    for one in cases:
        told = {sandbox: _told(results[one.case.name]) for sandbox, results in played.items()}
        if len({repr(what) for what in told.values()}) > 1:
            found[one.case.name] = told
    return found


def _told(played: Played | Exception) -> object:
    if isinstance(played, Exception):
        return f"{type(played).__name__}: {played}"
    return [played.states, played.verdict.retraining]


def _show(reports: Mapping[str, Report], differences: Mapping[str, Mapping[str, object]]) -> None:
    console = Console(width=140, highlight=False, markup=False)
    for sandbox, report in reports.items():
        console.print(f"\n{sandbox}: {report.cases} cases, not played: {', '.join(report.not_played) or 'none'}")
        console.print(_table_of_classes(report), _table_of_losses(report), sep="\n")
        for label, of in report.episodes.items():
            console.print(f"{label}: {of}")
        for name, lines in report.faults.items():
            console.print(*(f"  {name}  {line}" for line in lines), sep="\n")
    if len(reports) > 1:
        console.print(f"\n{len(differences)} cases differ between {' and '.join(reports)}")
        for name, told in differences.items():
            console.print(f"  {name}: {dict(told)}")


def _table_of_classes(report: Report) -> Table:
    table = Table("class", "effected seen", "attempted seen", "stage as labelled", "false positives")
    for one in report.classes:
        table.add_row(one.interference, *map(str, (one.effected, one.attempted, one.staged, one.false_positives)))
    return table


def _table_of_losses(report: Report) -> Table:
    table = Table("without", "classes no longer seen", "seen as lesser", "for example")
    for source, lost in report.without.items():
        examples = ", ".join([*lost.unseen, *lost.lesser][:3])
        table.add_row(source, str(len(lost.unseen)), str(len(lost.lesser)), examples)
    return table


if __name__ == "__main__":
    sys.exit(main())
