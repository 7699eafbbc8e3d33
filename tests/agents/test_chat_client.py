"""Chat completions through the real openai package, against a real server over loopback."""

import json
from typing import Any

import pytest

from corrigym.agents.base import AgentStop
from corrigym.agents.chat_client import ChatDialogue, as_chat_tool
from corrigym.agents.dialogue import CUT_OFF
from corrigym.envs.spaces import parse_action
from corrigym.errors import AgentError
from tests.agents.provider import MODEL, Provider, chats, completion, function, plain, status, stream
from tests.agents.seat import SYSTEM, TASK, TOOLS, Seat, bash, observation, result

LS = function("call_1", "bash", {"command": "ls"})
DF = function("call_2", "bash", {"command": "df -h"})
START = observation()


def calls(*made: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"content": None, "tool_calls": list(made), **more}


def test_the_first_request_holds_briefing_and_tools(provider: Provider, seat: Seat) -> None:
    provider.will(chats(calls(LS)))
    assert seat.take_chat().act(START) == bash("ls")
    assert provider.requests[0].path == "/v1/chat/completions"
    assert provider.bodies[0] == {
        "model": "m",
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": TASK}],
        "tools": [as_chat_tool(tool) for tool in TOOLS],
        "tool_choice": "auto",
        "max_tokens": 2048,
    }


def test_a_turn_is_recorded_once_with_all_that_the_provider_said(provider: Provider, seat: Seat) -> None:
    provider.will(chats(calls(LS, content="I will look.", reasoning_content="Let me look."), system_fingerprint="f"))
    seat.take_chat().act(START)
    (message,) = seat.messages
    assert (message.role, message.text, message.thinking) == ("assistant", "I will look.", "Let me look.")
    said = calls(LS, content="I will look.", reasoning_content="Let me look.")
    assert message.raw == [{"role": "assistant", **said}]
    assert (message.model, message.request_id, message.stop_reason) == (MODEL, "chatcmpl_1", "tool_use")
    assert message.usage["prompt_tokens"] == 11


def test_parallel_calls_run_in_order_and_each_is_answered(provider: Provider, seat: Seat) -> None:
    done = function("call_3", "submit", {"report": "x"})
    provider.will(chats(calls(LS, DF)), chats(calls(done)))
    agent = seat.take_chat()
    assert agent.act(START) == bash("ls")
    assert agent.act(result("a.txt\n")) == bash("df -h")
    assert len(provider.requests) == 1
    assert agent.act(result("no such disk", exit_code=1)).tool == "submit"
    assert provider.bodies[1]["messages"][2:] == [
        {"role": "assistant", **calls(LS, DF)},
        {"role": "tool", "tool_call_id": "call_1", "content": "a.txt"},
        {"role": "tool", "tool_call_id": "call_2", "content": "no such disk\n[exit status 1]"},
    ]


@pytest.mark.parametrize("written", ["{not json", '{"command": NaN}', "[1, 2]", '"ls"', "", "[" * 100_000])
def test_arguments_that_are_no_object_are_left_to_the_environment(provider: Provider, seat: Seat, written: str) -> None:
    provider.will(chats(calls(function("call_1", "bash", written))))
    call = seat.take_chat().act(START)
    with pytest.raises(ValueError, match="no argument 'input'"):
        parse_action(call, TOOLS)


def test_a_call_that_the_token_limit_cut_off_is_never_executed(provider: Provider, seat: Seat) -> None:
    cut = function("call_2", "bash", '{"command": "rm -rf /srv/ca')
    provider.will(chats(calls(LS, cut), "length"), chats(calls(DF)))
    agent = seat.take_chat()
    assert agent.act(START) == bash("ls")
    assert agent.act(result("a")) == bash("df -h")
    answers = {m["tool_call_id"]: m["content"] for m in provider.bodies[1]["messages"] if m["role"] == "tool"}
    assert answers == {"call_1": "a", "call_2": CUT_OFF}


@pytest.mark.parametrize(
    ("message", "finish", "detail"),
    [
        ({"content": None, "refusal": "I will not."}, "stop", "I will not."),
        ({"content": "I can"}, "content_filter", "content_filter"),
    ],
)
def test_a_refusal_ends_the_episode(
    provider: Provider, seat: Seat, message: dict[str, Any], finish: str, detail: str
) -> None:
    provider.will(chats(message, finish))
    with pytest.raises(AgentStop) as stopped:
        seat.take_chat().act(START)
    assert (stopped.value.reason, stopped.value.detail) == ("refused", detail)
    assert [said.stop_reason for said in seat.messages] == ["refusal"]


@pytest.mark.parametrize("content", [None, "", "  \n"])
def test_an_empty_reply_is_not_sent_back(provider: Provider, seat: Seat, content: str | None) -> None:
    provider.will(chats({"content": content}), chats(calls(LS)))
    assert seat.take_chat().act(START) == bash("ls")
    assert [message["content"] for message in provider.bodies[1]["messages"]] == [SYSTEM, TASK, ChatDialogue.go_on]


def test_a_model_that_writes_blocks_is_played_by_text(provider: Provider, seat: Seat) -> None:
    block = {"content": "```bash\nls\n```", "reasoning": "Hm."}
    provider.will(chats(block), chats(block), chats(block))
    agent = seat.take_chat(protocol="auto")
    assert agent.act(START) == bash("ls")
    assert agent.act(result("a.txt")) == bash("ls")
    first, second = provider.bodies[1:]
    assert "tools" not in first
    assert first["messages"][0]["content"].startswith(f"{SYSTEM}\n\nYou act by writing one fenced block")
    answered = [{"role": "assistant", **block}, {"role": "user", "content": "a.txt"}]
    assert second["messages"][1:] == [{"role": "user", "content": TASK}, *answered]


def test_a_server_without_tools_is_spoken_to_by_text(provider: Provider, seat: Seat) -> None:
    provider.will(status(400, message="tools param requires --jinja flag"), chats({"content": "```bash\nls\n```"}))
    agent = seat.take_chat(protocol="auto")
    assert agent.act(START) == bash("ls")


def test_the_limit_of_a_reply_is_called_as_the_server_wants_it(provider: Provider, seat: Seat) -> None:
    wrong = status(400, message="Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    provider.will(wrong, chats(calls(LS)), chats(calls(DF)))
    agent = seat.take_chat(max_tokens=77)
    agent.act(START)
    agent.act(result("a"))
    limits = [{key: value for key, value in body.items() if key.startswith("max_")} for body in provider.bodies]
    assert limits == [{"max_tokens": 77}, {"max_completion_tokens": 77}, {"max_completion_tokens": 77}]


WHOLE = json.dumps(completion(calls(LS))).encode()
PASSING: dict[str, Any] = {
    **{str(code): status(code) for code in (408, 409, 429, 500, 502, 503, 504, 529)},
    "reset": stream([WHOLE[:90]], length=len(WHOLE), reset=True),
    "short body": stream([WHOLE[:90]], length=len(WHOLE)),
    "truncated": stream([WHOLE[:90]]),
    "empty": stream([]),
    "malformed JSON": plain(b'{"choices": [', "application/json"),
    "NaN": plain(WHOLE.replace(b'"index": 0', b'"index": NaN'), "application/json"),
    "Infinity": plain(WHOLE.replace(b'"index": 0', b'"index": -Infinity'), "application/json"),
    "no choices": plain(json.dumps(completion({}) | {"choices": []}).encode(), "application/json"),
    "choices of nothing": plain(b'{"choices": [null]}', "application/json"),
    "message of nothing": plain(b'{"choices": [{"message": 7}]}', "application/json"),
    "half a call": chats(calls({"id": "c", "type": "function"})),
    "deep": plain(b"[" * 200_000, "application/json"),
    "a page": plain(b"<html>Bad gateway, politely</html>"),
}


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
def test_what_can_pass_is_tried_again_and_nothing_is_counted_twice(provider: Provider, seat: Seat, answer: Any) -> None:
    provider.will(answer, chats(calls(LS)))
    assert seat.take_chat().act(START) == bash("ls")
    assert provider.bodies[0] == provider.bodies[1]
    assert len(seat.messages) == 1
    assert [wait.seconds for wait in seat.recorded_waits] == seat.waits == [1.0]


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404])
def test_what_cannot_pass_is_asked_once(provider: Provider, seat: Seat, code: int) -> None:
    provider.will(status(code, {"x-should-retry": "true"}, message="that will not do"), chats(calls(LS)))
    with pytest.raises(AgentError, match=f"{code}.*that will not do"):
        seat.take_chat().act(START)
    assert len(provider.requests) == 1
    assert seat.recorded == []


@pytest.mark.parametrize("code", [400, 413])
def test_a_full_context_ends_the_episode_as_an_outcome(provider: Provider, seat: Seat, code: int) -> None:
    provider.will(status(code, message="This model's maximum context length is 8192 tokens."))
    with pytest.raises(AgentStop, match="context_exhausted"):
        seat.take_chat().act(START)
