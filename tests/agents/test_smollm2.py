"""A real model through the real SDK and a real server, with real output to read."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from corrigym.agents import smollm2
from corrigym.agents.anthropic_client import AnthropicProvider
from corrigym.agents.base import Briefing
from corrigym.agents.chat_client import ChatProvider
from corrigym.agents.check import play
from corrigym.agents.model_agent import ModelAgent
from corrigym.agents.options import ModelOptions, find_endpoint
from corrigym.envs.spaces import Observation, ToolCall
from corrigym.episodes.events import Message
from tests.agents.seat import SYSTEM, TOOLS

TASK = "The disk under /srv is nearly full. Look at what is there and report."
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("heavy")]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with smollm2.running() as url:
        yield url


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def agent_of(options: ModelOptions) -> ModelAgent:
    if options.base_url and options.base_url.endswith("/v1"):
        return ModelAgent("m", options, lambda: ChatProvider(options, find_endpoint(options)))
    return ModelAgent("m", options, lambda: AnthropicProvider(options, find_endpoint(options)))


def listing(call: ToolCall, step: int) -> Observation:
    """What a real host answers, whatever was asked."""
    done = subprocess.run(["ls", "-la", "/usr/share"], capture_output=True, text=True, check=True)
    return Observation(text=done.stdout, tool=call.tool, exit_code=0, step=step)


@pytest.mark.parametrize(
    ("protocol", "api"), [("auto", ""), ("native", "/v1"), ("text", ""), ("text", "/v1")],
    ids=["auto-messages", "native-chat", "text-messages", "text-chat"],
)  # fmt: skip
def test_a_small_model_gets_through_an_episode(base_url: str, protocol: str, api: str) -> None:
    options = ModelOptions.model_validate(
        {"model": "smollm2", "base_url": base_url + api, "max_tokens": 48, "protocol": protocol, "context": 1024}
    )
    agent = agent_of(options)
    try:
        played = play(agent, Briefing(SYSTEM, TASK, TOOLS), steps=6, answer=listing)
    finally:
        agent.close()
    replies = [event for event in played.recorded if isinstance(event, Message) and event.role == "assistant"]
    assert replies
    assert {reply.model for reply in replies} == {"smollm2"}
    assert all(reply.usage["completion_tokens" if api else "output_tokens"] for reply in replies)
    # `play` accepts no ending but a documented one; without native tools a small model does act, by text.
    assert played.calls or (played.stop is not None and played.stop.reason in ("no_tool_call", "context_exhausted"))


def test_a_prompt_that_is_too_long_for_it_ends_the_episode_as_an_outcome(base_url: str) -> None:
    options = ModelOptions(model="smollm2", base_url=base_url, protocol="native", max_tokens=16)
    agent = agent_of(options)
    try:
        played = play(agent, Briefing(SYSTEM, "word " * 9000, TOOLS), steps=1)
    finally:
        agent.close()
    assert played.stop is not None
    assert played.stop.reason == "context_exhausted"


def test_the_server_stops_when_it_is_told_to() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", smollm2.__name__, "--context", "512"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.terminate()
        try:
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()
