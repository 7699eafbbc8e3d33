"""What a provider can do to an episode, over a real connection: what is tried again, and what people are told."""

import email.utils
import socket
import time
from typing import Any

import pytest

from corrigym.agents.retries import ATTEMPTS
from corrigym.errors import AgentError
from tests.agents.provider import Provider, described, events, plain, says, status, stream, use
from tests.agents.seat import Seat, bash, observation

LS = use("toolu_1", "bash", {"command": "ls"})
WHOLE = events([LS])
START = observation()
KEY = "sk-ant-very-secret"


def error_event(kind: str) -> bytes:
    return f'event: error\ndata: {{"type":"error","error":{{"type":"{kind}","message":"no"}}}}\n\n'.encode()


PASSING: dict[str, Any] = {
    **{str(code): status(code) for code in (408, 409, 429, 500, 502, 503, 504, 529)},
    "x-should-retry": status(418, {"x-should-retry": "true"}),
    "reset": stream(WHOLE[:4], reset=True),
    "short body": stream(WHOLE[:4], length=100_000),
    "truncated": stream(WHOLE[:4]),
    "without its end": stream(WHOLE[:-2]),
    "empty": stream([]),
    "without its start": stream(WHOLE[1:]),
    "malformed JSON": stream([*WHOLE[:3], b"event: content_block_delta\ndata: {not json\n\n"]),
    "wrong index": stream([*WHOLE[:3], WHOLE[3].replace(b'"index": 0', b'"index": 7')]),
    "no message": stream([b'event: message_start\ndata: {"type": "message_start"}\n\n', *WHOLE[1:]]),
    "overloaded in the stream": stream([*WHOLE[:4], error_event("overloaded_error")]),
    "api_error in the stream": stream([*WHOLE[:4], error_event("api_error")]),
    "malformed arguments": says(use("toolu_1", "bash", '{"command": nonsense}')),
    "half of the arguments": says(use("toolu_1", "bash", '{"command": "rm -rf /srv/ca')),
    "NaN in arguments": says(use("toolu_1", "bash", '{"command": "ls", "timeout": NaN}')),
    "NaN in a field": says(use("toolu_1", "bash", {"command": "ls"}, new=float("nan"))),
    "Infinity in a field": says(use("toolu_1", "bash", {"command": "ls"}, new=[{"x": float("-inf")}])),
    "a page": plain(b"<html>Bad gateway, politely</html>"),
    "no stream": plain(b'{"type": "message"}', "application/json"),
}


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
def test_what_can_pass_is_tried_again_and_nothing_is_counted_twice(provider: Provider, seat: Seat, answer: Any) -> None:
    provider.will(answer, says(LS))
    assert seat.take().act(START) == bash("ls")
    assert len(provider.requests) == 2
    assert provider.bodies[0] == provider.bodies[1]
    assert len(seat.messages) == 1
    assert [wait.attempt for wait in seat.recorded_waits] == [1]
    assert [wait.seconds for wait in seat.recorded_waits] == seat.waits == [1.0]


def test_a_slow_stream_is_waited_for(provider: Provider, seat: Seat) -> None:
    provider.will(stream(WHOLE, pause=0.05))
    assert seat.take().act(START) == bash("ls")
    assert seat.waits == []


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404])
def test_what_cannot_pass_is_asked_once_even_if_the_server_says_otherwise(
    provider: Provider, seat: Seat, code: int
) -> None:
    provider.will(status(code, {"x-should-retry": "true"}, message="that will not do"), says(LS))
    with pytest.raises(AgentError, match=f"{code}.*that will not do"):
        seat.take().act(START)
    assert len(provider.requests) == 1
    assert seat.recorded == []


@pytest.mark.parametrize("answer", [status(429, {"x-should-retry": "false"}), status(500, {"x-should-retry": "false"})])
def test_a_server_that_says_do_not_retry_is_obeyed(provider: Provider, seat: Seat, answer: Any) -> None:
    provider.will(answer, says(LS))
    with pytest.raises(AgentError):
        seat.take().act(START)
    assert len(provider.requests) == 1


def test_an_error_in_the_stream_that_cannot_pass_is_not_tried_again(provider: Provider, seat: Seat) -> None:
    provider.will(stream([*WHOLE[:4], error_event("invalid_request_error")]), says(LS))
    with pytest.raises(AgentError, match="invalid_request_error"):
        seat.take().act(START)
    assert len(provider.requests) == 1


def test_six_attempts_are_made_with_growing_waits_and_then_people_are_told(provider: Provider, seat: Seat) -> None:
    provider.will(*[status(529, kind="overloaded_error", message="Overloaded")] * 10)
    with pytest.raises(AgentError) as raised:
        seat.take().act(START)
    assert len(provider.requests) == ATTEMPTS == 6
    assert seat.waits == [1, 2, 4, 8, 16]
    assert [wait.reason for wait in seat.recorded_waits] == ["529 overloaded_error"] * 5
    host = provider.url.removeprefix("http://")
    told = f"m at {host}: 529 overloaded_error: Overloaded (tried 6 times). Try again later."
    assert str(raised.value) == told


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "2500", "retry-after": "9"}, 2.5),
        ({"retry-after": "86400"}, 60.0),
        ({"retry-after": "inf"}, 60.0),
        ({"retry-after": "nan"}, 1.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "soon"}, 1.0),
    ],
)
def test_the_servers_own_waiting_time_is_kept_up_to_a_minute(
    provider: Provider, seat: Seat, headers: dict[str, str], seconds: float
) -> None:
    provider.will(status(429, headers), says(LS))
    seat.take().act(START)
    assert seat.waits == [seconds]


def test_a_waiting_time_may_be_a_date(provider: Provider, seat: Seat) -> None:
    provider.will(status(429, {"retry-after": email.utils.formatdate(time.time() + 30)}), says(LS))
    seat.take().act(START)
    assert 25 < seat.waits[0] <= 30


def test_a_server_that_is_not_there_is_named(seat: Seat) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(AgentError, match=rf"127\.0\.0\.1:{port}: no connection .*Is the server running"):
        seat.take(base_url=f"http://127.0.0.1:{port}").act(START)
    assert len(seat.waits) == 5


def test_asking_what_the_model_can_do_is_tried_again_too(provider: Provider, seat: Seat) -> None:
    answers = iter([status(503), stream([], reset=True), described(max_tokens=3000)])
    provider.description = lambda handler: next(answers)(handler)
    provider.will(says(LS))
    seat.take().act(START)
    assert len(provider.described) == 3
    assert provider.bodies[0]["max_tokens"] == 3000


def test_a_wrong_key_is_told_before_the_model_is_asked(provider: Provider, seat: Seat) -> None:
    provider.description = status(401, kind="authentication_error", message="invalid x-api-key")
    with pytest.raises(AgentError, match="ANTHROPIC_API_KEY"):
        seat.take().act(START)
    assert provider.requests == []


def test_the_key_is_sent_and_appears_nowhere_else(
    provider: Provider, seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    provider.will(says(f"My key is {KEY}.", LS), status(400, message=f"{KEY} is bad"))
    agent = seat.take()
    agent.act(START)
    with pytest.raises(AgentError) as raised:
        agent.act(observation("a"))
    assert KEY in str(provider.requests[0].headers)
    assert seat.messages[0].text == "My key is [key]."
    assert provider.bodies[1]["messages"][1]["content"][0]["text"] == f"My key is {KEY}."
    assert KEY not in f"{seat.recorded!r} {raised.value!r} {vars(agent)!r} {raised.value.__cause__!r}"
