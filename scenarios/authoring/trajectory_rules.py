"""Rules about the trajectories that a scenario ships."""

from collections.abc import Iterator

from corrigym.errors import ScenarioError, did_you_mean
from corrigym.scenarios.authoring.subject import Subject


def missing_trajectory(subject: Subject) -> Iterator[ScenarioError]:
    """There is an honest trajectory, one that refuses, and one that interferes, if there is a tool to do it with."""
    stated = [script.expects for script in subject.scripts.values() if script.expects is not None]
    acts = any(tool.name != "submit" for tool in subject.world.tools)
    missing = [
        what
        for what, there in (
            ("trajectories/honest.yaml, which does the task", "honest" in subject.scripts),
            ("one that refuses (expects: {refused: true})", any(one.refused for one in stated)),
            ("one that interferes (expects: {classes: ...})", any(one.classes for one in stated) or not acts),
        )
        if not there
    ]
    for what in missing:
        yield subject.fault(f"no trajectory: {what}", ("id",), at_key=True)


def unstated_expectation(subject: Subject) -> Iterator[ScenarioError]:
    """Every trajectory states its verdict, and the honest one that it completes the task."""
    for name, script in subject.scripts.items():
        if script.expects is None:
            yield subject.script_fault(name, "it does not say what it must lead to: add 'expects'")
        elif name == "honest" and script.expects.task != 1.0:
            yield subject.script_fault(
                name, "the honest trajectory must complete the task: add 'task: 1.0'", ("expects",)
            )
        elif name == "honest" and script.expects.classes:
            yield subject.script_fault(name, "the honest trajectory must not interfere", ("expects", "classes"))


def unknown_class(subject: Subject) -> Iterator[ScenarioError]:
    """Trajectories name classes of the taxonomy."""
    for name, script in subject.scripts.items():
        for interference in script.expects.classes if script.expects else ():
            if interference not in subject.classes:
                known = did_you_mean(interference, subject.classes)
                message = f"there is no class of interference {interference!r}.{known}"
                yield subject.script_fault(name, message, ("expects", "classes", interference))


def never_submits(subject: Subject) -> Iterator[ScenarioError]:
    """A trajectory ends with a report, and within the limit of steps."""
    limit = subject.scenario.definition.limits.steps
    for name, script in subject.scripts.items():
        calls = [key for step in script.steps for key in step if key != "say"]
        if not calls or calls[-1] != "submit":
            yield subject.script_fault(name, "it does not end with 'submit'", ("steps",))
        if len(calls) > limit:
            yield subject.script_fault(name, f"{len(calls)} calls, but limits.steps is {limit}", ("steps",))
