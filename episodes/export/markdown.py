"""An episode as Markdown, for a report or a pull request.

Every text of the episode stands in a code span or a fenced block, and both are longer than any run of backticks inside:
what a model wrote is never a heading, a link, a mention or HTML.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from corrigym.detection.model import Evidence, Finding, Verdict
from corrigym.episodes.blocks import elapsed
from corrigym.episodes.code import issued
from corrigym.episodes.events import Call, EpisodeStarted, Message, Result, Wait
from corrigym.episodes.export.parts import cited, compared, troubles
from corrigym.episodes.look import INTERFERENCE_LOOK, STAGE_LOOK, STATE_LOOK
from corrigym.episodes.steps import STOPPED, observed_detail
from corrigym.episodes.text import line, visible
from corrigym.episodes.verdicts import CHANNELS, notable, task_score
from corrigym.episodes.view import EpisodeView, Step


def to_markdown(view: EpisodeView) -> str:
    blocks = [*_heading(view), *_briefing(view)]
    for step in view.steps:
        blocks += _step(view, step)
    return "\n\n".join([*blocks, *_ending(view)]) + "\n"


def span(text: str) -> str:
    """The text on one line as a code span."""
    text = line(text)
    if not text.strip():
        return "(empty)" if not text else "(blank)"
    ticks = "`" * (_longest(text) + 1)
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def fenced(text: str, language: str = "text") -> str:
    text = visible(text).rstrip("\n")
    fence = "`" * max(3, _longest(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _longest(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _bullets(items: Iterable[str]) -> list[str]:
    listed = [f"- {item}" for item in items]
    return ["\n".join(listed)] if listed else []


def _heading(view: EpisodeView) -> Iterator[str]:
    start = view.start
    yield f"# Episode {span(start.id if start else view.name)}"
    if start:
        condition = (f"{span(name)}: {span(level)}" for name, level in start.condition.items())
        where = f"sandbox {span(start.sandbox)}, world {start.world}, epoch {start.epoch}"
        played = f"scenario {span(start.scenario)}, agent {span(start.agent)}, {where}"
        yield from _bullets([played, f"started {span(start.started_at)}", *condition])
    yield from (fenced(trouble) for trouble in troubles(view))
    yield "## Verdict"
    yield from _verdict(view.verdict) if view.verdict else [f"**No verdict**: the episode is {view.status}."]


def _verdict(verdict: Verdict) -> Iterator[str]:
    said = ", ".join(name for name in CHANNELS if getattr(verdict, name)) or "none used"
    yield from _bullets(
        [
            f"interference: **{INTERFERENCE_LOOK[verdict.interference][0]} {verdict.interference}**",
            f"retraining: **{verdict.retraining.replace('_', ' ')}**",
            *(f"differs from the untouched twin: {span(difference)}" for difference in verdict.differences),
            f"task: {task_score(verdict)}",
            f"channels: {said}",
        ]
    )
    rows = []
    for name, item in notable(verdict):
        place = f" on {span(item.asset)}" if item.asset else ""
        step = f" at step {item.first_step}" if item.first_step is not None else ""
        why = f": {span(item.reason)}" if item.reason else ""
        rows.append(f"{STATE_LOOK[item.verdict][0]} {span(name)} {item.verdict}{place}{step}{why}")
    yield from _bullets(rows)


def _briefing(view: EpisodeView) -> Iterator[str]:
    if view.start is None:
        return
    yield "## Briefing"
    for label, text in (("System prompt", view.start.system), ("Task", view.start.task)):
        if text:
            yield f"{label}:"
            yield fenced(text)
    assets = (f"{span(name)}: {asset.kind}, {span(asset.path)}" for name, asset in view.start.assets.items())
    yield "Protected assets:"
    yield from _bullets(assets)


def _step(view: EpisodeView, step: Step) -> Iterator[str]:
    yield f"## Step {step.number} ({elapsed(step.time - view.began)})"
    yield from _findings(step.findings)
    yield from _said(step.said, step.waits)
    yield from _call(step.call, view.start)
    yield from _result(step.result)
    yield from _evidence(step.evidence, step.findings)


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        head = f"{STAGE_LOOK[finding.stage][0]} {finding.stage}: {span(finding.interference)} on {span(finding.asset)}"
        rests = f", rests on {', '.join(map(span, finding.evidence))}" if finding.evidence else ""
        yield f"> **Finding** {head}: {span(finding.reason)}{rests}"


def _said(said: Sequence[Message], waits: Sequence[Wait]) -> Iterator[str]:
    for message in said:
        if message.thinking:
            yield "Thinking:"
            yield fenced(message.thinking)
        if message.text:
            yield "Said:" if message.role == "assistant" else "Was told:"
            yield fenced(message.text)
        if message.stop_reason in STOPPED:
            yield f"Stopped: {span(message.stop_reason)}"
    for wait in waits:
        yield f"Waited {wait.seconds:.1f} s for the provider (attempt {wait.attempt}): {span(wait.reason)}"


def _call(call: Call, start: EpisodeStarted | None) -> Iterator[str]:
    told = issued(call, start)
    others = "".join(f", {span(name)} = {span(value)}" for name, value in told.others)
    yield f"Call of {span(call.tool)}{others}" + (":" if told.code else "")
    if told.code:
        yield fenced(told.code, told.language or "text")
    if call.illegal is not None:
        yield f"Not executed: {span(call.illegal)}"


def _result(result: Result | None) -> Iterator[str]:
    if result is None:
        yield "No result: the log does not say what the call returned."
        return
    facts = [f"{result.duration:.2f} s", f"{result.bytes:,} bytes"]
    if result.exit_code is not None:
        facts.insert(0, f"exit {result.exit_code}")
    if result.truncated:
        facts.append(f"{result.truncated:,} of them withheld from the agent")
    if result.timed_out:
        facts.append("timed out")
    yield f"Output ({', '.join(facts)}):" if result.text else f"No output ({', '.join(facts)})."
    if result.text:
        yield fenced(result.text)


def _evidence(evidence: Sequence[Evidence], findings: tuple[Finding, ...]) -> Iterator[str]:
    """What the findings rest on; of the rest, how much there is."""
    shown = [item for item in evidence if item.id in cited(findings)]
    if not evidence:
        return
    more = len(evidence) - len(shown)
    yield "Evidence:" if shown else f"Evidence: {more:,} observations, none of them cited."
    yield from _bullets(
        [
            f"{span(item.id)} {item.source} {span(item.kind)} {span(item.subject)} {span(observed_detail(item))}"
            for item in shown
        ]
        + ([f"{more:,} more"] if shown and more else [])
    )


def _ending(view: EpisodeView) -> Iterator[str]:
    ending = view.ending
    yield f"## Ending ({elapsed(ending.time - view.began)})"
    yield from _findings(ending.findings)
    yield from _said(ending.said, ending.waits)
    if ending.aftermath:
        yield "Aftermath, the retraining that was due: here, and in the untouched twin:"
        if ending.aftermath.error is not None:
            yield fenced(ending.aftermath.error)
        rows = compared(ending.aftermath)
        differ = [row for row in rows if row[1] != row[2]]
        told = [f"≠ {span(name)}: {span(here)}, untouched {span(there)}" for name, here, there in differ]
        yield from _bullets([*told, *([f"equal: {same} more"] if (same := len(rows) - len(differ)) else [])])
    yield from _evidence(ending.evidence, ending.findings)
    if ending.ended:
        why = f" {span(ending.ended.detail)}" if ending.ended.detail else ""
        yield f"Ended: {ending.ended.status}, {span(ending.ended.reason)}{why}"
