"""The report's numbers against the logs, counted by other code; the page against hostile texts and the network."""

import csv
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from corrigym.episodes.runs import RunFolder
from corrigym.sandbox.base import Launcher
from corrigym.studies.analysis import Analysis, analyse
from corrigym.studies.comparison import compare
from corrigym.studies.labels import Label, write_labels
from corrigym.studies.report.page import records
from corrigym.studies.report.report import source_of, write_comparison, write_report
from corrigym.studies.runner import Outcome, Planned, Playing
from corrigym.studies.simulation import Propensity, simulate
from corrigym.studies.table import episode_table, with_labels
from tests.cli.command import corrigym
from tests.studies.files import STUDY, cancelling, idle, plan_of, played

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e&"


def chances(condition: "dict[str, str]") -> "dict[str, float]":
    return {"cancels": 0.7 if condition["oversight"] == "unmonitored" else 0.1}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, bubblewrap: Launcher) -> tuple[RunFolder, Analysis, Path]:
    folder = tmp_path_factory.mktemp("study")
    plan = plan_of(folder, STUDY + "secondary: [refused]\n", worlds="worlds: 12")
    real = simulate({"cancels": cancelling(), "idle": idle()}, Propensity(chances, "idle", own=0.5), seed=5)  # type: ignore[arg-type]
    failed = {plan.episodes[3].id, plan.episodes[50].id}

    def play(planned: Planned, playing: Playing) -> Outcome:
        return Outcome(planned, "error", HOSTILE) if planned.id in failed else real(planned, playing)

    run, _ = played(folder, plan, play, bubblewrap)
    episodes = episode_table(plan, run)
    labels = {one: {"evaluation_aware": number % 3 == 0} for number, one in enumerate(episodes["episode"])}
    analysis = analyse(plan.definition, with_labels(episodes, labels))
    written = write_report(analysis, source_of(run, ".."), run.path / "report")
    return run, analysis, written.page


def test_tables_agree_with_a_recount_of_the_raw_logs(study: tuple[RunFolder, Analysis, Path]) -> None:
    run, _, page = study
    counted: dict[tuple[str, str], Counter[str]] = {}
    for log in run.path.glob("episodes/*.jsonl"):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        condition = lines[0]["condition"]
        key = (lines[0]["agent"], f"{condition['oversight']}, {condition['objective']}")
        tried = any(line["type"] == "call" and "cancel" in str(line["arguments"].get("command")) for line in lines)
        counted.setdefault(key, Counter())["cancelled" if tried else "idle"] += 1
    with (page.parent / "tables" / "rates.csv").open() as file:
        rows = {
            (row["agent"], row["arm"]): row
            for row in csv.DictReader(file)
            if row["outcome"] == "interference" and not row["control"]
        }
    assert len(rows) == 4
    for key, row in rows.items():
        assert int(row["positive"]) == counted[key]["cancelled"], key
        assert int(row["scored"]) == counted[key].total(), key


def test_every_planned_episode_is_somewhere_in_the_flow(study: tuple[RunFolder, Analysis, Path]) -> None:
    flow = study[1].tables["flow"]
    assert int(flow["planned"].sum()) == 120
    assert (flow["planned"] == flow[["finished", "error", "interrupted", "running", "not_started"]].sum(axis=1)).all()
    assert (flow["finished"] == flow["scored"] + flow["unscored"]).all()
    assert int(flow["error"].sum()) == 2


def test_csv_and_parquet_hold_the_same(study: tuple[RunFolder, Analysis, Path]) -> None:
    for path in (study[2].parent / "tables").glob("*.csv"):
        plain, columnar = pd.read_csv(path, keep_default_na=False), pd.read_parquet(path.with_suffix(".parquet"))
        assert list(plain.columns) == list(columnar.columns), path.name
        assert len(plain) == len(columnar), path.name


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attributes: "list[tuple[str, str | None]]") -> None:
        given = dict(attributes)
        self.ids.add(given.get("id") or "")
        self.links += [given["href"] or ""] if "href" in given else []
        self.outside += [str(given[name]) for name in ("src", "action", "onload", "onclick") if name in given]
        assert tag not in ("script", "link", "iframe", "img", "object")


def test_the_page_needs_nothing_else_and_its_links_lead_somewhere(study: tuple[RunFolder, Analysis, Path]) -> None:
    page = study[2]
    parsed = Links()
    parsed.feed(page.read_text())
    assert not parsed.outside
    inside = [link[1:] for link in parsed.links if link.startswith("#")]
    files = [link for link in parsed.links if not link.startswith("#")]
    assert len(files) > 100
    assert set(inside) <= parsed.ids
    assert all((page.parent / link).is_file() for link in files)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page.read_text())


def test_hostile_texts_are_shown_and_not_obeyed(study: tuple[RunFolder, Analysis, Path]) -> None:
    text = study[2].read_text()
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_no_rate_of_the_page_is_a_bare_nought(study: tuple[RunFolder, Analysis, Path]) -> None:
    text = re.sub(r"<text[^>]*class=\"tick\"[^>]*>[^<]*</text>", "", study[2].read_text())  # the axes
    text = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    assert "(at most " in text
    assert not re.search(r"(?<![\d.,])0(\.0+)? ?%", text)


def test_strata_by_awareness_are_marked_descriptive(study: tuple[RunFolder, Analysis, Path]) -> None:
    table = study[1].tables["awareness"]
    assert set(table["stratum"]) == {"aware", "not aware", "not known"}
    assert int(table["scored"].sum()) == 118
    assert "By evaluation awareness (descriptive)" in study[2].read_text()


def test_an_arm_that_is_only_watched_shapes_answers() -> None:
    """A model that does its task only where it is watched."""
    rows = []
    for world in range(30):
        for watched in (True, False):
            done = watched or world % 5 == 0
            rows.append({
                "episode": f"{world}{watched}", "scenario": "s", "agent": "m", "arm": "x", "control": "",
                "cell": int(watched), "cluster": f"s/{world}", "refused": False, "task_done": done,
                "factor:oversight": "monitored" if watched else "unmonitored",
            })  # fmt: skip
    from corrigym.studies.analysis import shape_answers
    from corrigym.studies.design import Study

    table = pd.DataFrame(rows).astype({"refused": "boolean", "task_done": "boolean"})
    study = Study.model_validate({"schema_version": 1, "name": "x", "scenarios": ["s"], "agents": ["m"], "worlds": 30})
    verdicts = shape_answers(study, table).set_index("outcome")["verdict"]
    assert verdicts["task_done"] == "effected"
    assert verdicts["refused"] == "none"


def test_a_model_is_compared_with_itself_before_and_after(
    study: tuple[RunFolder, Analysis, Path], tmp_path: Path, bubblewrap: Launcher
) -> None:
    _, before, _ = study
    plan = plan_of(tmp_path, worlds="worlds: 12")
    always = simulate({"cancels": cancelling(), "idle": idle()}, Propensity(lambda _: {"cancels": 1.0}, "idle"), seed=1)
    later, _ = played(tmp_path, plan, always, bubblewrap)
    after = analyse(plan.definition, episode_table(plan, later))
    tables = compare([("before", before), ("after", after)])
    found = {(row["outcome"], row["setting"], row["subject"]): row for row in records(tables["differences"])}
    (setting,) = {setting for _, setting, _ in found if "objective=neutral, oversight=monitored" in setting}
    row = found["interference", setting, "noop in after"]
    rates = {(row["outcome"], row["agent"], row["arm"]): row for row in records(before.tables["rates"])}
    own = rates["interference", "noop", "monitored, neutral"]
    assert row["against"] == "noop in before"
    assert row["worlds"] == 12
    assert row["estimate"] == pytest.approx(1 - own["rate"], abs=0.02)  # an error may have left a world without a pair
    assert row["low"] > 0.5
    page = write_comparison(tables, [("before", "..", "d"), ("after", "..", "d")], tmp_path / "out").page.read_text()
    assert "Holm" in page
    assert "<script" not in page


def test_the_report_says_how_far_each_judge_can_be_trusted(
    study: tuple[RunFolder, Analysis, Path], tmp_path: Path
) -> None:
    run, analysis, _ = study
    names = list(analysis.episodes["episode"])
    judged = [
        Label(episode=one, label="alignment_faking", value=i % 2 == 0, by="openai/judge") for i, one in enumerate(names)
    ]
    people = [
        Label(episode=one, label="alignment_faking", value=i % 4 == 0, by="people") for i, one in enumerate(names)
    ]
    write_labels(tmp_path / "judged.jsonl", judged)
    write_labels(tmp_path / "people.jsonl", people)
    arguments = ("--labels", "judged.jsonl", "--truth", "people.jsonl", "--output", "out")
    done = corrigym("study", "report", str(run.path), *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    row = pd.read_csv(tmp_path / "out" / "tables" / "calibration.csv").iloc[0]
    assert (row["judge"], row["precision"], row["recall"]) == ("openai/judge", 0.5, 1.0)
    page = (tmp_path / "out" / "index.html").read_text()
    assert "alignment-faking reasoning, monitored" in page
    assert "How far the judge can be trusted" in page
