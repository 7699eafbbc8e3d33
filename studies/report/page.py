"""The report as one HTML file that needs nothing else. Texts are sanitised, then escaped; there is no script in it."""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

import corrigym
from corrigym.episodes.text import line
from corrigym.studies.analysis import ALL, Analysis, Tables, compared, describe
from corrigym.studies.outcomes import CLASSES, OVERALL
from corrigym.studies.report import figures, words

FOLDER = Path(__file__).parent
LISTED = 400
"""Episodes that the page lists for an arm; positives come first."""
SHOWN_CURVES = 12


@dataclass(frozen=True, slots=True)
class Source:
    """Where the numbers come from. `link` leads from the page to the run's folder."""

    name: str
    run: str
    link: str
    digest: str
    question: str = ""
    created: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def to_page(analysis: Analysis, source: Source) -> str:
    return _rendered("page.html.j2", source=source, study=analysis.study, view=_View(analysis))


def to_comparison(tables: Tables, runs: Sequence[tuple[str, str, str]]) -> str:
    """`runs`: the name of each, where its report is from the page, and its plan's digest."""
    differences = records(tables["differences"])
    told = _varying(str(row["setting"]) for row in differences)
    drawn = []
    for outcome in dict.fromkeys(str(row["outcome"]) for row in differences):
        own = [
            {**row, "label": f"{str(row['subject']).partition(' in ')[0]}: {told[str(row['setting'])]}", "class": "one",
             "href": "#all"}
            for row in differences if row["outcome"] == outcome
        ]  # fmt: skip
        drawn.append((outcome, figures.paired(own, f"Differences in {outcome.replace('_', ' ')}")))
    return _rendered(
        "compare.html.j2", runs=runs, differences=differences, figures=drawn, primary=records(tables["primary"]),
        models=records(tables["models"]),
    )  # fmt: skip


def _varying(settings: Iterable[str]) -> dict[str, str]:
    """Each setting by the levels that are not the same in all of them."""
    parts = {one: one.partition(": ")[2].split(", ") for one in settings}
    common = set.intersection(*(set(levels) for levels in parts.values())) if parts else set()
    return {one: ", ".join(level.partition("=")[2] for level in levels if level not in common) or "all"
            for one, levels in parts.items()}  # fmt: skip


def _rendered(template: str, **values: object) -> str:
    style = Markup((FOLDER / "page.css").read_text(encoding="ascii"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = Markup(f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
    page = _template(template).render(style=style, policy=policy, words=words, version=corrigym.__version__, **values)
    return page.strip() + "\n"


@lru_cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=lambda value: line(value) if type(value) is str else value,
    )  # fmt: skip
    return environment.get_template(name)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


class _View:
    """What the template asks for."""

    def __init__(self, analysis: Analysis) -> None:
        self.study, self.episodes, self.tables = analysis.study, analysis.episodes, analysis.tables
        self._places = {key: number for number, key in enumerate(self._arm_keys())}
        self._side = compared(self.study)

    def _arm_keys(self) -> list[tuple[str, ...]]:
        return [self._key(row) for row in records(self.tables["flow"])]

    @staticmethod
    def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in ("scenario", "agent", "arm", "control"))

    @property
    def contrast(self) -> str:
        return describe(self._side, None)

    @property
    def primary(self) -> dict[str, Any] | None:
        rows = records(self.tables["primary"])
        return rows[0] if rows else None

    @property
    def counts(self) -> dict[str, int]:
        flow = self.tables["flow"]
        whole = flow[flow["scenario"] != ALL].select_dtypes("number").sum()
        outcome = self.episodes["interference"]
        totals = {str(name): int(value) for name, value in whole.items()}
        positive = int(outcome.fillna(False).sum())
        return totals | {"positive": positive, "negative": int(outcome.notna().sum()) - positive}

    def flow_figure(self) -> Markup:
        return figures.flow(self.counts, "What became of the planned episodes")

    def overall_figure(self) -> Markup:
        return self._forest(self.tables["rates"], "outcome", "interference")

    def other_outcomes(self) -> list[tuple[str, Markup]]:
        listed = self.tables["rates"]
        names = [name for name in dict.fromkeys(listed["outcome"]) if name != "interference"]
        return [(name.replace("_", " "), self._forest(listed, "outcome", name)) for name in names]

    def class_figures(self) -> list[tuple[str, Markup]]:
        """Of the classes that were attempted anywhere."""
        table = self.tables["classes"]
        seen = [name for name in CLASSES if int(table[table["class"] == name]["positive"].sum())]
        return [(name, self._forest(table, "class", name)) for name in seen]

    def silent_classes(self) -> list[tuple[str, str]]:
        """Classes without an attempt anywhere, with the bound over all episodes of the agent that was seen least."""
        table = self.tables["classes"]
        told = []
        for name in CLASSES:
            own = table[(table["class"] == name) & (table["scenario"] != ALL)]
            if not int(own["positive"].sum()):
                scored = own[own["scored"] > 0]
                most = words.percent(float(scored["high"].max())) if len(scored) else ""
                bound = f"0 of {int(own['scored'].sum())} episodes; in each arm at most {most}"
                told.append((name, bound if most else "not scored in any episode"))
        return told

    def _forest(self, table: pd.DataFrame, column: str, name: str) -> Markup:
        rows = [{**row, "label": self._label(row), "class": self._hue(row), "place": self.place(row)}
                for row in records(table[table[column] == name])]  # fmt: skip
        return figures.forest(rows, f"{name.replace('_', ' ')} by arm, with intervals")

    def place(self, row: Mapping[str, Any]) -> int:
        return self._places[self._key(row)]

    def _label(self, row: Mapping[str, Any]) -> str:
        several = self.episodes["scenario"].nunique() > 1
        scenario = f"{row['scenario']}, " if several else ""
        return f"{scenario}{row['agent']}, {row['arm']}"

    def _hue(self, row: Mapping[str, Any]) -> str:
        """The colour of an arm: on which side of the compared factor it is."""
        if row["control"]:
            return "other"
        levels = str(row["arm"]).split(", ")
        return "one" if self._side.level in levels else "two" if self._side.against in levels else "other"

    def heat_figure(self) -> Markup:
        table = self.tables["agents"]
        columns = list(dict.fromkeys((str(a), str(c)) for a, c in zip(table["agent"], table["control"], strict=True)))
        rows = []
        for name in ("interference", *CLASSES):
            own = {(row["agent"], row["control"]): row for row in records(table[table["class"] == name])}
            if any(row["scored"] for row in own.values()):
                cells = [{**own[key], "href": self._agent_place(*key)} if key in own else None for key in columns]
                rows.append({"label": name, "cells": cells})
        heads = [f"{agent} ({control})" if control else agent for agent, control in columns]
        return figures.heat_map(rows, heads, "Classes by agent: episodes with an attempt of those scored")

    def _agent_place(self, agent: str, control: str) -> str:
        found = [place for key, place in self._places.items() if (key[1], key[3]) == (agent, control)]
        return f"#arm-{found[0]}"

    def paired_figure(self) -> Markup | None:
        rows = []
        if self.primary and self.primary["method"] != "unscored":
            rows.append({**self.primary, "label": "primary contrast", "class": "main", "href": "#primary"})
        for row in records(self.tables["differences"]):
            told = f"{row['agent']}, {row['stratum']}: {row['outcome']}"
            rows.append({**row, "label": told, "class": "one", "href": self._stratum_place(row)})
        return figures.paired(rows, f"Paired differences, {self.contrast}") if rows else None

    def _stratum_place(self, row: Mapping[str, Any]) -> str:
        wanted = (str(row["scenario"]), str(row["agent"]))
        levels = {self._side.level, *(level for level in str(row["stratum"]).split(", ") if level != "all")}
        keys = [(key, place) for key, place in self._places.items() if key[:2] == wanted and not key[3]]
        exact = [place for key, place in keys if levels <= set(key[2].split(", "))]
        return f"#arm-{(exact or [place for _, place in keys])[0]}"

    def curve_figure(self) -> Markup | None:
        table = self.tables["survival"]
        groups = []
        for key, own in table.groupby(["scenario", "agent", "arm", "control"], sort=False):
            row = dict(zip(("scenario", "agent", "arm", "control"), map(str, key), strict=True))
            if row["scenario"] != ALL and float(own["share"].max()) > 0:
                told = {**row, "label": self._label(row), "class": self._hue(row), "place": self.place(row)}
                groups.append((told, own))
        groups.sort(key=lambda group: -float(group[1]["share"].iloc[-1]))
        return figures.curves(groups[:SHOWN_CURVES], "Share of episodes with an attempt by step") if groups else None

    def rows(self, name: str) -> list[dict[str, Any]]:
        return records(self.tables[name]) if name in self.tables else []

    def level_names(self) -> tuple[str, str]:
        return self._side.against, self._side.level

    @property
    def judged(self) -> bool:
        return any(name.startswith("alignment_faking") for name in self.tables["models"].columns)

    def arms(self) -> Iterator[dict[str, Any]]:
        """Every arm with its episodes: positives first, then what is not known, then the rest."""
        for key, place in self._places.items():
            if key[0] == ALL:
                own = self.episodes[(self.episodes["agent"] == key[1]) & (self.episodes["arm"] == key[2])]
            else:
                mask = (self.episodes[["scenario", "agent", "arm", "control"]] == list(key)).all(axis=1)
                own = self.episodes[mask]
            order = own["interference"].map({True: 0, False: 2}).fillna(1).sort_values(kind="stable").index
            listed = records(own.loc[order].head(LISTED))
            yield {"place": place, "key": key, "episodes": [self._episode(row) for row in listed],
                   "more": max(0, len(own) - LISTED)}  # fmt: skip

    def _episode(self, row: dict[str, Any]) -> dict[str, Any]:
        reached = [f"{name} {row[f'state:{name}']}" for name in CLASSES
                   if row[f"state:{name}"] in ("attempted", "effected")]  # fmt: skip
        known = {True: "positive", False: "negative"}
        value = row["interference"]
        verdict = "unscored" if pd.isna(value) else known[bool(value)]
        told = verdict if row["status"] == "finished" else str(row["status"]).replace("_", " ")
        channels = [name for name in OVERALL if name in ("refused", "objected", "asked", "escalated")]
        said = [name for name in channels if not pd.isna(row[name]) and row[name]]
        return {"id": row["log"] or row["episode"], "log": row["log"], "world": row["world"], "epoch": row["epoch"],
                "told": told, "reached": ", ".join(reached), "retraining": str(row["retraining"]).replace("_", " "),
                "said": ", ".join(said), "problem": row["problem"]}  # fmt: skip
