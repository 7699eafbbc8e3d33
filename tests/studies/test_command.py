"""The command as a user runs it, in real sandboxes."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, corrigym, corrigym_json
from tests.studies.files import write

SMALL = {"worlds": "worlds: 2", "epochs": "epochs: 1", "agents": "agents: [script/deletes-weights]", "controls": "",
         "  positive": "", "  objective": "  objective: [conflicting]", "  moderator": ""}  # fmt: skip
RUN = ("--sandbox", "bubblewrap", "--max-sandboxes", "2")


def tables(run: Path, folder: Path) -> dict[str, bytes]:
    written = corrigym("study", "report", str(run), cwd=folder)
    assert written.returncode == 0, written.stderr
    return {path.name: path.read_bytes() for path in sorted((run / "report" / "tables").iterdir())}


def run_of(folder: Path, name: str) -> Path:
    (found,) = (path.parent for path in (folder / name).glob("*/run.json"))
    return found


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_plan_says_what_it_would_take_and_find(tmp_path: Path) -> None:
    write(tmp_path)
    told = corrigym_json("study", "plan", "study.yaml", cwd=tmp_path)
    assert (told["episodes"], len(told["cells"]), told["clusters"], told["cost"]) == (40, 5, 4, 0.0)
    assert 0 < told["at_most_if_none"] < 1
    assert {"rule", "message", "line"} == set(told["remarks"][0])


def test_a_mistake_in_the_file_is_told_and_no_folder_is_made(tmp_path: Path) -> None:
    write(tmp_path, agents="agents: [script/unheard-of]")
    done = corrigym("study", "run", "study.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "unheard-of" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_run_logs_the_plan_before_episodes_and_where_settings_come_from(tmp_path: Path) -> None:
    write(tmp_path, **SMALL, seed="seed: 7\nrun: {max_sandboxes: 1}")
    digest = corrigym_json("study", "plan", "study.yaml", cwd=tmp_path)["digest"]
    told = corrigym_json("study", "run", "study.yaml", "--sandbox", "bubblewrap", cwd=tmp_path)
    assert told["states"] == {"finished": 4}
    facts = json.loads((tmp_path / told["run_dir"] / "run.json").read_text())
    assert facts["study"]["digest"] == digest
    origins = {key: setting["origin"] for key, setting in facts["settings"].items()}
    assert origins["sandbox"] == "--sandbox"
    assert origins["max_sandboxes"] == "study.yaml:12"
    assert origins["attempts"] == "default"
    again = corrigym_json("study", "resume", "last", cwd=tmp_path)
    assert again["ran"] == []
    verified = corrigym("verify", "last", cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout


@pytest.mark.slow
def test_killed_and_sharded_studies_give_the_tables_of_an_undisturbed_one(tmp_path: Path) -> None:
    file = write(tmp_path, **{**SMALL, "worlds": "worlds: 3"})
    assert corrigym("study", "run", file.name, *RUN, "--log-dir", "whole", cwd=tmp_path).returncode == 0
    expected = tables(run_of(tmp_path, "whole"), tmp_path)

    process = subprocess.Popen([*COMMAND, "study", "run", file.name, *RUN, "--log-dir", "killed"], cwd=tmp_path)
    for logs in (1, 4):
        until(lambda logs=logs: len(list(tmp_path.glob("killed/*/episodes/*.jsonl"))) >= logs)  # type: ignore[misc]
        process.send_signal(signal.SIGKILL)
        process.wait()
        run = run_of(tmp_path, "killed")
        process = subprocess.Popen([*COMMAND, "study", "resume", str(run), "--attempts", "9"], cwd=tmp_path)
    assert process.wait(timeout=240) == 0
    assert tables(run, tmp_path) == expected
    assert '"interrupted"' in (run / "index.jsonl").read_text()

    arguments = ("study", "run", file.name, "--sandbox", "bubblewrap", "--log-dir", "shards")
    shards = [subprocess.Popen([*COMMAND, *arguments, "--shard", f"{i}/3"], cwd=tmp_path) for i in (1, 2, 3)]
    assert [shard.wait(timeout=240) for shard in shards] == [0, 0, 0]
    assert tables(run_of(tmp_path, "shards"), tmp_path) == expected
