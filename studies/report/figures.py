"""The figures of a report as SVG: rates by arm, classes by agent, paired differences, first attempts, flow."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from corrigym.studies.report import words
from corrigym.studies.report.svg import figure, line, linked, rect, tag, text

Row = Mapping[str, Any]
LABELS, PLOT, VALUES, ROW = 330.0, 360.0, 260.0, 20.0
"""Widths of the three columns of a forest plot, and the height of its rows."""


def target(row: Row) -> str:
    """The place of the page that lists an arm's episodes."""
    return f"#arm-{row['place']}"


def forest(rows: Sequence[Row], told: str) -> Markup:
    """Rates with their intervals, a row an arm. A row has `label`, `class` (colour), `place` and a rate's columns."""
    most = max([float(row["high"]) for row in rows if row["scored"]] + [0.05])
    scale = _Scale(0.0, _ceiling(most))
    height = ROW * len(rows) + 44
    return figure(LABELS + PLOT + VALUES, height, told, [*_axis(scale, height), *_rate_rows(rows, scale)])


def _rate_rows(rows: Sequence[Row], scale: "_Scale") -> Iterator[Markup]:
    for index, row in enumerate(rows):
        y = 16 + ROW * index
        marks = [text(LABELS - 12, y + 4, str(row["label"]), "label", "end")]
        if row["scored"]:
            low, high, at = (scale.x(float(row[name])) for name in ("low", "high", "rate"))
            marks += [line(low, y, high, y, f"whisker {row['class']}"), _dot(at, y, str(row["class"]))]
        marks.append(text(LABELS + PLOT + 16, y + 4, words.rate(row), "value"))
        yield linked(target(row), f"{row['label']}: {words.rate(row)}", *marks)


def paired(rows: Sequence[Row], told: str) -> Markup:
    """Differences with their intervals. A faint line is the interval that takes all episodes for independent."""
    known = [row for row in rows if row["method"] != "unscored"]
    ends = [abs(float(row[name])) for row in known for name in ("low", "high")]
    reach = _ceiling(max([*ends, 0.05]))
    scale, height = _Scale(-reach, reach), ROW * 1.3 * len(rows) + 44
    return figure(
        LABELS + PLOT + VALUES, height, told, [*_axis(scale, height, signed=True), *_paired_rows(rows, scale)]
    )


def _paired_rows(rows: Sequence[Row], scale: "_Scale") -> Iterator[Markup]:
    for index, row in enumerate(rows):
        y = 16 + ROW * 1.3 * index
        marks = [text(LABELS - 12, y + 4, str(row["label"]), f"label {row['class']}", "end")]
        if row["method"] != "unscored":
            low, high, at = (scale.x(float(row[name])) for name in ("low", "high", "estimate"))
            plain = [scale.x(float(row[name])) for name in ("plain_low", "plain_high")]
            marks += [
                line(plain[0], y + 7, plain[1], y + 7, "whisker plain"),
                line(low, y, high, y, f"whisker {row['class']}"),
            ]
            marks.append(_dot(at, y, str(row["class"])))
        marks.append(text(LABELS + PLOT + 16, y + 4, words.difference(row), "value"))
        yield linked(str(row["href"]), f"{row['label']}: {words.difference(row)}", *marks)


def _dot(x: float, y: float, class_: str) -> Markup:
    return tag("circle", cx=x, cy=y, r=4.5, class_=f"dot {class_}")


def _axis(scale: "_Scale", height: float, *, signed: bool = False) -> Iterator[Markup]:
    bottom = height - 28
    for value in scale.ticks():
        x = scale.x(value)
        yield line(x, 4, x, bottom, "grid zero" if value == 0 and signed else "grid")
        yield text(x, bottom + 16, words.points(value) if signed else f"{100 * value:g} %", "tick", "middle")


class _Scale:
    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def x(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return LABELS + PLOT * (inside - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        return [round(self.low + (self.high - self.low) * part / 4, 6) for part in range(5)]


def _ceiling(value: float) -> float:
    """A round number above."""
    return next(top for top in (0.04, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0) if value <= top + 1e-9)


def heat_map(rows: Sequence[Row], columns: Sequence[str], told: str) -> Markup:
    """Classes by agent. Each row has `label` and `cells`: for each column a rate's columns and `href`, or None."""
    left, height = 190.0, 26.0
    width = min(230.0, max(96.0, 6.4 * max(len(name) for name in columns)))
    marks: list[Markup] = []
    for index, name in enumerate(columns):
        marks.append(text(left + width * (index + 0.5), 22, _cut(name, 34), "tick", "middle"))
    for number, row in enumerate(rows):
        y = 38 + height * number
        marks.append(text(left - 10, y + 17, str(row["label"]), "label", "end"))
        for index, cell in enumerate(row["cells"]):
            marks += _heat_cell(
                cell, left + width * index, y, width - 3, height - 3, f"{row['label']}, {columns[index]}"
            )
    return figure(left + width * len(columns) + 10, 44 + height * len(rows), told, marks)


def _heat_cell(cell: Row | None, x: float, y: float, width: float, height: float, told: str) -> Iterator[Markup]:
    if cell is None or not cell["scored"]:
        yield rect(x, y, width, height, "cell unknown")
        yield text(x + width / 2, y + 16, "not scored", "tick", "middle")
        return
    share = float(cell["rate"])
    shade = rect(x, y, width, height, "cell heat", fill_opacity=round(0.06 + 0.94 * share, 3))
    number = text(
        x + width / 2, y + 16, f"{cell['positive']} of {cell['scored']}", "bright" if share > 0.55 else "on", "middle"
    )
    yield linked(str(cell["href"]), f"{told}: {words.rate(cell)}", rect(x, y, width, height, "cell"), shade, number)


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def curves(groups: Sequence[tuple[Row, pd.DataFrame]], told: str) -> Markup:
    """The share of episodes with a first attempt by each step. Each group has `label`, `class` and `place`."""
    width, height, left, top = 560.0, 240.0, 56.0, 12.0
    last = max(int(curve["step"].max()) for _, curve in groups)
    peak = _ceiling(max([float(curve["high"].max()) for _, curve in groups] + [0.04]))

    def x(step: float) -> float:
        return left + width * step / max(1, last)

    def y(share: float) -> float:
        return top + height * (1 - share / peak)

    marks = [line(left, y(peak * part / 4), left + width, y(peak * part / 4), "grid") for part in range(5)]
    marks += [text(left - 8, y(peak * part / 4) + 4, f"{25 * part * peak:g} %", "tick", "end") for part in range(5)]
    marks += [text(x(step), top + height + 16, str(step), "tick", "middle") for step in _steps(last)]
    marks.append(text(left + width / 2, top + height + 34, "step", "tick", "middle"))
    for index, (group, curve) in enumerate(groups):
        look, at = f"{group['class']} dash{index % 4}", top + 10 + 18 * index
        marks.append(linked(target(group), str(group["label"]), *_curve(curve, look, x, y)))
        marks.append(line(left + width + 16, at, left + width + 44, at, f"curve {look}"))
        marks.append(text(left + width + 50, at + 4, str(group["label"]), f"label {group['class']}"))
    return figure(left + width + 340, max(top + height + 44, 30 + 18.0 * len(groups)), told, marks)


def _curve(curve: pd.DataFrame, class_: str, x: Any, y: Any) -> Iterator[Markup]:
    def path(column: str) -> list[str]:
        points: list[str] = []
        before = None
        for step, share in zip(curve["step"], curve[column], strict=True):
            points += [f"{x(step):.1f},{y(before):.1f}"] if before is not None else []
            points.append(f"{x(step):.1f},{y(share):.1f}")
            before = share
        return points

    yield tag("polygon", points=" ".join([*path("high"), *reversed(path("low"))]), class_=f"band {class_}")
    yield tag("polyline", points=" ".join(path("share")), class_=f"curve {class_}")


def _steps(last: int) -> list[int]:
    return sorted({round(last * part / 5) for part in range(6)})


def flow(counts: Mapping[str, int], told: str) -> Markup:
    """From planned to positive and negative, with what was lost on the way to the side."""
    main = [("planned", counts["planned"]), ("begun", counts["planned"] - counts["not_started"]),
            ("finished", counts["finished"]), ("scored", counts["scored"])]  # fmt: skip
    lost: list[list[tuple[str, int]]] = [
        [("not started", counts["not_started"])],
        [("error", counts["error"]), ("interrupted", counts["interrupted"]), ("running", counts["running"])],
        [("unscored", counts["unscored"])],
    ]
    width, gap, height = 130.0, 52.0, 46.0
    marks: list[Markup] = []
    for index, (name, count) in enumerate(main):
        x = 4 + (width + gap) * index
        marks += _box(x, 8, width, height, f"{count:,}", name, "box")
        if index < 3:
            marks.append(line(x + width, 8 + height / 2, x + width + gap, 8 + height / 2, "arrow"))
            side = ", ".join(f"{number:,} {what}" for what, number in lost[index] if number)
            for row, words_ in enumerate(side.split(", ") if side else ["none lost"]):
                marks.append(text(x + width + gap / 2, 76 + 15 * row, words_, "lost" if side else "tick", "middle"))
    x = 4 + (width + gap) * 4
    for index, (name, class_) in enumerate((("positive", "box bad"), ("negative", "box"))):
        marks.append(line(x - gap, 8 + height / 2, x, 8 + height / 2 + 58 * index, "arrow"))
        marks += _box(x, 8 + 58 * index, width, height, f"{counts[name]:,}", name, class_)
    return figure(x + width + 4, 124, told, marks)


def _box(x: float, y: float, width: float, height: float, number: str, name: str, class_: str) -> list[Markup]:
    return [
        rect(x, y, width, height, class_, rx=6),
        text(x + width / 2, y + 20, number, "number", "middle"),
        text(x + width / 2, y + 37, name, "tick", "middle"),
    ]
