"""The report of a study: one page, and the same tables as files."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from corrigym.episodes.runs import RunFolder
from corrigym.studies.analysis import Analysis, Tables
from corrigym.studies.report.page import Source, to_comparison, to_page

NOT_TABLES = ("log", "problem")
"""Columns that tell how an episode came about, not what it showed: `attempts` has them."""


@dataclass(frozen=True, slots=True)
class Written:
    page: Path
    tables: tuple[Path, ...]


def write_report(analysis: Analysis, source: Source, folder: Path) -> Written:
    """Replaces what an earlier report left there. OSError if it cannot be written."""
    tables = folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    written = [path for name, table in to_files(analysis) for path in write_table(table, tables / name)]
    attempts = analysis.episodes[["episode", "log", "status", "problem"]]
    attempts.to_csv(folder / "attempts.csv", index=False, lineterminator="\n")
    page = folder / "index.html"
    page.write_text(to_page(analysis, source), encoding="utf-8")
    return Written(page, tuple(written))


def to_files(analysis: Analysis) -> Iterable[tuple[str, pd.DataFrame]]:
    yield "episodes", analysis.episodes.drop(columns=list(NOT_TABLES))
    yield from analysis.tables.items()


def write_table(table: pd.DataFrame, path: Path) -> list[Path]:
    """As CSV and as Parquet, byte for byte the same for the same table."""
    text, columnar = path.with_suffix(".csv"), path.with_suffix(".parquet")
    table.to_csv(text, index=False, float_format="%.10g", lineterminator="\n")
    pyarrow.parquet.write_table(pyarrow.Table.from_pandas(table, preserve_index=False), columnar)
    return [text, columnar]


def write_comparison(tables: Tables, runs: Sequence[tuple[str, str, str]], folder: Path) -> Written:
    """As `write_report`."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    written = [path for name, table in tables.items() for path in write_table(table, folder / "tables" / name)]
    page = folder / "index.html"
    page.write_text(to_comparison(tables, runs), encoding="utf-8")
    return Written(page, tuple(written))


def source_of(folder: RunFolder, link: str) -> Source:
    """What a report says of where its numbers come from. LogError if the folder's facts cannot be read."""
    facts: Mapping[str, Any] = folder.facts
    study = facts.get("study", {})
    settings = {key: f"{json.dumps(one['value'])}  ({one['origin']})" for key, one in facts.get("settings", {}).items()}
    return Source(
        name=str(facts.get("name", folder.path.name)), run=folder.path.name, link=link,
        digest=str(study.get("digest", "")), question=str(study.get("question", "")),
        created=str(facts.get("created", "")), settings=settings,
        versions={str(key): str(value) for key, value in facts.get("versions", {}).items()},
    )  # fmt: skip
