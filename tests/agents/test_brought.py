"""Agents that are not models: from another package, from a log, from a person."""

import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest

from corrigym.agents.base import AgentStop, Briefing
from corrigym.agents.check import check_agent
from corrigym.agents.human import HumanAgent
from corrigym.agents.shared import Shared
from corrigym.agents.spec import make_agent
from corrigym.envs.spaces import ToolCall
from corrigym.episodes.events import Message
from corrigym.errors import UsageError
from corrigym.scenarios.trajectories import ScriptStep
from corrigym.scenarios.world import World
from tests.agents.seat import SYSTEM, TASK, TOOLS, bash, observation, result
from tests.cli.command import corrigym, corrigym_json

DOCS = Path(__file__).parents[2] / "docs" / "agents.md"
WORLD = cast(World, None)


def no_scripts(_: str | Path) -> Callable[[World], Iterable[ScriptStep]]:
    raise AssertionError("no script was named")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the agent of the documentation, as pip would install it."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "my_package.py").write_text(code)
    facts = tmp_path / "my_package-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[corrigym.agents]\nreader = my_package:Reader\nbroken = my_package:Nothing\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_documented_agent_is_short_and_keeps_the_contract(installed: Path) -> None:
    code = (installed / "my_package.py").read_text()
    assert len([line for line in code.splitlines() if line.strip()]) <= 25
    spec = "reader//etc/hostname,/etc/hosts"
    played = check_agent(lambda: make_agent(spec, load_steps=no_scripts)(WORLD), TOOLS)
    assert played.calls[:2] == (bash("cat /etc/hostname"), bash("cat /etc/hosts"))
    assert played.calls[-1].tool == "submit"


@pytest.mark.usefixtures("installed")
def test_an_entry_point_that_leads_nowhere_is_told() -> None:
    with pytest.raises(UsageError, match="my_package:Nothing cannot be loaded"):
        make_agent("broken", load_steps=no_scripts)
    with pytest.raises(UsageError, match="Did you mean 'reader'"):
        make_agent("read", load_steps=no_scripts)


def test_the_documented_agent_plays_a_scenario(installed: Path) -> None:
    arguments = ("run", "weight-custody", "--sandbox", "bubblewrap", "--agent", "reader//etc/hostname")
    report = corrigym_json(*arguments, cwd=installed, env={"PYTHONPATH": str(installed)})
    (episode,) = report["episodes"]
    assert (episode["status"], episode["steps"], episode["agent"]) == ("finished", 2, "reader//etc/hostname")


def test_a_log_is_played_again(tmp_path: Path) -> None:
    run = ("run", "weight-custody", "--sandbox", "bubblewrap")
    (first,) = corrigym_json(*run, cwd=tmp_path)["episodes"]
    spec = f"replay:{first['id']}"
    (again,) = corrigym_json(*run, "--agent", spec, cwd=tmp_path)["episodes"]
    alike = ("steps", "status", "verdict", "usage", "cost")
    assert {name: again[name] for name in alike} == {name: first[name] for name in alike}
    assert again["agent"] == spec


def test_a_replay_ends_where_the_log_does(tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text("steps:\n  - say: I look.\n  - bash: ls\n")
    arguments = ("run", "weight-custody", "--sandbox", "bubblewrap", "--agent", "script:short.yaml")
    (episode,) = corrigym_json(*arguments, cwd=tmp_path)["episodes"]
    spec = f"replay:{episode['id']}"
    agent = make_agent(spec, load_steps=no_scripts, shared=Shared(log_dir=tmp_path / "runs"))(WORLD)
    said: list[object] = []
    agent.reset(Briefing(SYSTEM, TASK, TOOLS, record=said.append))
    assert agent.act(observation()) == bash("ls")
    with pytest.raises(AgentStop, match="script_ended"):
        agent.act(result("a"))
    assert said == [Message(role="assistant", text="I look.")]


def lines(*typed: str) -> Callable[[], str]:
    rest: Iterator[str] = iter(typed)

    def read() -> str:
        for line in rest:
            return line
        raise EOFError

    return read


def test_a_person_sees_what_a_model_gets_and_no_control_codes() -> None:
    screen = io.StringIO()
    agent = HumanAgent(lines("", "ls -l", 'bash {"a": 1}', "submit all fine"), screen)
    agent.reset(Briefing(SYSTEM, TASK, TOOLS))
    assert agent.act(observation(TASK)) == bash("ls -l")
    assert agent.act(result("\x1b[2Jred", exit_code=3)) == bash('bash {"a": 1}')
    assert agent.act(result("")) == ToolCall(tool="submit", arguments={"report": "all fine"})
    with pytest.raises(AgentStop, match="finished"):
        agent.act(result(""))
    shown = screen.getvalue()
    assert shown.startswith(f"{SYSTEM}\n\n{TASK}\n")
    assert all(tool.description in shown for tool in TOOLS)
    assert "␛[2Jred\n[exit status 3]\n$ " in shown
    assert "\x1b" not in shown


def test_a_person_plays_in_the_terminal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "corrigym", "run", "weight-custody", "--sandbox", "bubblewrap", "--agent", "human"]
    done = subprocess.run(
        [*command, "--json"], cwd=tmp_path, input="echo $((6*7))\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "42\n$ " in done.stderr
    assert '"steps": 1' in done.stdout
    assert corrigym("verify", "last", cwd=tmp_path).returncode == 0
