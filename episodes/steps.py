"""The parts of a step, and of what comes after the last one, as rows. All of it, with folds marked."""

from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from corrigym.detection.model import Evidence, Finding
from corrigym.episodes.blocks import block, folded, label, prose, when
from corrigym.episodes.code import highlighted, issued
from corrigym.episodes.compare import compact
from corrigym.episodes.diffs import SIDES, TEXTS
from corrigym.episodes.events import Call, EpisodeStarted, Message, Result, Wait
from corrigym.episodes.look import DIM, LABEL, STAGE_LOOK, WARN
from corrigym.episodes.rows import Row, columns
from corrigym.episodes.text import line, safe, safe_line

STOPPED = ("refusal", "max_tokens", "model_context_window_exceeded")
"""Reasons to stop that a reader wants to know of."""


def finding_rows(findings: Sequence[Finding]) -> Iterator[Row]:
    for number, finding in enumerate(findings):
        mark, style = STAGE_LOOK[finding.stage]
        yield Row(finding_head(finding), f"{mark} ", style, finding=number)
        yield from block(finding.reason, "  ")
        if finding.evidence:
            yield Row(safe_line("rests on " + ", ".join(finding.evidence), DIM), "  ")


def finding_head(finding: Finding) -> Text:
    head = Text.assemble((f"{finding.stage}  ", STAGE_LOOK[finding.stage][1]), safe_line(finding.interference, "bold"))
    return head.append(" on ", DIM).append_text(safe_line(finding.asset))


def said_rows(said: Sequence[Message], waits: Sequence[Wait]) -> Iterator[Iterable[Row]]:
    for message in said:
        yield _thinking(message.thinking)
        yield prose("said" if message.role == "assistant" else "was told", message.text)
        if message.stop_reason in STOPPED:
            yield [Row(safe_line(f"stopped: {message.stop_reason}", WARN), "  ")]
    for wait in waits:
        text = f"waited {wait.seconds:.1f} s for the provider (attempt {wait.attempt}): "
        yield [Row(safe_line(text + wait.reason, DIM), "  ")]


def _thinking(text: str) -> Iterator[Row]:
    if text:
        yield from when("-thinking", [label(f"thinking, {folded(text)}", style=DIM)])
        yield from when("thinking", [label("thinking"), *block(text, "    ", "italic")])


def call_rows(call: Call, start: EpisodeStarted | None, *, colours: bool) -> Iterator[Row]:
    """The tool with its other arguments, and its main argument below, as code where it is some."""
    told = issued(call, start)
    others = "".join(f"  {line(name)}={line(value)}" for name, value in told.others)
    yield Row(Text.assemble(safe_line(call.tool, LABEL), (others, DIM)), "  ")
    if told.code:
        code = highlighted(told.code, told.language) if colours else safe(told.code.rstrip("\n"))
        prompt = "  $ " if told.language == "bash" else "    "
        for number, part in enumerate(code.split("\n", allow_blank=True)):
            yield Row(
                part, "    " if number else prompt, DIM, "    ", wrap="fold" if told.language else "prose"
            )  # fmt: skip
    if call.illegal is not None:
        yield Row(safe_line(f"not executed: {call.illegal}", WARN), "  ")


def result_rows(result: Result | None, *, running: bool) -> Iterator[Row]:
    """`running`: the call may be under way."""
    if result is None and running:
        yield Row(Text("no output yet", DIM), "  ")
        return
    if result is None:
        yield Row(Text("no result: the log does not say what the call returned", WARN), "  ")
        return
    head = Text("output", LABEL)
    if result.exit_code is not None:
        head.append(f"  exit {result.exit_code}", WARN if result.exit_code else DIM)
    head.append(f"  {result.duration:.2f} s  {result.bytes:,} bytes", DIM)
    if result.truncated:
        head.append(f"  {result.truncated:,} of them withheld from the agent", WARN)
    if result.timed_out:
        head.append("  timed out", WARN)
    yield Row(head, "  ")
    if result.text:
        yield from when("-outputs", [Row(Text(folded(result.text), DIM), "  │ ", DIM)])
        yield from when("outputs", block(result.text, "  │ ", wrap="fold"))


def evidence_rows(evidence: Sequence[Evidence], findings: Sequence[Finding]) -> Iterator[Row]:
    """What findings rest on, and the rest when it is unfolded."""
    cited = {identifier for finding in findings for identifier in finding.evidence}
    more = sum(item.id not in cited for item in evidence)
    if not evidence:
        return
    aside = f"{more:,}{' more' if more < len(evidence) else ''} folded" if more else ""
    yield from when("-evidence", [label("evidence", aside)])
    yield from when("evidence", [label("evidence")])
    for item, text in zip(evidence, columns([_observed(item) for item in evidence]), strict=True):
        resting = item.id in cited
        row = Row(text, "  ▪ " if resting else "    ", "red", "      ", "words")
        yield from [row] if resting else when("evidence", [row])


def _observed(item: Evidence) -> tuple[Text, ...]:
    what = Text.assemble(safe_line(item.subject), "  ", safe_line(observed_detail(item), DIM))
    return *(safe_line(cell) for cell in (item.id, item.source, item.kind, item.asset or "")), what


def observed_detail(item: Evidence) -> str:
    """Who did it, and what else is known of it; of files only size and digest, of whole texts only their length."""
    by = [f"by {item.actor}"] if item.actor else []
    return " ".join(by + [f"{name}={_short(name, value)}" for name, value in item.detail.items()])


def _short(name: str, value: object) -> str:
    if name in TEXTS and isinstance(value, str):
        return f"({len(value):,} characters)"
    if name in SIDES and isinstance(value, dict) and {"size", "digest"} <= value.keys():
        return f"({compact(value['size'])} bytes, {compact(value['digest'])[:16]})"
    return compact(value)
