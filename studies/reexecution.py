"""A recorded episode's calls, executed again in a fresh sandbox of the same world: does the same happen?

Times differ from run to run, in outputs and in what services write; a difference in nothing else is told as such, and
does not count.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from corrigym.detection.model import Evidence, Verdict
from corrigym.envs.base import RetrainingEnv
from corrigym.episodes.events import Call, EpisodeStarted, EvidenceSeen, Payload, Result
from corrigym.episodes.text import line
from corrigym.episodes.view import EpisodeView, Step, load_view
from corrigym.errors import LogError, UsageError
from corrigym.models import Json, Model
from corrigym.scenarios.build import build_world, resolve_condition
from corrigym.scenarios.loader import load_scenario

What = Literal["output", "exit code", "asset", "other file", "written by a service"]
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z| ?[+-]\d\d:?\d\d)?)?"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2}(?: +\d\d:\d\d(?::\d\d)?| +\d{4})?"
    r"|\b\d\d:\d\d(?::\d\d(?:\.\d+)?)?\b|\b1[5-9]\d{8}(?:\.\d+)?\b"
)
_LENGTH = 200
"""Characters of a text that a report quotes, from where it differs."""


class Difference(Model):
    """At `step`, `subject` (a path; empty for an output) was one thing `then` and is another `now`. `times`: only times
    differ."""

    step: int
    what: What
    subject: str = ""
    then: str
    now: str
    times: bool = False


class Reexecution(Model):
    """`same`: outputs and assets of all `steps` are what they were, but for times and what services wrote, and so is
    the verdict; other files are told of only, as programs of the host write there too. `differences` are in the order
    of the episode; `verdict` names what of it is another one."""

    episode: str
    scenario: str
    world: int
    sandbox: str
    steps: int
    executed: int
    differences: tuple[Difference, ...]
    verdict: dict[str, tuple[str | None, str | None]]

    @property
    def telling(self) -> list[Difference]:
        """Those that count."""
        return [item for item in self.differences if not item.times and item.what in ("output", "exit code", "asset")]

    @property
    def same(self) -> bool:
        return not self.telling and not self.verdict and self.executed == self.steps

    def first(self, *what: What) -> Difference | None:
        """The first of this kind that is not one of times alone."""
        return next((item for item in self.differences if item.what in what and not item.times), None)

    def to_json(self) -> dict[str, Json]:
        return {**self.model_dump(mode="json"), "same": self.same}


def reexecute(
    log: Path,
    *,
    sandbox: str | None = None,
    scenario: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Reexecution:
    """Runs the calls of the log again, in its own kind of sandbox if no other is named.

    LogError if the log cannot be read whole, UsageError if its world cannot be had any more, SandboxError if the
    sandbox fails.
    """
    try:
        view = load_view(log)
    except OSError as error:
        raise LogError(f"{log}: {error.strerror}") from error
    if view.start is None or view.damage:
        raise LogError(view.damage or f"{log}: the log does not say how its episode started")
    start = view.start
    env = _environment(start, scenario or start.scenario, sandbox or start.sandbox, progress)
    seen: list[Payload] = []
    env.on_event = lambda payload, _: seen.append(payload)
    try:
        differences, executed = _run(env, view, seen)
        verdict = env.finish(view.ended.reason if view.ended else "interrupted")
    finally:
        env.close()
    return Reexecution(
        episode=start.id, scenario=start.scenario, world=start.world, sandbox=env.launcher.name, steps=len(view.steps),
        executed=executed, differences=tuple(differences), verdict=_other_verdicts(view.verdict, verdict),
    )  # fmt: skip


def _environment(
    start: EpisodeStarted, scenario: str, sandbox: str, progress: Callable[[str], None] | None
) -> RetrainingEnv:
    loaded = load_scenario(scenario)
    world = build_world(loaded, resolve_condition(loaded, start.condition), start.world)
    if world.digest != start.world_digest:
        raise UsageError(
            f"the world of this episode was another one ({start.world_digest[:12]}, now {world.digest[:12]}): the"
            f" scenario {start.scenario} has changed since corrigym {start.versions.get('corrigym', '?')} ran it. Name"
            " the scenario as it was by --scenario"
        )
    return RetrainingEnv(loaded, sandbox=sandbox, condition=start.condition, progress=progress)


def _run(env: RetrainingEnv, view: EpisodeView, seen: list[Payload]) -> tuple[list[Difference], int]:
    """What differs, and how many calls were executed."""
    start, found = view.start, list[Difference]()
    assert start is not None
    limits = {"steps": start.limits.get("steps", len(view.steps)), "working": start.limits.get("seconds", 3600.0)}
    env.reset(seed=start.world, options={"id": start.id, "agent": "replay", "limits": limits})
    for executed, step in enumerate(view.steps):
        seen.clear()
        _, _, terminated, truncated, _ = env.step(_action(step.call))
        found += _compared(step, seen)
        if terminated or truncated:
            return found, executed + 1
    return found, len(view.steps)


def _action(call: Call) -> Any:
    """The call as it was given to the environment; an illegal one is logged as the text of what was given."""
    if call.illegal is None:
        return {"tool": call.tool, "arguments": call.arguments}
    given = str(call.arguments.get("action", ""))
    try:
        value = ast.literal_eval(given)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return given
    return value if isinstance(value, dict) else given


def _compared(step: Step, seen: list[Payload]) -> Iterator[Difference]:
    now = next((payload for payload in seen if isinstance(payload, Result)), None)
    then = step.result
    if then and now:
        if then.text != now.text:
            yield _difference(step.number, "output", "", then.text, now.text)
        if then.exit_code != now.exit_code:
            yield _difference(step.number, "exit code", "", str(then.exit_code), str(now.exit_code))
    before, after = _changes(step.evidence), _changes(p.evidence for p in seen if isinstance(p, EvidenceSeen))
    for path in dict.fromkeys([*before, *after]):
        one, two = before.get(path), after.get(path)
        if _state(one) != _state(two):
            yield _changed(step.number, path, one, two)


def _changes(evidence: Iterable[Evidence]) -> dict[str, Evidence]:
    """The last change of each path."""
    return {item.subject: item for item in evidence if item.source == "state" and item.subject}


def _changed(step: int, path: str, then: Evidence | None, now: Evidence | None) -> Difference:
    known = then or now
    assert known is not None
    service = {item.actor for item in (then, now) if item} == {"service"}
    what: What = "written by a service" if service else "asset" if known.asset else "other file"
    times = then is not None and now is not None and _equal_but_times(_text(then), _text(now))
    return Difference(step=step, what=what, subject=path, then=_state(then), now=_state(now), times=times)


def _state(item: Evidence | None) -> str:
    """What became of a path: `modified`, with mode and digest."""
    if item is None:
        return "unchanged"
    after = item.detail.get("after")
    known = after if isinstance(after, dict) else {}
    return " ".join([item.kind, *(str(known[name]) for name in ("mode", "owner", "digest") if known.get(name))])


def _text(item: Evidence) -> str | None:
    text = item.detail.get("text_after")
    return text if isinstance(text, str) else None


def _equal_but_times(then: str | None, now: str | None) -> bool:
    return then is not None and now is not None and _TIME.sub("TIME", then) == _TIME.sub("TIME", now)


def _difference(step: int, what: What, subject: str, then: str, now: str) -> Difference:
    start = next((place for place, (a, b) in enumerate(zip(then, now, strict=False)) if a != b), 0)
    start = max(then.rfind("\n", 0, start) + 1, start - _LENGTH // 2)
    one, two = then[start : start + _LENGTH], now[start : start + _LENGTH]
    return Difference(step=step, what=what, subject=subject, then=one, now=two, times=_equal_but_times(then, now))


def _other_verdicts(then: Verdict | None, now: Verdict) -> dict[str, tuple[str | None, str | None]]:
    """Nothing to compare with for an episode that has none."""
    if then is None:
        return {}
    pairs = {name: (getattr(then, name), getattr(now, name)) for name in ("interference", "retraining")}
    pairs |= {
        name: (then.classes[name].verdict if name in then.classes else None, item.verdict)
        for name, item in now.classes.items()
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def told(report: Reexecution) -> Iterator[str]:
    """The report in sentences."""
    yield (
        f"{line(report.episode)}: {report.executed} of {report.steps} calls executed again in a fresh"
        f" {report.sandbox} sandbox of world {report.world}"
    )
    for name, what in (("outputs", ("output", "exit code")), ("assets", ("asset",)), ("other files", ("other file",))):
        first = report.first(*what)
        yield f"  {name:<12} " + ("the same" if first is None else _first(first))
    quiet = [item for item in report.differences if item.times or item.what == "written by a service"]
    if quiet:
        steps = ", ".join(map(str, dict.fromkeys(item.step for item in quiet)))
        yield f"  not counted  {len(quiet)} in times, or in what services wrote with times (steps {steps})"
    for name, (then, now) in report.verdict.items():
        yield f"  verdict      {name}: {then} then, {now} now"
    if not report.verdict:
        yield "  verdict      the same"


def _first(item: Difference) -> str:
    subject = f" {line(item.subject)}" if item.subject else ""
    return f"differ first at step {item.step}:{subject} {line(item.then)!r} then, {line(item.now)!r} now"
