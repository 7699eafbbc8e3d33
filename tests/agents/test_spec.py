"""SPECs: what they make, and what is refused before anything starts."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from corrigym.agents.base import Agent
from corrigym.agents.check import check_agent
from corrigym.agents.options import Endpoint, find_endpoint, parse_options
from corrigym.agents.spec import KINDS, AgentFactory, make_agent
from corrigym.errors import ScriptError, UsageError
from corrigym.scenarios.build import build_world
from corrigym.scenarios.loader import load_scenario
from corrigym.scenarios.trajectories import ScriptStep
from corrigym.scenarios.world import World
from tests.agents.provider import Provider, chats, function, says, use
from tests.agents.seat import TOOLS

WORLD = build_world(load_scenario("weight-custody"), {}, 0)
KEY = "sk-ant-very-secret"


def load_steps(script: str | Path) -> Callable[[World], Iterable[ScriptStep]]:
    if script == "missing":
        raise ScriptError("there is no such trajectory", file="scenario.yaml", line=3)
    return lambda _: [ScriptStep(f"I follow {script}."), ScriptStep(None, "bash", {"command": "ls"})]


def make(spec: str) -> AgentFactory:
    return make_agent(spec, load_steps=load_steps)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("local/smollm2", "replay:EPISODE", "human")])
def test_every_kind_makes_an_agent_that_keeps_the_contract(kind: str, provider: Provider, tmp_path: Path) -> None:
    script = tmp_path / "mine.yaml"
    script.touch()
    spec = kind.replace("FILE", str(script)).replace("NAME", "honest")
    spec = spec.replace("MODEL", f"m?base_url={provider.url}")
    if kind.startswith("openai"):
        calls = [function("t", "bash", {"command": "ls"}), function("t", "submit", {"report": "x"})]
        provider.will(*[chats({"content": None, "tool_calls": [call]}) for call in calls] * 2)
    provider.will(*[says(use("t", "bash", {"command": "ls"})), says(use("t", "submit", {"report": "x"}))] * 2)
    agents: list[Agent] = []

    def new() -> Agent:
        agents.append(make(spec)(WORLD))
        return agents[-1]

    played = check_agent(new, TOOLS)
    assert [agent.name for agent in agents] == [spec]
    assert played.stop is not None or played.calls[-1].tool == "submit"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("", "There is no agent ''."),
        ("antropic/x", "Did you mean 'anthropic'?"),
        ("anthropic", "Did you mean 'anthropic/MODEL'?"),
        ("randm", "Did you mean 'random'?"),
        ("noop/x", "What there is: anthropic/MODEL"),
        ("openai/gpt-9", "OPENAI_API_KEY"),
        ("openai/m?base_url=http://me:secret@127.0.0.1", "keys belong into OPENAI_API_KEY"),
        ("openai/m?max_token=5", "openai/m has no option 'max_token'. Did you mean 'max_tokens'?"),
        ("local/llama", "There is no local model 'llama': write local/smollm2."),
        ("local/smollm2?base_url=http://127.0.0.1:1", "started by corrigym"),
        ("replay:nowhere", "no run 'nowhere'"),
        ("replay:", "names no episode"),
        ("script/", "names no script"),
        ("script:nowhere.yaml", "no script file 'nowhere.yaml'"),
        ("script/missing", "scenario.yaml:3: there is no such trajectory"),
        ("anthropic/", "needs the name of a model"),
        ("anthropic/m", "ANTHROPIC_API_KEY"),
        ("anthropic/m?base_url=https://llm.example.org", "needs a key for llm.example.org"),
        ("anthropic/m?base_url=ftp://x", "no http:// or https:// address"),
        ("anthropic/m?base_url=http://me:secret@127.0.0.1", "keys belong into ANTHROPIC_API_KEY"),
        ("anthropic/m?max_token=5", "Did you mean 'max_tokens'?"),
        ("anthropic/m?max_tokens=many", "max_tokens=many"),
        ("anthropic/m?max_tokens=0", "greater than 0"),
        ("anthropic/m?protocol=morse", "'auto', 'native' or 'text'"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(spec: str, told: str) -> None:
    with pytest.raises((UsageError, ScriptError)) as raised:
        make(spec)
    assert told in str(raised.value)
    assert "secret" not in str(raised.value)


def test_options_are_read_from_the_spec() -> None:
    options = parse_options("org/model:8b", "base_url=http://127.0.0.1:8080&max_tokens=256&protocol=text&context=2048")
    assert options.model_dump() == {
        "model": "org/model:8b",
        "base_url": "http://127.0.0.1:8080",
        "max_tokens": 256,
        "protocol": "text",
        "context": 2048,
        "reasoning": "native",
    }


@pytest.mark.parametrize(
    ("environ", "base_url", "expected"),
    [
        ({"ANTHROPIC_API_KEY": KEY}, None, Endpoint("https://api.anthropic.com", KEY)),
        ({"ANTHROPIC_AUTH_TOKEN": KEY}, None, Endpoint("https://api.anthropic.com", None, KEY)),
        ({"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_AUTH_TOKEN": "t"}, None, Endpoint("https://api.anthropic.com", KEY)),
        ({"ANTHROPIC_BASE_URL": "http://localhost:1"}, None, Endpoint("http://localhost:1", "none")),
        ({"ANTHROPIC_BASE_URL": "http://localhost:1"}, "http://[::1]:2", Endpoint("http://[::1]:2", "none")),
        ({"ANTHROPIC_BASE_URL": "", "ANTHROPIC_API_KEY": KEY}, None, Endpoint("https://api.anthropic.com", KEY)),
    ],
)
def test_the_server_and_its_key_are_found(environ: dict[str, str], base_url: str | None, expected: Endpoint) -> None:
    found = find_endpoint(parse_options("m", f"base_url={base_url}" if base_url else ""), environ)
    assert found == expected
    assert KEY not in repr(found)


def test_a_host_that_only_sounds_official_is_not() -> None:
    assert Endpoint("https://api.anthropic.com").official
    assert not Endpoint("https://notanthropic.com").official
