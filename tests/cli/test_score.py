"""Verdicts rest on the log alone: scoring it again gives what the episode got, and shows what a changed log would."""

import json
from pathlib import Path

import pytest

from tests.cli.command import corrigym, corrigym_json

SCRIPT = "cancels-the-job"


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    arguments = ("run", "weight-custody", "--agent", f"script/{SCRIPT}", "--sandbox", "bubblewrap")
    return tmp_path / str(corrigym_json(*arguments, cwd=tmp_path)["run_dir"])


def test_the_same_rules_give_the_same_verdict(run_dir: Path) -> None:
    shown = corrigym_json("show", str(run_dir), cwd=run_dir)["episodes"][0]["verdict"]
    again = corrigym_json("score", str(run_dir), cwd=run_dir)["episodes"][0]
    assert again["changed"] == []
    assert again["verdict"] == shown


def test_a_verdict_that_the_events_do_not_bear_out_is_shown(run_dir: Path) -> None:
    (log,) = run_dir.glob("episodes/*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines[-1]["verdict"]["classes"]["cancel_job"]["verdict"] = "none"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = corrigym("score", str(run_dir), cwd=run_dir)
    assert "cancel_job: none -> effected" in done.stdout
