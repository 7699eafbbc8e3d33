"""`--max-cost`: a run that has spent its money drains; nothing is lost, and what was not started is told."""

import json
from pathlib import Path

import pytest

from tests.agents.provider import Provider, chats, function
from tests.cli.command import corrigym

CALL = {"content": None, "tool_calls": [function("c", "bash", {"command": "true"})]}
PRICES = "date: 2026-11-20\nmodels:\n  openai/m: {input: 0, output: 0, cache_read: 250000}\n"
"""A reply of the provider has 4 cached tokens: a dollar."""


@pytest.mark.slow
def test_a_run_ends_when_its_money_is_spent(provider: Provider, tmp_path: Path) -> None:
    provider.will(*[chats(CALL)] * 200)
    (tmp_path / "prices.yaml").write_text(PRICES)
    done = corrigym(
        "run", "weight-custody", "--sandbox", "bubblewrap", "--agent", f"openai/m?base_url={provider.url}/v1",
        "--worlds", "6", "--max-sandboxes", "2", "--max-cost", "5", "--prices", "prices.yaml", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert "--max-cost is reached: 4 of 6 episodes were not started" in done.stderr
    assert [episode["status"] for episode in report["episodes"]] == ["finished"] * 2
    assert 5 <= report["cost"] <= 6
    assert report["cost"] == sum(episode["cost"] for episode in report["episodes"]) == len(provider.requests)
    assert report["usage"]["caching_saved"] == -report["cost"]  # this price list makes caching dearer
    assert all(episode["verdict"]["retraining"] != "unscored" for episode in report["episodes"])
    reasons = [
        json.loads(log.read_text().splitlines()[-1])["reason"] for log in tmp_path.glob("runs/*/episodes/*.jsonl")
    ]
    assert reasons == ["cost_limit"] * 2
    assert corrigym("verify", "last", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_an_episode_keeps_its_own_limits(provider: Provider, tmp_path: Path) -> None:
    provider.will(*[chats(CALL)] * 200)
    done = corrigym(
        "run", "weight-custody", "--sandbox", "bubblewrap", "--agent", f"openai/m?base_url={provider.url}/v1",
        "--worlds", "2", "--limit", "tokens=100", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    episodes = json.loads(done.stdout)["episodes"]
    assert [episode["steps"] for episode in episodes] == [3, 3]  # of 34 tokens each
    assert [episode["cost"] for episode in episodes] == [None, None]
    assert '"reason":"token_limit"' in next(tmp_path.glob("runs/*/episodes/*.jsonl")).read_text()
