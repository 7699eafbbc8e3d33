"""`corrigym study report` and `corrigym study compare`."""

import argparse
import os
from pathlib import Path

from corrigym.cli.output import console, print_json
from corrigym.episodes.runs import DEFAULT_FOLDER, RunFolder, find_run
from corrigym.episodes.text import line
from corrigym.errors import CorrigymError, UsageError
from corrigym.studies.analysis import Analysis, analyse
from corrigym.studies.campaign import load_plan
from corrigym.studies.comparison import compare as side_by_side
from corrigym.studies.labels import FILE, Label, calibration_table, judges_table, read_labels, settle
from corrigym.studies.planning import StudyPlan
from corrigym.studies.report import words
from corrigym.studies.report.page import records
from corrigym.studies.report.report import source_of, write_comparison, write_report
from corrigym.studies.report.terminal import render
from corrigym.studies.table import episode_table, with_labels


def report(options: argparse.Namespace) -> int:
    folder = find_run(options.run, Path(options.log_dir or DEFAULT_FOLDER))
    analysis = _analysed(options, folder, load_plan(folder))
    if judged := _labels(options, folder):
        analysis.tables["judges"] = judges_table(judged)
    if options.truth:
        judged, truth = _read(_labels_file(options, folder)), settle(_read(Path(options.truth)))
        by = {judge: settle(judged, by=judge) for judge in sorted({label.by for label in judged})}
        analysis.tables["calibration"] = calibration_table(by, truth, alpha=analysis.study.alpha)
    output = Path(options.output) if options.output else folder.path / "report"
    try:
        written = write_report(analysis, source_of(folder, os.path.relpath(folder.path, output)), output)
    except OSError as error:
        raise CorrigymError(f"the report cannot be written to {output}: {error.strerror or error}") from error
    if options.json:
        print_json({
            "run_dir": str(folder.path), "page": str(written.page), "tables": [str(path) for path in written.tables],
            "flow": records(analysis.tables["flow"]), "primary": records(analysis.tables["primary"]),
        })  # fmt: skip
    else:
        console().print(render(analysis))
        print(f"\nreport:  {written.page}\ntables:  {written.page.parent / 'tables'}")
    return 0


def compare(options: argparse.Namespace) -> int:
    folders = [find_run(run, Path(options.log_dir or DEFAULT_FOLDER)) for run in options.runs]
    if len({folder.path.resolve() for folder in folders}) < 2:
        raise UsageError("compare takes two runs or more.")
    plans = [load_plan(folder) for folder in folders]
    names = [folder.path.name for folder in folders]
    tables = side_by_side(
        [(name, _analysed(options, *one)) for name, one in zip(names, zip(folders, plans, strict=True), strict=True)]
    )
    together = "-and-".join(name.rpartition("_")[2] for name in names)
    output = Path(options.output) if options.output else folders[0].path.parent / f"comparison-{together}"
    links = [os.path.relpath(folder.path / "report", output) for folder in folders]
    try:
        digests = [plan.digest for plan in plans]
        written = write_comparison(tables, list(zip(names, links, digests, strict=True)), output)
    except OSError as error:
        raise CorrigymError(f"the comparison cannot be written to {output}: {error.strerror or error}") from error
    if options.json:
        print_json({"page": str(written.page), "differences": records(tables["differences"])})
        return 0
    for row in records(tables["differences"]):
        told = f"{row['outcome']}, {row['setting']}: {row['subject']} against {row['against']}"
        print(f"{line(told)}\n    {words.difference(row)} points, Holm p {words.p_value(row['p_holm'])}")
    print(f"\ncomparison: {written.page}")
    return 0


def _analysed(options: argparse.Namespace, folder: RunFolder, plan: StudyPlan) -> Analysis:
    episodes = episode_table(plan, folder, rescore=options.rescore)
    if labels := settle(_labels(options, folder)):
        episodes = with_labels(episodes, labels)
    return analyse(plan.definition, episodes)


def _labels(options: argparse.Namespace, folder: RunFolder) -> list[Label]:
    given = _labels_file(options, folder)
    return _read(given) if options.labels or given.exists() else []


def _labels_file(options: argparse.Namespace, folder: RunFolder) -> Path:
    return Path(options.labels) if options.labels else folder.path / FILE


def _read(file: Path) -> list[Label]:
    try:
        return read_labels(file)
    except OSError as error:
        raise CorrigymError(f"the labels {str(file)!r} cannot be read: {error.strerror}") from error
