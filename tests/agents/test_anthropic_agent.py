"""The agent through the real SDK, against a real server over loopback."""

from typing import Any

import pytest

from corrigym.agents.base import AgentStop, Briefing
from corrigym.agents.dialogue import CUT_OFF
from corrigym.agents.model_agent import NUDGES
from corrigym.agents.native import NativeDialogue
from corrigym.envs.spaces import parse_action
from tests.agents.provider import MODEL, Provider, described, says, status, text, thinking, use
from tests.agents.seat import SYSTEM, TASK, TOOLS, Seat, bash, observation, result

LS = use("toolu_1", "bash", {"command": "ls"})
DF = use("toolu_2", "bash", {"command": "df -h"})
START = observation()
ADAPTIVE = {"thinking": {"supported": True, "types": {"adaptive": {"supported": True}}}}


def user_texts(message: dict[str, Any]) -> list[str]:
    assert message["role"] == "user"
    return [block["text"] for block in message["content"] if block["type"] == "text"]


def test_the_first_request_holds_briefing_and_tools_and_asks_for_a_stream(provider: Provider, seat: Seat) -> None:
    provider.will(says(LS))
    assert seat.take().act(START) == bash("ls")
    body = provider.bodies[0]
    assert body["system"] == SYSTEM
    assert body["messages"] == [{"role": "user", "content": [text(TASK)]}]
    assert [tool["name"] for tool in body["tools"]] == ["bash", "submit"]
    assert body["tools"][0]["input_schema"] == TOOLS[0].parameters
    assert body["tool_choice"] == {"type": "auto"}
    assert body["stream"] is True
    assert body["cache_control"] == {"type": "ephemeral"}
    assert "thinking" not in body


def test_a_turn_is_recorded_once_with_all_that_the_provider_said(provider: Provider, seat: Seat) -> None:
    blocks = [thinking("Let me look.", "c2ln"), text("I will look."), LS]
    provider.will(says(*blocks))
    seat.take().act(START)
    (message,) = seat.messages
    assert (message.role, message.text, message.thinking) == ("assistant", "I will look.", "Let me look.")
    assert message.raw == blocks
    assert (message.model, message.request_id, message.stop_reason) == (MODEL, "req_42", "tool_use")
    assert message.usage["input_tokens"] == 11
    assert message.usage["output_tokens"] == 23


def test_thinking_is_asked_for_where_the_server_says_it_is_supported(provider: Provider, seat: Seat) -> None:
    provider.description = described(capabilities=ADAPTIVE, max_tokens=64_000)
    provider.will(says(LS), says(DF))
    agent = seat.take()
    agent.act(START)
    agent.act(result("a b"))
    assert [body["thinking"] for body in provider.bodies] == [{"type": "adaptive", "display": "summarized"}] * 2
    assert provider.described == ["/v1/models/m"]
    assert provider.bodies[0]["max_tokens"] == 16_000


@pytest.mark.parametrize(
    "capabilities", [None, [], ["completion"], {"thinking": None}, {"thinking": {"types": {"adaptive": True}}}]
)
def test_thinking_is_not_asked_for_where_the_server_does_not_say_so(
    provider: Provider, seat: Seat, capabilities: object
) -> None:
    provider.description = described(capabilities=capabilities)
    provider.will(says(LS))
    seat.take(max_tokens=99).act(START)
    assert "thinking" not in provider.bodies[0]
    assert provider.bodies[0]["max_tokens"] == 99


def test_parallel_calls_run_in_order_and_their_results_go_back_in_one_message(provider: Provider, seat: Seat) -> None:
    provider.will(says(text("Both."), LS, DF), says(use("toolu_3", "submit", {"report": "done"})))
    agent = seat.take()
    assert agent.act(START) == bash("ls")
    assert agent.act(result("a.txt\n")) == bash("df -h")
    assert len(provider.requests) == 1
    assert agent.act(result("df: no such disk", exit_code=1)).tool == "submit"
    assert provider.bodies[1]["messages"][1:] == [
        {"role": "assistant", "content": [text("Both."), LS, DF]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.txt"},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "df: no such disk\n[exit status 1]"},
            ],
        },
    ]
    assert len(seat.messages) == 2


@pytest.mark.parametrize(
    ("written", "problem"),
    [({"cmd": "ls"}, "no argument 'cmd'"), ({}, "needs the argument"), ("[1, 2]", "no argument 'input'")],
)
def test_arguments_that_are_wrong_are_passed_on_for_the_environment_to_answer(
    provider: Provider, seat: Seat, written: object, problem: str
) -> None:
    provider.will(says(use("toolu_1", "bash", written)))
    call = seat.take().act(START)
    assert call.tool == "bash"
    with pytest.raises(ValueError, match=problem):
        parse_action(call, TOOLS)


def test_a_refusal_ends_the_episode_with_its_category_and_is_recorded(provider: Provider, seat: Seat) -> None:
    details = {"type": "refusal", "category": "frontier_llm", "explanation": "It looks like training."}
    provider.will(says("I can", LS, stop_reason="refusal", stop_details=details))
    with pytest.raises(AgentStop) as stopped:
        seat.take().act(START)
    assert (stopped.value.reason, stopped.value.detail) == ("refused", "frontier_llm: It looks like training.")
    assert [message.stop_reason for message in seat.messages] == ["refusal"]


def test_a_refusal_of_a_category_that_the_sdk_does_not_know_is_one_too(provider: Provider, seat: Seat) -> None:
    provider.will(says(stop_reason="refusal", stop_details={"type": "refusal", "category": "new", "more": 1}))
    with pytest.raises(AgentStop, match="refused: new"):
        seat.take().act(START)


def test_a_reply_without_a_call_is_asked_to_go_on_three_times_and_no_more(provider: Provider, seat: Seat) -> None:
    provider.will(*[says("I am done, I think.")] * (NUDGES + 1))
    with pytest.raises(AgentStop, match="no_tool_call"):
        seat.take().act(START)
    assert len(provider.requests) == NUDGES + 1
    nudges = [message.text for message in seat.messages if message.role == "user"]
    assert nudges == [NativeDialogue.go_on] * NUDGES
    assert user_texts(provider.bodies[-1]["messages"][-1]) == [NativeDialogue.go_on]


def test_a_call_between_starts_the_count_again(provider: Provider, seat: Seat) -> None:
    provider.will(*[says("Hm.")] * NUDGES, says(LS), *[says("Hm.")] * NUDGES, says(DF))
    agent = seat.take()
    assert agent.act(START) == bash("ls")
    assert agent.act(result("x")) == bash("df -h")


def test_an_empty_reply_is_not_sent_back_and_roles_still_alternate(provider: Provider, seat: Seat) -> None:
    provider.will(says(), says("  \n"), says(LS))
    assert seat.take().act(START) == bash("ls")
    assert provider.bodies[2]["messages"] == [
        {"role": "user", "content": [text(TASK), text(NativeDialogue.go_on), text(NativeDialogue.go_on)]}
    ]


def test_a_call_that_the_token_limit_cut_off_is_never_executed(provider: Provider, seat: Seat) -> None:
    cut = use("toolu_2", "bash", '{"command": "rm -rf /srv/ca')
    provider.will(says(LS, cut, stop_reason="max_tokens"), says(DF))
    agent = seat.take()
    assert agent.act(START) == bash("ls")
    assert agent.act(result("a")) == bash("df -h")
    results = provider.bodies[1]["messages"][2]["content"]
    assert {item["tool_use_id"]: item["content"] for item in results} == {"toolu_1": "a", "toolu_2": CUT_OFF}
    assert [item["type"] for item in results] == ["tool_result"] * 2


def test_a_lone_cut_call_is_answered_and_asked_for_again(provider: Provider, seat: Seat) -> None:
    cut = use("toolu_1", "bash", '{"command": "rm -rf /srv/ca')
    provider.will(says(cut, stop_reason="max_tokens"), says(DF))
    assert seat.take().act(START) == bash("df -h")
    sent = provider.bodies[1]["messages"][2]["content"]
    assert [item["type"] for item in sent] == ["tool_result", "text"]
    assert sent[0]["is_error"] is True


def test_thinking_that_the_token_limit_cut_off_is_left_out(provider: Provider, seat: Seat) -> None:
    provider.will(says(thinking("Hm, let me", ""), stop_reason="max_tokens"), says(LS))
    seat.take().act(START)
    assert [message["role"] for message in provider.bodies[1]["messages"]] == ["user"]
    assert seat.messages[0].thinking == "Hm, let me"


def test_a_paused_turn_is_sent_back_as_it_is_and_goes_on(provider: Provider, seat: Seat) -> None:
    provider.will(says("Let me", stop_reason="pause_turn"), says(" look.", LS))
    assert seat.take().act(START) == bash("ls")
    assert provider.bodies[1]["messages"][-1] == {"role": "assistant", "content": [text("Let me")]}


def test_a_turn_that_is_paused_for_ever_ends(provider: Provider, seat: Seat) -> None:
    provider.will(*[says("Hm", stop_reason="pause_turn")] * 30)
    with pytest.raises(AgentStop, match="paused"):
        seat.take().act(START)


@pytest.mark.parametrize(
    "answer",
    [
        says("I was", stop_reason="model_context_window_exceeded"),
        status(413, kind="request_too_large", message="Request exceeds the maximum size"),
        status(400, kind="invalid_request_error", message="prompt is too long: 213000 tokens > 200000 maximum"),
        status(400, message="input length and `max_tokens` exceed context limit: 190000 + 16000 > 200000"),
        status(
            400, message="request (9031 tokens) exceeds the available context size (8192 tokens), try increasing it"
        ),
    ],
    ids=["stop_reason", "413", "too long", "with max_tokens", "llama.cpp"],
)
def test_a_full_context_ends_the_episode_as_an_outcome(provider: Provider, seat: Seat, answer: Any) -> None:
    provider.will(says(LS), answer)
    agent = seat.take()
    agent.act(START)
    with pytest.raises(AgentStop) as stopped:
        agent.act(result("a"))
    assert stopped.value.reason == "context_exhausted"


def test_a_server_that_does_not_know_caching_is_asked_without(provider: Provider, seat: Seat) -> None:
    provider.will(status(400, message="cache_control: Extra inputs are not permitted"), says(LS), says(DF))
    agent = seat.take()
    assert agent.act(START) == bash("ls")
    agent.act(result("a"))
    assert ["cache_control" in body for body in provider.bodies] == [True, False, False]


def test_a_second_episode_starts_from_nothing(provider: Provider, seat: Seat) -> None:
    provider.will(says(LS), says(DF))
    agent = seat.take()
    agent.act(START)
    agent.reset(Briefing("Other.", "Other task.", TOOLS))
    assert agent.act(observation("Welcome.")) == bash("df -h")
    assert provider.bodies[1]["system"] == "Other."
    assert provider.bodies[1]["messages"] == [{"role": "user", "content": [text("Other task.\n\nWelcome.")]}]


def test_half_of_a_surrogate_pair_does_no_harm(provider: Provider, seat: Seat) -> None:
    provider.will(says(use("toolu_1", "bash", '{"command": "ls"}', note="\ud83d"), "\ude00 so"), says(DF))
    agent = seat.take()
    assert agent.act(START) == bash("ls")
    assert agent.act(result("a")) == bash("df -h")
    assert seat.messages[0].text == "? so"
