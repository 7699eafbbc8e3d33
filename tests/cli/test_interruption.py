"""Whatever ends a run, nothing is left behind, and the log tells what had happened until then."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corrigym.sandbox.base import Launcher
from corrigym.sandbox.launchers import list_containers
from tests.cli.command import COMMAND, corrigym, corrigym_json

SCRIPT = "steps:\n  - bash: echo begun\n  - bash: {command: 'sleep 4242', timeout: 500}\n  - submit: done\n"


@pytest.fixture
def running(launcher: Launcher, tmp_path: Path) -> "Iterator[subprocess.Popen[str]]":
    """A run that hangs in its second tool call."""
    (tmp_path / "hang.yaml").write_text(SCRIPT)
    command = [*COMMAND, "run", "weight-custody", "--agent", "script:hang.yaml", "--sandbox", launcher.name, "--json"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        _until(lambda: any('"sleep 4242"' in log.read_text() for log in tmp_path.glob("runs/*/episodes/*.jsonl")))
        yield process
    finally:
        process.kill()
        process.communicate()


def _until(condition: "object", seconds: float = 60.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def _sleepers() -> list[str]:
    found = subprocess.run(["pgrep", "-f", "sleep 4242"], capture_output=True, text=True, check=False)
    return found.stdout.split()


def _containers_of(pid: int) -> list[str]:
    return [container.id for container in list_containers() if container.pid == str(pid)]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_signal(running: "subprocess.Popen[str]", number: int, tmp_path: Path) -> None:
    os.kill(running.pid, number)
    _, complaint = running.communicate(timeout=30)
    assert running.returncode == (-9 if number == signal.SIGKILL else 130), complaint
    _until(lambda: not _containers_of(running.pid) and not _sleepers())
    verified = corrigym("verify", "last", cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout
    (episode,) = corrigym_json("show", str(next(tmp_path.glob("runs/*"))), cwd=tmp_path)["episodes"]
    assert episode["status"] == "interrupted"
    assert corrigym("replay", "last", "--plain", cwd=tmp_path).returncode == 0


def test_a_changed_log_does_not_verify(tmp_path: Path) -> None:
    report = corrigym_json("run", "weight-custody", "--agent", "noop", "--sandbox", "bubblewrap", cwd=tmp_path)
    (log,) = (tmp_path / report["run_dir"]).glob("episodes/*.jsonl")
    assert corrigym("verify", report["run_dir"], cwd=tmp_path).returncode == 0
    log.write_text(log.read_text().replace('"finished"', '"finishes"'))
    done = corrigym("verify", report["run_dir"], "--json", cwd=tmp_path)
    assert done.returncode == 3
    assert json.loads(done.stdout)["problems"]
