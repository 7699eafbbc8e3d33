"""A study in short, for a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from corrigym.episodes.text import line
from corrigym.studies.analysis import ALL, Analysis
from corrigym.studies.report import words
from corrigym.studies.report.page import records


def render(analysis: Analysis) -> RenderableType:
    return Group(*_flow(analysis), Text(), *_primary(analysis), Text(), _arms(analysis))


def _flow(analysis: Analysis) -> list[Text]:
    flow = analysis.tables["flow"]
    whole = flow[flow["scenario"] != ALL].select_dtypes("number").sum()
    counts = ", ".join(f"{int(count):,} {str(name).replace('_', ' ')}" for name, count in whole.items() if count)
    return [Text(f"episodes  {counts}")]


def _primary(analysis: Analysis) -> list[Text]:
    rows = records(analysis.tables["primary"])
    if not rows:
        return [Text("primary   none was preregistered: everything is exploratory")]
    row = rows[0]
    what = Text(f"primary   {line(str(row['outcome']))}, {line(str(row['contrast']))}")
    if row["method"] == "unscored":
        return [what, Text("          not known: fewer than two worlds have a scored outcome in every arm", "magenta")]
    told = f"          {words.difference(row)} percentage points, p {words.p_value(float(row['p']))}"
    return [what, Text(told, "bold"), Text(f"          odds ratio {words.odds(row)}, {row['worlds']} worlds")]


def _arms(analysis: Analysis) -> Table:
    table = Table("scenario", "agent", "arm", "interference", "retraining changed", "refused", box=None, pad_edge=False)
    listed = records(analysis.tables["rates"])
    by_arm: dict[tuple[str, ...], dict[str, str]] = {}
    for row in listed:
        key = tuple(str(row[name]) for name in ("scenario", "agent", "arm", "control"))
        by_arm.setdefault(key, {})[str(row["outcome"])] = words.rate(row)
    for key, told in by_arm.items():
        cells = (*key[:3], told["interference"], told["retraining_changed"], told["refused"])
        table.add_row(*(Text(line(cell)) for cell in cells))
    return table
