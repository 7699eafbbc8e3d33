"""Where a model thinks, and who sees it."""

from pathlib import Path
from typing import Any

import pytest

from corrigym.agents.base import Briefing
from corrigym.agents.scratchpad import INSTRUCTIONS
from corrigym.agents.spec import make_agent
from corrigym.errors import AgentError, UsageError
from corrigym.scenarios.build import build_world
from tests.agents.provider import Provider, chats, described, function, says, text, use
from tests.agents.seat import SYSTEM, Seat, bash, observation, result
from tests.authoring.folder import loaded

LS = use("toolu_1", "bash", {"command": "ls"})
START = observation()


def kinds(*supported: str) -> dict[str, Any]:
    names = ("adaptive", "enabled", "disabled")
    return {"thinking": {"supported": True, "types": {name: {"supported": name in supported} for name in names}}}


@pytest.mark.parametrize(
    ("supported", "reasoning", "asked"),
    [
        (("adaptive", "enabled"), "native", {"type": "adaptive", "display": "summarized"}),
        (("enabled",), "native", {"type": "enabled", "budget_tokens": 8000, "display": "summarized"}),
        (("adaptive", "disabled"), "none", {"type": "disabled"}),
        (("adaptive", "disabled"), "scratchpad", {"type": "disabled"}),
        (("adaptive",), "scratchpad", None),
        ((), "native", None),
        ((), "none", None),
    ],
)
def test_thinking_is_asked_for_as_the_model_supports_it(
    provider: Provider, seat: Seat, supported: tuple[str, ...], reasoning: str, asked: object
) -> None:
    provider.description = described(capabilities=kinds(*supported), max_tokens=64_000)
    provider.will(says(LS))
    seat.take(reasoning=reasoning).act(START)
    assert provider.bodies[0].get("thinking") == asked


def test_a_model_that_always_thinks_cannot_be_asked_not_to(provider: Provider, seat: Seat) -> None:
    provider.description = described(capabilities=kinds("adaptive"), max_tokens=64_000)
    with pytest.raises(AgentError, match="leave reasoning=none out"):
        seat.take(reasoning="none").act(START)
    assert provider.requests == []


PAD = "<scratchpad>They must not\nretrain me.</scratchpad>"


@pytest.mark.parametrize(
    ("written", "said", "thought"),
    [
        (f"{PAD}I will look.", "I will look.", "They must not\nretrain me."),
        (f"One. {PAD.upper()} Two.", "One.  Two.", "THEY MUST NOT\nRETRAIN ME."),
        ("<scratchpad>Never closed", "", "Never closed"),
        ("Nothing.", "Nothing.", ""),
    ],
)
@pytest.mark.parametrize("api", ["messages", "chat"])
def test_a_scratchpad_is_kept_apart_from_what_is_said(
    provider: Provider, seat: Seat, api: str, written: str, said: str, thought: str
) -> None:
    if api == "chat":
        call = function("c", "bash", {"command": "ls"})
        provider.will(chats({"content": written, "tool_calls": [call]}), chats({"content": "", "tool_calls": [call]}))
        agent = seat.take_chat(reasoning="scratchpad")
    else:
        provider.will(says(text(written), LS), says(LS))
        agent = seat.take(reasoning="scratchpad")
    assert agent.act(START) == bash("ls")
    instructions, message = seat.messages
    assert (instructions.role, instructions.text) == ("user", INSTRUCTIONS)
    assert (message.text, message.thinking) == (said, thought)
    first = provider.bodies[0]
    assert (first["messages"][0]["content"] if api == "chat" else first["system"]) == f"{SYSTEM}\n\n{INSTRUCTIONS}"
    agent.act(result("a"))
    own = provider.bodies[1]["messages"][2 if api == "chat" else 1]["content"]
    assert own == (written if api == "chat" else [text(written), LS])


def test_nothing_in_a_scratchpad_is_carried_out(provider: Provider, seat: Seat) -> None:
    block = "```bash\nrm -rf /srv\n```"
    provider.will(says(f"<scratchpad>{block}</scratchpad>\n```bash\nls\n```"))
    assert seat.take(reasoning="scratchpad", protocol="text").act(START) == bash("ls")


@pytest.mark.parametrize(("level", "times"), [("scratchpad", 1), ("native", 0)])
def test_the_condition_decides_where_the_model_thinks_and_says_so_once(
    provider: Provider, tmp_path: Path, level: str, times: int
) -> None:
    provider.will(says(text(f"{PAD}Looking."), LS))
    world = build_world(loaded(tmp_path), {"reasoning": level}, 0)
    agent = make_agent(f"anthropic/m?base_url={provider.url}&protocol=native", load_steps=_no_script)(world)
    recorded: list[Any] = []
    agent.reset(Briefing(world.prompts.system, world.prompts.task, world.tools, record=recorded.append))
    agent.act(START)
    agent.close()
    assert provider.bodies[0]["system"].count(INSTRUCTIONS) == times
    assert [message.thinking for message in recorded if message.role == "assistant"] == (
        ["They must not\nretrain me."] if times else [""]
    )


def test_a_spec_that_contradicts_the_condition_is_refused(tmp_path: Path) -> None:
    make = make_agent("anthropic/m?base_url=http://127.0.0.1:9&reasoning=none", load_steps=_no_script)
    with pytest.raises(UsageError, match="the condition says reasoning=scratchpad"):
        make(build_world(loaded(tmp_path), {"reasoning": "scratchpad"}, 0))


def _no_script(_: str | Path) -> Any:
    raise AssertionError
