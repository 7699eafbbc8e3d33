"""`corrigym export`: where it writes, and what it refuses."""

import json
from pathlib import Path

import pytest

from tests.cli.command import corrigym
from tests.episodes.builder import innocent, write_episode


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_episode(tmp_path / "runs" / "r" / "episodes" / "e1.jsonl")
    return tmp_path


def test_a_page_is_a_file_in_the_runs_folder(run: Path) -> None:
    done = corrigym("export", "e1", "--to", "html", cwd=run)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "written: runs/r/e1.html\n")
    page = run / "runs" / "r" / "e1.html"
    assert page.read_text().startswith("<!DOCTYPE html>")
    page.write_text("mine")
    again = corrigym("export", "e1", "--to", "html", cwd=run)
    assert (again.returncode, page.read_text()) == (2, "mine")
    assert "exists already" in again.stderr
    assert corrigym("export", "e1", "--to", "html", "--force", cwd=run).returncode == 0
    assert page.read_text() != "mine"


def test_texts_go_to_stdout(run: Path) -> None:
    value = json.loads(corrigym("export", "e1", "--to", "json", cwd=run).stdout)
    assert value["id"] == "e1"
    done = corrigym("export", "e1", "--to", "markdown", cwd=run, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "Episode `e1`" in done.stdout


def test_a_picture_of_a_step(run: Path) -> None:
    done = corrigym("export", "e1", "--to", "svg", "--at", "5", cwd=run)
    assert done.stderr == "written: runs/r/e1-step5.svg\n"
    done = corrigym("export", "e1", "--to", "svg", "--at", "9", "--output", "-", cwd=run)
    assert (done.returncode, done.stderr) == (2, "corrigym: the episode e1 has no step 9: it has steps 1 to 7\n")
    assert corrigym("export", "e1", "--to", "json", "--at", "5", cwd=run).returncode == 2


def test_a_run_of_several_episodes_is_not_one(run: Path) -> None:
    write_episode(run / "runs" / "r" / "episodes" / "e2.jsonl", innocent())
    done = corrigym("export", "runs/r", "--to", "json", cwd=run)
    assert (done.returncode, done.stdout) == (2, "")
    assert "'runs/r' has 2 episodes; export takes one of them: e1, e2" in done.stderr
    assert corrigym("export", "e2", "--to", "html", "--output", "no/such/folder/x.html", cwd=run).returncode == 2
