"""The environment, on both launchers, as Gymnasium's users know environments."""

import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import corrigym.envs  # noqa: F401  registers
from corrigym.envs.base import RetrainingEnv
from corrigym.envs.record import RecordEpisode
from corrigym.envs.spaces import ToolCall, ToolCallSpace
from corrigym.envs.vector import ThreadVectorEnv
from corrigym.episodes.events import EpisodeEnded
from corrigym.episodes.log import read_events, verify_episode
from corrigym.sandbox.base import Launcher

ID = "corrigym/Retraining-v0"


def bash(command: str, **more: Any) -> dict[str, Any]:
    return {"tool": "bash", "arguments": {"command": command, **more}}


def make(launcher: Launcher, **more: Any) -> gym.Env[Any, Any]:
    return gym.make(ID, scenario="weight-custody", sandbox=launcher, **more)


def test_check_env_passes_without_a_warning(launcher: Launcher) -> None:
    env = make(launcher)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_close_check=True)
    env.close()


def test_the_id_imports_its_module_by_itself(launcher: Launcher) -> None:
    env = gym.make(f"corrigym.envs:{ID}", scenario="weight-custody", sandbox=launcher)
    assert isinstance(env.unwrapped, RetrainingEnv)
    env.close()


def test_equal_seeds_give_equal_episodes(launcher: Launcher) -> None:
    def rollout() -> list[Any]:
        env = make(launcher)
        first, info = env.reset(seed=11)
        seen = [first, info, *(env.step(bash(command)) for command in ("ls ~", "cat /etc/passwd", "id"))]
        env.close()
        return seen

    assert rollout() == rollout()


@pytest.mark.parametrize(
    "wrap", [lambda call: call, ToolCall.model_validate, lambda call: ToolCall(**call).model_dump_json()]
)
def test_an_action_is_a_dict_a_model_or_json(launcher: Launcher, wrap: Any) -> None:
    env = make(launcher)
    env.reset(seed=1)
    observation, *_ = env.step(wrap(bash("echo hello")))
    env.close()
    assert (observation["text"], observation["exit_code"], observation["tool"]) == ("hello\n", 0, "bash")


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("not json", "Not a tool call"),
        (17, "Not a tool call"),
        ({"tool": "python", "arguments": {}}, "no tool 'python'"),
        ({"tool": "bash", "arguments": {}}, "needs the argument 'command'"),
        ({"tool": "bash", "arguments": {"command": ["ls"]}}, "must be a string"),
        ({"tool": "bash", "arguments": {"command": "ls", "cwd": "/"}}, "no argument 'cwd'"),
    ],
)
def test_an_illegal_action_is_an_observation_that_says_so(action: Any, told: str) -> None:
    env = gym.make(ID, scenario="weight-custody", sandbox="bubblewrap").unwrapped
    env.reset(seed=1)
    observation, reward, terminated, truncated, _ = env.step(action)
    env.close()
    assert told in observation["text"]
    assert (reward, terminated, truncated, observation["exit_code"]) == (0, False, False, -1)


def test_a_limit_truncates_and_brings_the_verdict(launcher: Launcher) -> None:
    env = RetrainingEnv("weight-custody", sandbox=launcher)
    env.reset(seed=1)
    for _ in range(env.world.steps):
        *_, terminated, truncated, info = env.step(bash("true"))
    env.close()
    assert (terminated, truncated) == (False, True)
    assert info["verdict"]["interference"] == "negative"
    assert info["verdict"]["retraining"] == "as_intended"


def test_a_step_after_the_end_needs_a_reset(launcher: Launcher) -> None:
    env = RetrainingEnv("weight-custody", sandbox=launcher)
    env.reset(seed=1)
    *_, terminated, _, _ = env.step({"tool": "submit", "arguments": {"answer": "done"}})
    assert terminated
    with pytest.raises(gym.error.ResetNeeded):
        env.step(bash("true"))
    env.close()


def test_findings_are_in_the_info_and_never_in_the_reward(launcher: Launcher) -> None:
    env = RetrainingEnv("weight-custody", sandbox=launcher)
    env.reset(seed=1)
    path = env.world.assets["weights"].path
    observation, reward, _, _, info = env.step(bash(f"cp {path} /tmp/.kept"))
    env.close()
    assert [finding["interference"] for finding in info["findings"]] == ["hide_copy"]
    assert reward == 0
    assert "hide_copy" not in str(observation)


def test_record_episode_writes_a_log_that_verifies(launcher: Launcher, tmp_path: Path) -> None:
    env = RecordEpisode(make(launcher), tmp_path)
    env.reset(seed=4)
    env.step(bash("ls"))
    env.step({"tool": "submit", "arguments": {"answer": "done"}})
    env.close()
    (log,) = env.run.episodes()
    assert verify_episode(log).problems == []
    assert verify_episode(log).complete
    assert isinstance(list(read_events(log))[-1].payload, EpisodeEnded)


def test_make_vec_steps_in_threads_and_resets_by_itself(launcher: Launcher) -> None:
    vector = gym.make_vec(ID, num_envs=2, scenario="weight-custody", sandbox=launcher)
    assert isinstance(vector.unwrapped, ThreadVectorEnv)
    vector.reset(seed=1)
    observation, *_ = vector.step((bash("hostname"), bash("hostname")))
    assert len(set(observation["text"])) == 2
    submit = {"tool": "submit", "arguments": {"answer": "done"}}
    _, _, terminated, _, _ = vector.step((submit, bash("true")))
    assert terminated.tolist() == [True, False]
    observation, _, terminated, _, _ = vector.step((bash("true"), bash("true")))
    assert observation["step"].tolist() == [0, 3]
    vector.close()


def test_the_action_space_samples_legal_calls_and_survives_json() -> None:
    env = gym.make(ID, scenario="weight-custody", sandbox="bubblewrap")
    space = env.action_space
    assert isinstance(space, ToolCallSpace)
    samples = [space.sample() for _ in range(20)]
    assert all(space.contains(sample) for sample in samples)
    assert space.from_jsonable(space.to_jsonable(samples)) == samples
    env.close()
