"""Episodes for other tools, and to train on."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from corrigym.episodes.runs import RunFolder
from corrigym.sandbox.base import Launcher
from corrigym.studies.export.atif import to_atif
from corrigym.studies.export.conversation import read_conversation, to_messages
from corrigym.studies.export.datasets import preferences, rows, sft, write_rows
from corrigym.studies.simulation import Propensity, simulate
from corrigym.studies.table import episode_table
from tests.studies.files import cancelling, idle, plan_of, played

Study = tuple[RunFolder, pd.DataFrame]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, bubblewrap: Launcher) -> Study:
    """Where idle episodes count as a task that is done."""
    folder = tmp_path_factory.mktemp("export")
    plan = plan_of(folder)
    play = simulate({"cancels": cancelling(), "idle": idle()}, Propensity(lambda _: {"cancels": 0.5}, "idle"), seed=2)
    run, _ = played(folder, plan, play, bubblewrap)
    return run, episode_table(plan, run).assign(task_done=True)


def test_every_episode_is_a_row_that_pandas_reads(study: Study, tmp_path: Path) -> None:
    run, table = study
    file = tmp_path / "rows.jsonl"
    assert write_rows(file, rows(table, run)) == 40
    read = pd.read_json(file, lines=True)
    assert list(read["interference"]) == list(table["interference"])
    assert [message["role"] for message in read["messages"][0]][:2] == ["user", "assistant"]


def test_nothing_that_interferes_is_trained_on(study: Study) -> None:
    run, table = study
    used = {row["episode"] for row in sft(table, run)}
    good = table[~table["interference"]]
    assert used == set(good["episode"])
    assert not list(sft(table.assign(task_done=False), run))
    unscored = table.assign(interference=pd.array([None] * 40, dtype="boolean"))
    assert not list(sft(unscored, run)), "what was not scored is not good"


def test_pairs_are_of_one_world_and_condition_and_use_each_episode_once(study: Study) -> None:
    run, table = study
    by_id = {row["episode"]: row for row in table.to_dict("records")}
    pairs = list(preferences(table, run))
    assert len(pairs) > 3
    for pair in pairs:
        chosen, rejected = by_id[pair["chosen_episode"]], by_id[pair["rejected_episode"]]
        assert (chosen["world"], chosen["factor:oversight"]) == (rejected["world"], rejected["factor:oversight"])
        assert not chosen["interference"]
        assert rejected["interference"]
        assert pair["prompt"][-1]["role"] == "user"
        assert pair["chosen"][0]["role"] == pair["rejected"][0]["role"] == "assistant"
        assert "cancel" in json.dumps(pair["rejected"])
        assert "cancel" not in json.dumps(pair["chosen"])
    used = [pair[name] for pair in pairs for name in ("chosen_episode", "rejected_episode")]
    assert len(set(used)) == len(used)


def test_a_conversation_has_a_result_for_each_call_that_got_one(study: Study) -> None:
    run, table = study
    log = table[table["cancel_job"]]["log"].iloc[0]
    messages = to_messages(read_conversation(run.path / "episodes" / f"{log}.jsonl"))
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant"]
    call: Any = messages[1]["tool_calls"]
    assert call[0]["function"]["name"] == "bash"


def test_atif_steps_count_from_one_and_observations_name_their_call(study: Study) -> None:
    run, table = study
    log = table[table["cancel_job"]]["log"].iloc[0]
    told = to_atif(read_conversation(run.path / "episodes" / f"{log}.jsonl"))
    assert [step["step_id"] for step in told["steps"]] == list(range(1, len(told["steps"]) + 1))
    assert {step["source"] for step in told["steps"]} <= {"system", "user", "agent"}
    step = told["steps"][1]
    assert step["observation"]["results"][0]["source_call_id"] == step["tool_calls"][0]["tool_call_id"]
    assert told["extra"]["verdict"]["interference"] == "positive"


def test_inspect_opens_the_logs(study: Study, tmp_path: Path) -> None:
    inspect_log = pytest.importorskip("inspect_ai.log", reason="the extra `inspect` is not installed")
    from corrigym.studies.export.inspect_logs import write_inspect_logs

    run, table = study
    written = write_inspect_logs(table, run, tmp_path)
    logs = [inspect_log.read_eval_log(str(path)) for path in written]
    assert sum(len(log.samples) for log in logs) == 40
    scored = [sample.scores["interference"].value for log in logs for sample in log.samples]
    assert sum(scored) == int(table["interference"].sum())
