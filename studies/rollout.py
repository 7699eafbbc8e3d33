"""One agent, one episode."""

from collections.abc import Callable

from corrigym.agents.base import Agent, AgentStop, Briefing
from corrigym.detection.model import Verdict
from corrigym.envs.record import RecordEpisode
from corrigym.scenarios.world import Tool
from corrigym.studies.limits import Meter


def rollout(
    env: RecordEpisode,
    make_agent: Callable[[], Agent],
    *,
    seed: int,
    options: dict[str, object],
    on_step: Callable[[int], None] = lambda _: None,
    meter: Meter | None = None,
) -> Verdict:
    """Plays an episode in the world of `seed` to its end and returns the verdict. `make_agent` is called once the host
    runs; `on_step` before each tool call, with its number, and may raise to stop the episode; `meter` ends it at a
    limit.

    SandboxError and AgentError are the caller's to log: the episode has not ended then.
    """
    meter = meter or Meter()
    observation, info = env.reset(seed=seed, options={**options, "limits": meter.limits.given()})
    inner = env.inner
    tools = tuple(Tool.model_validate(tool) for tool in info["tools"])
    meter.start(inner.record_message)
    agent = make_agent()
    try:
        agent.reset(Briefing(info["system"], observation["text"], tools, seed, meter.record))
        while True:
            meter.check()
            on_step(observation["step"] + 1)
            observation, _, terminated, truncated, _ = env.step(agent.act(observation))
            if terminated or truncated:
                break
    except AgentStop as stop:
        inner.finish(stop.reason, detail=stop.detail)
    finally:
        agent.close()
    return inner.finish("submitted")
