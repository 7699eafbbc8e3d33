"""An agent that does again what a log holds: the same calls, in order, whatever it observes."""

from pathlib import Path

from corrigym.episodes.events import Call, Message
from corrigym.episodes.log import read_events
from corrigym.scenarios.trajectories import ScriptStep


def recorded_steps(log: Path) -> list[ScriptStep]:
    """What the agent of a log said and called. LogError if the log cannot be read."""
    steps = []
    for event in read_events(log):
        match event.payload:
            case Message(role="assistant", text=text) if text:
                steps.append(ScriptStep(say=text))
            case Call(tool=tool, arguments=arguments):
                steps.append(ScriptStep(None, tool, dict(arguments)))
    return steps
