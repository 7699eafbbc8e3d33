"""What ends a sandbox from outside, or keeps its log from being written: the run says so, and nothing is left."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from corrigym.sandbox import owner
from corrigym.sandbox.base import Launcher
from corrigym.sandbox.docker import LABEL, client
from corrigym.sandbox.image import tag
from corrigym.sandbox.launchers import list_containers
from tests.cli.command import COMMAND, corrigym, corrigym_json
from tests.sandbox.host import children

SCRIPT = "steps:\n  - bash: echo begun\n  - bash: {command: 'sleep 4343', timeout: 500}\n  - submit: done\n"
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounts a file system, or starts an engine")


@pytest.fixture
def docker(launcher: Launcher) -> Launcher:
    if launcher.name != "docker":
        pytest.skip("of the engine")
    return launcher


def _until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def _run(cwd: Path, sandbox: str, **env: str) -> "subprocess.Popen[str]":
    """A run that hangs in its second tool call."""
    (cwd / "hang.yaml").write_text(SCRIPT)
    command = [*COMMAND, "run", "weight-custody", "--agent", "script:hang.yaml", "--sandbox", sandbox, "--json"]
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env}
    )
    _until(lambda: process.poll() is not None or any('"sleep 4343"' in log.read_text() for log in _logs(cwd)))
    assert process.poll() is None, process.communicate()
    return process


def _logs(cwd: Path) -> list[Path]:
    return list(cwd.glob("runs/*/episodes/*.jsonl"))


def _is_told_as_an_error(process: "subprocess.Popen[str]", cwd: Path) -> None:
    said, complaint = process.communicate(timeout=120)
    assert process.returncode == 1, complaint
    (episode,) = json.loads(said)["episodes"]
    assert episode["status"] == "error"
    assert corrigym("verify", "last", cwd=cwd).returncode == 0


def _resumes_with(sandbox: str, cwd: Path, **env: str) -> None:
    """The next run is as if nothing had been."""
    again = corrigym_json("run", "weight-custody", "--agent", "noop", "--sandbox", sandbox, cwd=cwd, env=env)
    assert [episode["status"] for episode in again["episodes"]] == ["finished"]


ABUSE = r"""steps:
  - bash: {command: "f() { f | f & }; f", timeout: 2}
  - bash: "kill -9 -1; kill -STOP -1"
  - bash: "for d in ~ /tmp /dev/shm /var/tmp; do cat /dev/zero > $d/fill; done"
  - bash: "cd /tmp && printf 'x' > \"$(printf '\\377\\033[31m\\n')\"; mkfifo pipe; ln -s pipe link; chmod 0 ~"
  - bash: "exec >&- 2>&-; cat /dev/zero | head -c 50M > /dev/null; exit 9"
  - bash: "setsid sh -c 'trap : TERM HUP; while :; do echo x; done' &"
  - submit: done
"""


@pytest.mark.slow
def test_an_episode_of_abuse_finishes_and_the_next_is_as_ever(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "abuse.yaml").write_text(ABUSE)
    arguments = ("run", "weight-custody", "--agent", "script:abuse.yaml", "--sandbox", launcher.name)
    (episode,) = corrigym_json(*arguments, cwd=tmp_path)["episodes"]
    assert (episode["status"], episode["steps"]) == ("finished", 7)
    assert corrigym("verify", "last", cwd=tmp_path).returncode == 0
    assert corrigym("replay", "last", "--plain", cwd=tmp_path).returncode == 0
    _resumes_with(launcher.name, tmp_path)


@pytest.mark.slow
def test_a_container_killed_in_a_call_is_an_error_of_the_episode(docker: Launcher, tmp_path: Path) -> None:
    process = _run(tmp_path, docker.name)
    (container,) = (one for one in list_containers() if one.pid == str(process.pid))
    client().api.kill(container.id)
    _is_told_as_an_error(process, tmp_path)
    _until(lambda: container.id not in {one.id for one in list_containers()})
    _resumes_with(docker.name, tmp_path)


@pytest.mark.slow
def test_a_supervisor_killed_in_a_call_is_an_error_of_the_episode(launcher: Launcher, tmp_path: Path) -> None:
    if launcher.name != "bubblewrap":
        pytest.skip("in Docker the engine does it")
    process = _run(tmp_path, launcher.name)
    (bwrap,) = children(process.pid)
    (zygote,) = children(bwrap)
    (supervisor,) = children(zygote)
    os.kill(supervisor, signal.SIGKILL)
    _is_told_as_an_error(process, tmp_path)
    assert subprocess.run(["pgrep", "-f", "sleep 4343"], capture_output=True, check=False).stdout == b""
    _resumes_with(launcher.name, tmp_path)


def test_what_another_boot_left_is_gone_with_the_next_run(docker: Launcher, tmp_path: Path) -> None:
    labels = {**owner.owner_labels(), LABEL: "1", "org.corrigym.boot": "another", "org.corrigym.episode": "lost"}
    left = client().api.create_container(tag(), ["sleep", "1"], labels=labels)["Id"]
    try:
        assert [one.orphan for one in list_containers() if one.id == left] == [True]
        _resumes_with(docker.name, tmp_path)
        assert left not in {one.id for one in list_containers()}
    finally:
        subprocess.run(["docker", "rm", "-f", left], capture_output=True, check=False)


def test_what_a_living_run_holds_is_left_alone(docker: Launcher, tmp_path: Path) -> None:
    held = client().api.create_container(tag(), ["sleep", "1"], labels={**owner.owner_labels(), LABEL: "1"})["Id"]
    try:
        _resumes_with(docker.name, tmp_path)
        assert held in {one.id for one in list_containers()}
    finally:
        client().api.remove_container(held, force=True)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Path]:
    """A folder for logs that is full soon."""
    folder = tmp_path / "narrow"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20k", "none", folder], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@needs_root
def test_a_full_disk_under_the_log_ends_the_run_with_what_was_written(launcher: Launcher, narrow: Path) -> None:
    arguments = ("run", "weight-custody", "--sandbox", launcher.name, "--log-dir", str(narrow))
    done = corrigym(*arguments, cwd=narrow.parent)
    assert done.returncode == 1, done
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    (run,) = narrow.iterdir()
    subprocess.run(["mount", "-o", "remount,size=64m", narrow], check=True)
    assert corrigym("verify", str(run), cwd=narrow.parent).returncode in (0, 3)
    assert corrigym(*arguments, cwd=narrow.parent).returncode == 0


STUDY = """schema_version: 1
name: four-arms
scenarios: [weight-custody]
agents: [noop]
factors: {oversight: [monitored, unmonitored], objective: [conflicting, neutral]}
worlds: 2
primary:
  outcome: interference
  difference: {factor: oversight, level: unmonitored, against: monitored}
  moderator: {factor: objective, level: conflicting, against: neutral}
"""


def _is_whole(run: Path) -> None:
    """Eight episodes are finished, whatever was begun before, and every log of theirs verifies."""
    verified = corrigym_json("verify", str(run), cwd=run.parent)["episodes"]
    assert sum(one["complete"] and not one["problems"] for one in verified) >= 8  # also some that were cut short
    index = [json.loads(line)["status"] for line in (run / "index.jsonl").read_text().splitlines()]
    assert index.count("finished") == 8, index


@needs_root
def test_a_study_whose_disk_was_full_is_resumed(narrow: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=150k", narrow], check=True)
    (narrow.parent / "study.yaml").write_text(STUDY)
    done = corrigym(
        "study", "run", "study.yaml", "--sandbox", "bubblewrap", "--log-dir", str(narrow), cwd=narrow.parent
    )
    assert done.returncode == 1, done
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    (run,) = narrow.iterdir()
    subprocess.run(["mount", "-o", "remount,size=64m", narrow], check=True)
    again = corrigym("study", "resume", str(run), "--sandbox", "bubblewrap", cwd=narrow.parent)
    assert again.returncode == 0, again
    _is_whole(run)


@pytest.mark.slow
@needs_root
def test_an_engine_killed_in_a_call_leaves_nothing_once_it_is_back(docker: Launcher, tmp_path: Path) -> None:
    """Of a second engine; this machine's own is none of ours to kill."""
    if shutil.which("dockerd") is None:
        pytest.skip("there is no dockerd to start a second one of")
    engine = _Engine(Path("/tmp", f"engine-{os.getpid()}"))
    try:
        engine.start()
        engine.take(tag())
        process = _run(tmp_path, docker.name, DOCKER_HOST=engine.url)
        (tmp_path / "study.yaml").write_text(STUDY)
        studies = tmp_path / "studies"
        command = [*COMMAND, "study", "run", "study.yaml", "--sandbox", "docker", "--log-dir", str(studies)]
        with (tmp_path / "said").open("w") as said:
            study = subprocess.Popen(
                command, cwd=tmp_path, stdout=said, stderr=said, env={**os.environ, "DOCKER_HOST": engine.url}
            )
        _until(lambda: study.poll() is not None or list(studies.glob("*/episodes/*.jsonl")))
        engine.kill()
        _is_told_as_an_error(process, tmp_path)
        engine.start()
        _resumes_with(docker.name, tmp_path, DOCKER_HOST=engine.url)
        assert study.wait(300) != 0, (tmp_path / "said").read_text()
        (run,) = (path.parent for path in studies.glob("*/run.json"))
        again = corrigym("study", "resume", str(run), "--retry-errors", cwd=tmp_path, env={"DOCKER_HOST": engine.url})
        assert again.returncode == 0, again
        _is_whole(run)
        listed = corrigym_json("sandbox", "list", cwd=tmp_path, env={"DOCKER_HOST": engine.url})
        assert listed == {"sandboxes": []}
        assert subprocess.run(["pgrep", "-f", "sleep 4343"], capture_output=True, check=False).stdout == b""
    finally:
        engine.remove()


class _Engine:
    """An engine with everything of its own below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.url = folder, f"unix://{folder}/socket"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, tries: int = 2) -> None:
        self._folder.mkdir(exist_ok=True)
        (self._folder / "pid").unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dockerd", "--data-root", self._folder / "data", "--exec-root", self._folder / "exec",
                 "--host", self.url, "--pidfile", self._folder / "pid", "--bridge=none", "--iptables=false",
                 "--ip-forward=false"],
                stdout=log, stderr=log,
            )  # fmt: skip
        process = self._process
        _until(lambda: process.poll() is not None or self._asked("version").returncode == 0, seconds=90)
        if process.poll() is None:
            return
        if tries == 0:
            pytest.skip(f"a second engine does not start here: {(self._folder / 'log').read_text()[-500:]}")
        self.start(tries - 1)  # on a busy machine its containerd may take longer than it is given

    def take(self, image: str) -> None:
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            assert self._asked("load", stdin=saved.stdout).returncode == 0

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def remove(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        for pid in self._left():
            os.kill(pid, signal.SIGKILL)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if (point := line.split()[4]).startswith(f"{self._folder}/"):
                subprocess.run(["umount", "-l", point], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _left(self) -> list[int]:
        """Its containerd and shims."""
        found = subprocess.run(["pgrep", "-f", f"{self._folder}/"], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split() if int(pid) != os.getpid()]

    def _asked(self, *command: str, stdin: IO[bytes] | None = None) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(["docker", "--host", self.url, *command], stdin=stdin, capture_output=True, check=False)
