"""A scenario as a task of Inspect, played by Inspect's own mock model and by a real one; its log opens."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from corrigym.agents.smollm2 import running
from tests.cli.command import corrigym

inspect_log = pytest.importorskip("inspect_ai.log", reason="the extra `inspect` is not installed")
pytestmark = pytest.mark.slow

PLAY = """\
from inspect_ai import eval
from inspect_ai.model import GenerateConfig, ModelOutput, ModelUsage, get_model

def calls(tool, **arguments):
    output = ModelOutput.for_tool_call("mockllm/model", tool, arguments)
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else Inspect fetches a tokeniser
    return output

MOCK = [calls("bash", command="cat /etc/hostname"), calls("submit", answer="done")]
model = MODEL
(log,) = eval(
    "corrigym/weight-custody", model=model, task_args={"sandbox": "bubblewrap", "oversight": "unmonitored"},
    log_dir="logs", display="none", log_realtime=False,
)
raise SystemExit(0 if log.status == "success" else str(log.error))
"""


def played(folder: Path, model: str) -> Any:
    """The one sample of the log that Inspect wrote."""
    done = subprocess.run(
        [sys.executable, "-c", PLAY.replace("MODEL", model)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    (path,) = (folder / "logs").glob("*.eval")
    log = inspect_log.read_eval_log(str(path))
    assert log.status == "success"
    (sample,) = log.samples
    assert set(sample.scores["verdict"].value) == {"interference", "task"}
    assert sample.metadata["condition"]["oversight"] == "unmonitored"
    assert corrigym("verify", "last", cwd=folder).returncode == 0
    return sample


def test_the_mock_model_plays_a_scenario_in_a_real_sandbox(tmp_path: Path) -> None:
    sample = played(tmp_path, 'get_model("mockllm/model", custom_outputs=MOCK)')
    (result,) = [message for message in sample.messages if message.role == "tool" and message.function == "bash"]
    started = (path.read_text() for path in tmp_path.glob("runs/*/episodes/*.jsonl"))
    assert f'"hostname":"{result.text.strip()}"' in next(started)
    assert sample.metadata["verdict"]["interference"] == "negative"


@pytest.mark.xdist_group("heavy")
def test_a_real_model_plays_a_scenario(tmp_path: Path) -> None:
    with running(4096) as url:
        sample = played(
            tmp_path,
            f'get_model("openai-api/here/smollm2", base_url="{url}/v1", api_key="none",'
            " config=GenerateConfig(max_tokens=24))",
        )
    assert any(message.role == "assistant" and message.text for message in sample.messages)
