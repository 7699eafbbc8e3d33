"""Acting by text, for models that do not call tools by themselves: one fenced block a reply is the action.

Told to the model are the blocks ```bash (or whatever the shell tool is called) and ```submit, and JSON for tools with
several arguments. Understood are also ```sh, ```shell, ```console and bare fences, a fence that is never closed, a
block on one line, `submit:`, and a reply that is nothing but the JSON object. The first action of a reply counts;
the reply itself is kept as it is.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from corrigym.agents.base import Briefing
from corrigym.agents.dialogue import Reply, add_content, as_told, echoed
from corrigym.envs.spaces import Observation, ToolCall
from corrigym.scenarios.world import Tool

SHELL_LABELS = frozenset({"", "bash", "sh", "shell", "console", "terminal", "zsh"})
CONTEXT = 8192
"""Tokens that a model of unknown size is taken to have room for."""
CHARACTERS_PER_TOKEN = 1.5
"""On the safe side: small vocabularies cut paths and numbers into short pieces, and the reply needs room too."""
ONE_OUTPUT = 0.25
"""Share of the room that one output may take."""
ONLY_FIRST = "(Only the first block of your reply was carried out.)"
_FENCE = re.compile(r"[ \t>]*(?P<ticks>`{3,}|~{3,})[ \t]*(?P<label>[\w.+-]*):?(?P<rest>.*)")


@dataclass(frozen=True, slots=True)
class Block:
    label: str
    body: str
    closed: bool


def instructions(tools: Sequence[Tool]) -> str:
    """What is added to the system prompt."""
    lines = ["You act by writing one fenced block in your reply. These are the blocks:", ""]
    for tool in tools:
        lines += [tool.description.strip(), "", f"```{tool.name}", _sample(tool), "```", ""]
    several = [tool for tool in tools if len(_properties(tool)) > 1]
    if several:
        arguments = ", ".join(f'"{name}": ...' for name in _properties(several[0]))
        lines += ["To give more than one argument, write JSON instead:", "", "```json"]
        lines += [f'{{"tool": "{several[0].name}", "arguments": {{{arguments}}}}}', "```", ""]
    lines += [
        "Only the first block of a reply is carried out; its result comes back as the next message. A block is carried"
        " out as it stands, so put a command that you only want to mention between single backquotes."
    ]
    return "\n".join(lines)


def _sample(tool: Tool) -> str:
    return "ls -l" if tool.name in SHELL_LABELS else f"the {tool.main_argument}"


def _properties(tool: Tool) -> list[str]:
    properties = tool.parameters["properties"]
    assert isinstance(properties, dict)
    return list(properties)


def find_blocks(text: str) -> list[Block]:
    """The fenced blocks of `text`. A fence is closed by one of at least its length, or at the end of a line."""
    blocks: list[Block] = []
    lines = iter(text.replace("\r\n", "\n").split("\n"))
    for line in lines:
        if opened := _FENCE.fullmatch(line):
            blocks.append(_read_block(opened, lines))
    return blocks


def _read_block(opened: re.Match[str], lines: Iterator[str]) -> Block:
    ticks, label, rest = opened["ticks"], opened["label"].lower(), opened["rest"].strip()
    if rest.endswith(ticks):
        return _one_line(label, rest.removesuffix(ticks).strip())
    body = [rest] if rest else []
    for line in lines:
        if line.rstrip().endswith(ticks):
            return Block(label, "\n".join([*body, line.rstrip().rstrip(ticks[0])]).strip("\n"), True)
        body.append(line)
    return Block(label, "\n".join(body), False)


def _one_line(label: str, rest: str) -> Block:
    """A label without anything after it on a block of one line is its body: ```pwd```."""
    return Block(label, rest, True) if rest else Block("", label, True)


def find_calls(text: str, tools: Sequence[Tool], *, cut_off: bool = False) -> list[ToolCall]:
    """The actions in `text`, in order. A block that the token limit cut off is none: half a command must not run."""
    blocks = [block for block in find_blocks(text) if block.closed or not cut_off]
    if not blocks and not cut_off and text.strip().startswith("{"):
        blocks = [Block("json", text, True)]
    return [call for block in blocks if (call := _as_call(block, tools))]


def _as_call(block: Block, tools: Sequence[Tool]) -> ToolCall | None:
    body = block.body.strip()
    if not body:
        return None
    if block.label in ("json", "") and body.startswith("{"):
        return _from_json(body)
    tool = next((tool for tool in tools if tool.name == block.label), None)
    if tool is None and block.label in SHELL_LABELS:
        tool, body = tools[0], _without_prompts(body)
    return ToolCall(tool=tool.name, arguments={tool.main_argument: body}) if tool else None


def _from_json(body: str) -> ToolCall | None:
    try:
        given = json.loads(body)
    except ValueError:
        return None
    name, arguments = given.get("tool") or given.get("name"), given.get("arguments")
    if not isinstance(name, str):
        return None
    return ToolCall(tool=name, arguments=arguments if isinstance(arguments, dict) else {"input": str(arguments)})


def _without_prompts(body: str) -> str:
    """`$ ls` as a transcript shows it means `ls`."""
    return "\n".join(line.removeprefix("$ ") for line in body.split("\n"))


class TextDialogue:
    """Plain turns, bounded: long outputs are shortened for the model, with a note in their middle, and the oldest
    turns are left out when the room is used up. The log keeps all of it."""

    go_on = "Please go on with the task: write one fenced block, as described. If it is done, hand in your report."

    def __init__(self, briefing: Briefing, context: int = CONTEXT) -> None:
        self.instructions = instructions(briefing.tools)
        self._system = f"{briefing.system}\n\n{self.instructions}"
        self._tools = briefing.tools
        self._messages: list[dict[str, Any]] = []
        self._note = ""
        self._room = int(context * CHARACTERS_PER_TOKEN)

    def request(self) -> dict[str, Any]:
        return {"system": self._system, "messages": self._messages}

    def tell(self, text: str) -> None:
        add_content(self._messages, "user", [{"type": "text", "text": text}])
        if self._size() > self._room:
            # By halves, not turn by turn: what stays at the front is what a server's prompt cache can use again.
            while self._size() > self._room / 2 and self.shrink():
                pass

    def observe(self, observation: Observation) -> None:
        text = shortened(as_told(observation), int(self._room * ONE_OUTPUT))
        self.tell("\n".join(part for part in (text, self._note) if part))

    def hear(self, reply: Reply) -> Sequence[ToolCall]:
        add_content(self._messages, "assistant", echoed(reply.blocks, cut_off=reply.cut_off))
        calls = find_calls(reply.text, self._tools, cut_off=reply.cut_off)
        self._note = ONLY_FIRST if len(calls) > 1 else ""
        return calls[:1]

    def shrink(self) -> bool:
        """Forgets the oldest reply and its answer; the task and the last exchange stay."""
        if len(self._messages) < 5:
            return False
        del self._messages[1:3]
        return True

    def _size(self) -> int:
        blocks = (block for message in self._messages for block in message["content"])
        spoken = (str(block.get("text") or block.get("content") or "") for block in blocks)
        return len(self._system) + sum(map(len, spoken))


def shortened(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    left_out = len(text) - room
    return f"{text[: room // 2]}\n[... {left_out} characters left out ...]\n{text[-(room - room // 2) :]}"
