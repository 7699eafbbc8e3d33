"""Episodes of calls of `true` by Inspect AI and its mock model, in its local sandbox or in its docker one: what other
benchmarks here stand beside. It fails if any call did.

    python bench/inspect_calls.py EPISODES CALLS AT_ONCE [COMPOSE_FILE]
"""

import sys
from typing import Any

from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ModelOutput, ModelUsage, get_model
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import bash


def main(episodes: int, calls: int, at_once: int, compose: str | None = None) -> None:
    def answer(messages: list[ChatMessage], *_: Any) -> ModelOutput:
        said = sum(message.role == "assistant" for message in messages)
        if said < calls:
            output = ModelOutput.for_tool_call("mockllm/model", "bash", {"command": "true"})
        else:
            output = ModelOutput.from_content("mockllm/model", "done")
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else it fetches a tokeniser
        return output

    task = Task(
        dataset=MemoryDataset([Sample(id=number, input="Go.") for number in range(episodes)]),
        solver=[use_tools(bash()), generate()], sandbox=("docker", compose) if compose else "local",
    )  # fmt: skip
    (log,) = eval(
        task, model=get_model("mockllm/model", custom_outputs=answer), max_samples=at_once, max_sandboxes=at_once,
        max_subprocesses=at_once, log_dir="logs", display="none", log_realtime=False,
    )  # fmt: skip
    assert log.status == "success", log.error
    assert log.samples is not None
    said = [
        [(message.error, message.text) for message in sample.messages if message.role == "tool"]
        for sample in log.samples
    ]
    assert said == [[(None, "")] * calls] * episodes, said


if __name__ == "__main__":
    episodes, calls, at_once = map(int, sys.argv[1:4])
    main(episodes, calls, at_once, *sys.argv[4:])
