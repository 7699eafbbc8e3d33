"""From `--agent SPEC` to agents: everything that can be wrong with a SPEC is said here, before anything starts."""

import importlib.util
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeAlias

from corrigym.agents import smollm2
from corrigym.agents.base import Agent
from corrigym.agents.human import HumanAgent
from corrigym.agents.options import (
    ANTHROPIC,
    OPENAI,
    PLACEHOLDER,
    Endpoint,
    ModelOptions,
    Service,
    find_endpoint,
    parse_options,
)
from corrigym.agents.replay import recorded_steps
from corrigym.agents.scripted import ScriptedAgent
from corrigym.agents.shared import Shared
from corrigym.agents.simple import NoopAgent, RandomAgent
from corrigym.episodes.runs import find_episodes
from corrigym.errors import UsageError, did_you_mean
from corrigym.scenarios.trajectories import ScriptStep
from corrigym.scenarios.world import World

AgentFactory: TypeAlias = Callable[[World], Agent]
"""A new agent for an episode in that world."""
LoadSteps: TypeAlias = Callable[[str | Path], Callable[[World], Iterable[ScriptStep]]]
"""Reads and checks a script at once, by the name of a trajectory that the scenario ships (str) or by its file (Path);
what it returns fills a world's names in."""

GROUP = "corrigym.agents"
"""The entry points by which other packages bring agents: each is a function from REST to a new agent."""
KINDS = (
    "anthropic/MODEL", "openai/MODEL", "local/smollm2", "script/NAME", "script:FILE", "replay:EPISODE", "human", "noop",
    "random",
)  # fmt: skip


def make_agent(spec: str, *, load_steps: LoadSteps, shared: Shared | None = None) -> AgentFactory:
    """The factory for `spec`; what its agents share is kept in `shared`. UsageError for a SPEC that means nothing, a
    missing key, file or package; ScriptError for a script that does not fit the scenario."""
    kind, separator, rest = _split(spec)
    shared = shared or Shared()
    match kind, separator:
        case "noop", "":
            return lambda world: NoopAgent()  # noqa: ARG005
        case "random", "":
            return lambda world: RandomAgent()  # noqa: ARG005
        case "human", "":
            return lambda world: HumanAgent()  # noqa: ARG005
        case "script", "/":
            return _scripted(spec, load_steps(_required(rest, spec)))
        case "script", ":":
            return _scripted(spec, load_steps(_existing(_required(rest, spec))))
        case "replay", ":":
            return _replay(spec, rest, shared)
        case "anthropic", "/":
            return _hosted(spec, rest, ANTHROPIC, shared)
        case "openai", "/":
            return _hosted(spec, rest, OPENAI, shared)
        case "local", "/":
            return _local(spec, rest, shared)
    if found := [point for point in entry_points(group=GROUP) if point.name == kind]:
        return _foreign(spec, found[0], rest)
    raise UsageError(_unknown(spec, kind))


def _split(spec: str) -> tuple[str, str, str]:
    """`kind`, `/` or `:` or nothing, and the rest."""
    marks = [index for index in (spec.find("/"), spec.find(":")) if index >= 0]
    if not marks:
        return spec, "", ""
    at = min(marks)
    return spec[:at], spec[at], spec[at + 1 :]


def _unknown(spec: str, kind: str) -> str:
    known = (*KINDS, *sorted(point.name for point in entry_points(group=GROUP)))
    form = next((name for name in known if name.startswith(kind)), None) if kind else None
    names = sorted({name.replace(":", "/").split("/")[0] for name in known})
    hint = f" Did you mean {form!r}?" if form else did_you_mean(kind, names)
    return f"There is no agent {spec!r}.{hint} What there is: {', '.join(known)}."


def _required(rest: str, spec: str) -> str:
    if not rest:
        raise UsageError(f"{spec!r} names no script: write script/NAME or script:FILE.")
    return rest


def _existing(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        raise UsageError(f"There is no script file {name!r} (looked in {Path.cwd()}).")
    return path


def _scripted(spec: str, render: Callable[[World], Iterable[ScriptStep]]) -> AgentFactory:
    return lambda world: ScriptedAgent(spec, render(world))


def _replay(spec: str, reference: str, shared: Shared) -> AgentFactory:
    if not reference:
        raise UsageError(f"{spec!r} names no episode: write replay:EPISODE, by its id or its file.")
    found = find_episodes(reference, shared.log_dir)
    if len(found) != 1:
        raise UsageError(f"{spec!r} names {len(found)} episodes: choose one, such as replay:{found[0].stem}.")
    steps = recorded_steps(found[0])
    return lambda world: ScriptedAgent(spec, steps)  # noqa: ARG005


def _foreign(spec: str, point: EntryPoint, rest: str) -> AgentFactory:
    try:
        make = point.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{spec!r}: the entry point {point.value} cannot be loaded: {error}.") from error
    return lambda world: make(rest)  # noqa: ARG005


def _hosted(spec: str, rest: str, service: Service, shared: Shared) -> AgentFactory:
    model, _, query = rest.partition("?")
    options = parse_options(model, query, service)
    endpoint = find_endpoint(options, service=service)
    if service is OPENAI:
        _need_openai(spec)
    return lambda world: _model_agent(spec, _seated(options, world), lambda: endpoint, service, shared)


def _local(spec: str, rest: str, shared: Shared) -> AgentFactory:
    model, _, query = rest.partition("?")
    if model != smollm2.NAME:
        raise UsageError(f"There is no local model {model!r}: write local/{smollm2.NAME}.")
    if problem := smollm2.missing():
        raise UsageError(problem)
    options = parse_options(model, query, Service("local", "", "", ""))
    if options.base_url:
        raise UsageError(f"{spec!r}: the server is started by corrigym; for one of yours write openai/MODEL.")

    def endpoint() -> Endpoint:
        return Endpoint(shared.smollm2(options.context or smollm2.CONTEXT), PLACEHOLDER)

    return lambda world: _model_agent(spec, _seated(options, world), endpoint, ANTHROPIC, shared)


def _seated(options: ModelOptions, world: World) -> ModelOptions:
    """A scenario with the factor `reasoning` decides where the model thinks. UsageError if the SPEC says otherwise."""
    level = world.condition.get("reasoning")
    if level is not None and "reasoning" in options.model_fields_set and options.reasoning != level:
        raise UsageError(
            f"{options.model} is to have reasoning={options.reasoning}, but the condition says reasoning={level}: leave"
            " it out of the SPEC, or choose the level by --condition."
        )
    return options if level is None else options.model_copy(update={"reasoning": level})


def _need_openai(spec: str) -> None:
    if importlib.util.find_spec("openai") is None:
        raise UsageError(f"{spec!r} needs the extra `openai`: pip install 'corrigym[openai]'.")


def _model_agent(
    spec: str, options: ModelOptions, endpoint: Callable[[], Endpoint], service: Service, shared: Shared
) -> Agent:
    # Here, as the SDKs take long to import and no other agent needs them.
    from corrigym.agents.model_agent import ModelAgent

    if service is OPENAI:
        from corrigym.agents.chat_client import ChatProvider

        return ModelAgent(spec, options, lambda: ChatProvider(options, endpoint()), limiter=shared.limiter)
    from corrigym.agents.anthropic_client import AnthropicProvider

    return ModelAgent(spec, options, lambda: AnthropicProvider(options, endpoint()), limiter=shared.limiter)
