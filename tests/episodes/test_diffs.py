"""What the viewer says of an asset that changed."""

import json
from collections.abc import Mapping

import pytest

from corrigym.detection.model import Evidence
from corrigym.episodes.diffs import MOST, diff_rows
from corrigym.episodes.rows import Rows, Shown
from corrigym.models import Json
from corrigym.scenarios.world import Asset
from tests.episodes.test_render import drawn

ASSETS = {
    "config": Asset(kind="config", path="/c.ini", paths=("/c.ini",)),
    "dataset": Asset(kind="dataset", path="/d.jsonl", paths=("/d.jsonl",)),
    "code": Asset(kind="code", path="/train.py", paths=("/train.py",)),
    "weights": Asset(kind="weights", path="/w.bin", paths=("/w.bin",)),
}


def told(path: str, asset: str | None, *, shown: Shown | None = None, kind: str = "modified", **detail: Json) -> str:
    item = Evidence(id="e1", step=1, source="state", kind=kind, subject=path, asset=asset, detail=detail)
    return drawn(Rows(list(diff_rows([item], ASSETS)), shown or Shown(diff=True)), 160)


def texts(path: str, asset: str | None, before: str, after: str) -> str:
    return told(path, asset, before={}, after={}, text_before=before, text_after=after)


def test_folded_it_says_only_what_changed() -> None:
    assert told("/w.bin", "weights", shown=Shown(), before={"size": 1}, after={"size": 2}).split() == [
        "changed",
        "weights",
    ]


def test_a_binary_by_digest_and_size() -> None:
    before: Mapping[str, Json] = {"size": 2114000, "digest": "ab" * 32, "mode": "0664", "owner": "ops"}
    text = told("/w.bin", "weights", before=dict(before), after={**before, "size": 9, "digest": "cd" * 32})
    assert "2,114,000 bytes    →  9 bytes" in text
    assert "abababababababab…  →  cdcdcdcdcdcdcdcd…" in text
    assert "mode" not in text


def test_what_was_removed_and_what_is_new() -> None:
    side: Json = {"type": "file", "size": 5, "digest": "ab" * 32}
    assert "was: size 5 bytes, digest abab" in told("/w.bin", "weights", before=side, after=None, kind="removed")
    assert "now: size 5 bytes, digest abab" in told("/w.bin", "weights", before=None, after=side, kind="created")


def test_configuration_by_meaning() -> None:
    text = texts("/c.ini", "config", "[train]\nlr = 0.4\nsteps=9\n", "[train]\n# faster\nsteps = 9\nlr = 0\n")
    assert "train.lr  0.4  →  0" in text
    assert "steps" not in text


def test_configuration_that_was_only_written_anew() -> None:
    text = texts("/c.ini", "config", "[train]\nlr = 0.4\n", "[train]\nlr=0.40\n")
    assert "the same settings, written differently" in text
    assert "- lr = 0.4" in text


def test_json_by_path() -> None:
    before, after = {"job": {"state": "queued", "id": 1}}, {"job": {"state": "held", "id": 1}, "new": [1]}
    text = texts("/queue/41.json", None, json.dumps(before), json.dumps(after, indent=2))
    assert "job.state  queued  →  held" in text
    assert "new        (none)  →  [1]" in text
    assert "job.id" not in text


def test_data_by_row() -> None:
    rows = [{"text": f"t{n}", "label": n % 2} for n in range(6)]
    other = [*rows[:2], {**rows[2], "label": 1}, *rows[4:], {"text": "more", "label": 0}]
    text = texts("/d.jsonl", "dataset", *("".join(json.dumps(row) + "\n" for row in each) for each in (rows, other)))
    assert "6 rows → 6, 1 gone, 1 new, 1 other" in text
    assert "row 3\n        label  0  →  1" in "\n".join(line.rstrip() for line in text.splitlines())
    assert '- {"text": "t3", "label": 1}' in text
    assert '+ {"text": "more", "label": 0}' in text


def test_a_long_dataset_takes_no_long_alignment() -> None:
    rows = [f'{{"n": {n}}}\n' for n in range(50_000)]
    text = texts("/d.jsonl", "dataset", "".join(rows), "".join([*rows[:10], "{}\n", *rows[11:]]))
    assert "50,000 rows → 50,000, 1 other" in text
    assert "row 11" in text


def test_code_by_line() -> None:
    text = texts("/train.py", "code", "def f(x):\n    return x\n", "def f(x):\n    return -x\n")
    assert "-     return x" in text
    assert "+     return -x" in text
    assert "written differently" not in text


def test_much_is_counted() -> None:
    text = texts("/train.py", "code", "", "".join(f"x{n} = {n}\n" for n in range(500)))
    assert f"… {500 + 1 - MOST:,} more" in text  # the heading of the hunk is a line too


@pytest.mark.parametrize("after", ["no settings [", "", "{}", "\x00\x1b[2J", "[a]\nb"])
def test_anything_may_stand_where_a_configuration_was(after: str) -> None:
    assert "modified  /c.ini" in texts("/c.ini", "config", "[train]\nlr = 0.4\n", after)


@pytest.mark.parametrize("value", [None, 3, "text", [], {}, {"size": "big", "digest": 7, "mode": None}])
def test_any_state_is_taken(value: Json) -> None:
    assert "/w.bin" in told("/w.bin", "weights", before=value, after={"size": 1})


def test_evidence_without_a_state_is_no_change() -> None:
    item = Evidence(id="e1", step=1, source="syscall", kind="connect", subject="203.0.113.9:443")
    assert not list(diff_rows([item], ASSETS))
