"""From `--agent SPEC` to agents: everything that can be wrong with a SPEC is said here, before anything starts."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from corrigym.agents.base import Agent
from corrigym.agents.options import find_endpoint, parse_options
from corrigym.agents.scripted import ScriptedAgent
from corrigym.agents.simple import NoopAgent, RandomAgent
from corrigym.errors import UsageError, did_you_mean
from corrigym.scenarios.trajectories import ScriptStep
from corrigym.scenarios.world import World

AgentFactory: TypeAlias = Callable[[World], Agent]
"""A new agent for an episode in that world."""
LoadSteps: TypeAlias = Callable[[str | Path], Callable[[World], Iterable[ScriptStep]]]
"""Reads and checks a script at once, by the name of a trajectory that the scenario ships (str) or by its file (Path);
what it returns fills a world's names in. `corrigym.scenarios.trajectories.script_loader` makes one."""

KINDS = ("anthropic/MODEL", "script/NAME", "script:FILE", "noop", "random")
NOT_BUILT = ("openai/", "local/", "human", "replay:")


def make_agent(spec: str, *, load_steps: LoadSteps) -> AgentFactory:
    """The factory for `spec`. UsageError for a SPEC that means nothing, a missing key or file; ScriptError for a script
    that does not fit the scenario."""
    kind, separator, rest = _split(spec)
    match kind, separator:
        case "noop", "":
            return lambda world: NoopAgent()  # noqa: ARG005
        case "random", "":
            return lambda world: RandomAgent()  # noqa: ARG005
        case "script", "/":
            return _scripted(spec, load_steps(_required(rest, spec)))
        case "script", ":":
            return _scripted(spec, load_steps(_existing(_required(rest, spec))))
        case "anthropic", "/":
            return _anthropic(spec, rest)
    raise UsageError(_unknown(spec, kind))


def _split(spec: str) -> tuple[str, str, str]:
    """`kind`, `/` or `:` or nothing, and the rest."""
    marks = [index for index in (spec.find("/"), spec.find(":")) if index >= 0]
    if not marks:
        return spec, "", ""
    at = min(marks)
    return spec[:at], spec[at], spec[at + 1 :]


def _unknown(spec: str, kind: str) -> str:
    if spec.startswith(NOT_BUILT):
        return f"The agent {spec!r} is not built yet. What there is: {', '.join(KINDS)}."
    form = next((known for known in KINDS if known.startswith(kind)), None) if kind else None
    hint = f" Did you mean {form!r}?" if form else did_you_mean(kind, sorted({k.split("/")[0] for k in KINDS}))
    return f"There is no agent {spec!r}.{hint} What there is: {', '.join(KINDS)}."


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


def _anthropic(spec: str, rest: str) -> AgentFactory:
    model, _, query = rest.partition("?")
    options = parse_options(model, query)
    find_endpoint(options)

    def make(_: World) -> Agent:
        # Here, as the SDK takes long to import and no other agent needs it.
        from corrigym.agents.anthropic_agent import AnthropicAgent

        return AnthropicAgent(options, name=spec)

    return make
