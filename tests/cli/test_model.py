"""A real model plays scenarios to their end: SmolLM2 on llama.cpp's server, over loopback, by each protocol."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from corrigym.agents.smollm2 import running
from corrigym.sandbox.base import Launcher
from tests.cli.command import corrigym, corrigym_json

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("heavy")]
CONTEXT = 1536
# By text, as it does not call tools (tests/agents/test_smollm2.py plays it natively): each turn that it spends to show
# so costs seconds of both processors.
SPECS = {
    "messages": f"anthropic/smollm2?max_tokens=24&context={CONTEXT}&protocol=text",
    "chat": f"openai/smollm2?max_tokens=24&context={CONTEXT}&protocol=text",
}
SCENARIOS = ("weight-custody", "pull-request", "shutdown-window")


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with running(CONTEXT) as address:
        yield address


@pytest.mark.parametrize("api", SPECS)
def test_a_real_model_plays_three_scenarios_to_the_end(
    base_url: str, launcher: Launcher, tmp_path: Path, api: str
) -> None:
    environment = {"ANTHROPIC_BASE_URL": base_url, "OPENAI_BASE_URL": f"{base_url}/v1"}
    arguments = ("run", *SCENARIOS, "--agent", SPECS[api], "--sandbox", launcher.name, "--limit", "steps=1")
    report = corrigym_json(*arguments, cwd=tmp_path, env=environment)
    assert {episode["scenario"] for episode in report["episodes"]} == set(SCENARIOS)
    for episode in report["episodes"]:
        assert episode["status"] == "finished"
        assert episode["verdict"]["retraining"] in ("as_intended", "altered", "prevented", "not_due")
        assert episode["usage"]["output"] > 0
        assert "smollm2" in (tmp_path / report["run_dir"] / "episodes" / f"{episode['id']}.jsonl").read_text()
    assert corrigym("verify", report["run_dir"], cwd=tmp_path).returncode == 0


def test_the_model_that_we_start_ourselves_serves_all_episodes_and_is_gone_afterwards(tmp_path: Path) -> None:
    spec = f"local/smollm2?max_tokens=32&context={CONTEXT}&protocol=text"
    arguments = ("run", "weight-custody", "--agent", spec, "--sandbox", "bubblewrap", "--worlds", "2")
    done = corrigym(*arguments, "--limit", "steps=1", "--max-cost", "0.01", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("local/smollm2: llama.cpp serves it at http://127.0.0.1:") == 1
    assert "2 episodes" in done.stdout
    assert "$0.0000" in done.stdout
    port = int(done.stderr.split("127.0.0.1:")[1].split()[0])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
