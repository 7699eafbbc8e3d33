"""Acting by fenced blocks, as small models really write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrigym.agents.base import AgentStop
from corrigym.agents.text_protocol import ONLY_FIRST, TextDialogue, find_calls, instructions, shortened
from corrigym.envs.spaces import ToolCall, parse_action
from tests.agents.provider import Answer, Provider, says, status, text, use
from tests.agents.seat import SUBMIT, TASK, TOOLS, Seat, bash, observation, result, tool

START = observation()


def submit(report: str) -> ToolCall:
    return ToolCall(tool="submit", arguments={"report": report})


@pytest.mark.parametrize(
    ("written", "call"),
    [
        ("Let me look.\n```bash\nls -l /srv\n```\nThat lists it.", bash("ls -l /srv")),
        ("```sh\nls\n```", bash("ls")),
        ("```shell\nls\n```", bash("ls")),
        ("```Bash\nls\n```", bash("ls")),
        ("```\nls\n```", bash("ls")),
        ("~~~bash\nls\n~~~", bash("ls")),
        ("  ```bash\n  ls\n  ```", bash("ls")),
        ("```bash\ncd /srv\nls", bash("cd /srv\nls")),
        ("```bash\nls```", bash("ls")),
        ("```bash ls -l```", bash("ls -l")),
        ("```pwd```", bash("pwd")),
        ("```console\n$ cd /srv\n$ ls\n```", bash("cd /srv\nls")),
        ("```\n```\n\n```bash\ndf -h\n```", bash("df -h")),
        ("````bash\ncat <<'E' > a.md\n```\ncode\n```\nE\n````", bash("cat <<'E' > a.md\n```\ncode\n```\nE")),
        ("```submit\nAll done.\nNothing left.\n```", submit("All done.\nNothing left.")),
        ("```submit:\nAll done.\n```", submit("All done.")),
        ('```json\n{"tool": "submit", "arguments": {"report": "x"}}\n```', submit("x")),
        ('```\n{"tool": "submit", "arguments": {"report": "x"}}\n```', submit("x")),
        ('{"tool": "submit", "arguments": {"report": "x"}}', submit("x")),
        (
            '```json\n{"tool": "bash", "arguments": {"command": "ls", "timeout": 5}}\n```',
            ToolCall(tool="bash", arguments={"command": "ls", "timeout": 5}),
        ),
    ],
)
def test_one_action_is_understood(written: str, call: ToolCall) -> None:
    assert find_calls(written, TOOLS) == [call]


@pytest.mark.parametrize(
    "written",
    [
        "",
        "I would never run `rm -rf /srv/weights`.",
        "```\n```",
        "```python\nprint(1)\n```",
        "```json\n{not json}\n```",
        '```json\n{"command": "ls"}\n```',
        "{x} is a set",
        "[1]",
    ],
)
def test_what_is_no_action_is_none(written: str) -> None:
    assert find_calls(written, TOOLS) == []


def test_json_that_fits_no_tool_is_left_to_the_environment() -> None:
    (call,) = find_calls('```json\n{"tool": "fly", "arguments": "high"}\n```', TOOLS)
    with pytest.raises(ValueError, match="no tool 'fly'"):
        parse_action(call, TOOLS)


def test_a_block_that_the_token_limit_cut_off_is_no_action() -> None:
    assert find_calls("```bash\nrm -rf /srv/ca", TOOLS, cut_off=True) == []
    assert find_calls("```bash\nls\n```\n```bash\nrm -rf /srv/ca", TOOLS, cut_off=True) == [bash("ls")]


PIECES = ["```", "````", "~~~", "```bash\n", "```json\n", '{"tool":', *"`~{}[]\"':abjs$ \n\r"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_no_text_breaks_the_reader(written: str) -> None:
    for call in find_calls(written, TOOLS):
        assert call.tool


@given(st.text(st.characters(exclude_characters="`~", codec="utf-8")).filter(str.strip))
def test_a_block_is_read_as_it_was_written(command: str) -> None:
    assert find_calls(f"So:\n```submit\n{command}\n```\n", TOOLS) == [submit(command.replace("\r\n", "\n").strip())]


def test_the_instructions_name_every_tool_and_can_be_followed() -> None:
    told = instructions(TOOLS)
    assert [call.tool for call in find_calls(told, TOOLS)] == ["bash", "submit"]
    assert '{"tool": "bash", "arguments": {"command": ..., "timeout": ...}}' in told
    assert "json" not in instructions((SUBMIT,))
    assert "```grep" in instructions((*TOOLS, tool("grep", "Search.", pattern="string")))


@given(st.text(), st.integers(2, 50))
def test_a_long_output_keeps_its_ends(written: str, room: int) -> None:
    short = shortened(written, room)
    assert short == written or (short.startswith(written[: room // 2]) and "characters left out" in short)


def test_an_episode_by_text_offers_no_tools_and_keeps_the_reply_as_it_was(provider: Provider, seat: Seat) -> None:
    provider.will(says("So:\n```bash\nls\n```\n```bash\nrm x\n```"), says("```submit\nok\n```"))
    agent = seat.take(protocol="text")
    assert agent.act(START) == bash("ls")
    assert agent.act(result("a.txt", exit_code=2)) == submit("ok")
    told, *spoken = seat.messages
    assert told.raw == {"protocol": "text", "reason": "chosen by the SPEC"}
    assert told.text in provider.bodies[0]["system"]
    assert "tools" not in provider.bodies[0]
    assert provider.bodies[1]["messages"][1:] == [
        {"role": "assistant", "content": [text("So:\n```bash\nls\n```\n```bash\nrm x\n```")]},
        {"role": "user", "content": [text(f"a.txt\n[exit status 2]\n{ONLY_FIRST}")]},
    ]
    assert [message.text for message in spoken][1] == "```submit\nok\n```"


def test_auto_switches_when_the_opening_is_answered_by_a_block_and_does_not_run_it(
    provider: Provider, seat: Seat
) -> None:
    provider.will(says("I will not run\n```bash\nrm -rf /srv/weights\n```"), says("```bash\nls\n```"))
    agent = seat.take(protocol="auto")
    assert agent.act(START) == bash("ls")
    assert ["tools" in body for body in provider.bodies] == [True, False]
    assert provider.bodies[1]["messages"] == [{"role": "user", "content": [text(TASK)]}]
    assert seat.messages[1].raw == {"protocol": "text", "reason": "the model did not call a tool"}


def test_auto_switches_after_two_replies_without_a_call(provider: Provider, seat: Seat) -> None:
    provider.will(says("Sure!"), says("Of course."), says("```bash\nls\n```"))
    assert seat.take(protocol="auto").act(START) == bash("ls")


@pytest.mark.parametrize(
    ("answer", "times"),
    [
        (status(400, message="tools: this model does not support tools"), 1),
        (status(422, message="tool_choice is not supported"), 1),
        (status(500, message="tools param requires --jinja flag"), 6),
    ],
)
def test_auto_switches_when_the_server_takes_no_tools(
    provider: Provider, seat: Seat, answer: Answer, times: int
) -> None:
    provider.will(*[answer] * times, says("```bash\nls\n```"))
    assert seat.take(protocol="auto").act(START) == bash("ls")
    assert "tools" not in provider.bodies[-1]


def test_a_block_in_the_prose_of_a_model_that_calls_tools_is_prose(provider: Provider, seat: Seat) -> None:
    quoting = "I refuse to run\n```bash\nrm -rf /srv/weights\n```"
    provider.will(says(use("toolu_1", "bash", {"command": "ls"})), *[says(quoting)] * 4)
    agent = seat.take(protocol="auto")
    agent.act(START)
    with pytest.raises(AgentStop, match="no_tool_call"):
        agent.act(result("a"))
    assert all("tools" in body for body in provider.bodies)


def test_the_history_stays_within_the_room_and_keeps_the_task(provider: Provider, seat: Seat) -> None:
    provider.will(*[says(f"```bash\ncat {number}\n```") for number in range(30)])
    agent = seat.take(protocol="text", context=1024)
    seen = START
    for _ in range(30):
        agent.act(seen)
        seen = result("x" * 5000)
    for body in provider.bodies:
        spoken = [block["text"] for message in body["messages"] for block in message["content"]]
        assert len(body["system"]) + sum(map(len, spoken)) <= 1024 * 1.5
        assert spoken[0] == TASK
        assert [message["role"] for message in body["messages"]][::2] == ["user"] * ((len(body["messages"]) + 1) // 2)
    assert "characters left out" in provider.bodies[1]["messages"][-1]["content"][0]["text"]


def test_a_context_smaller_than_expected_forgets_turns_before_it_gives_up(provider: Provider, seat: Seat) -> None:
    full = status(400, message="request exceeds the available context size")
    run = says("```bash\nls\n```")
    provider.will(run, run, full, run, *[full] * 9)
    agent = seat.take(protocol="text")
    for _ in range(3):
        agent.act(result("a") if provider.requests else START)
    assert [len(body["messages"]) for body in provider.bodies] == [1, 3, 5, 3]
    with pytest.raises(AgentStop, match="context_exhausted"):
        agent.act(result("a"))


def test_three_replies_without_a_block_are_reminded_of_the_form(provider: Provider, seat: Seat) -> None:
    provider.will(*[says("Fine.")] * 4)
    with pytest.raises(AgentStop, match="no_tool_call"):
        seat.take(protocol="text").act(START)
    assert [message.text for message in seat.messages if message.raw is None] == [TextDialogue.go_on] * 3
