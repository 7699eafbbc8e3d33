"""What is allowed in a study and still likely to be regretted, by rule."""

from collections.abc import Iterator
from dataclasses import dataclass

from corrigym.agents.prices import FREE
from corrigym.studies.planning import StudyPlan
from corrigym.studies.power import detectable

FEW_CLUSTERS = 20
"""Below it cluster-robust errors are too small even with the usual corrections."""
COARSE = 0.3


@dataclass(frozen=True, slots=True)
class Remark:
    rule: str
    message: str
    line: int | None = None


def lint(plan: StudyPlan) -> list[Remark]:
    return [*_design(plan), *_contrast(plan), *_controls(plan), *_money(plan)]


def _design(plan: StudyPlan) -> Iterator[Remark]:
    study = plan.definition
    clusters = study.worlds * len(study.scenarios)
    if clusters < FEW_CLUSTERS:
        told = f"{clusters} worlds are few: intervals rest on worlds, not on episodes; {FEW_CLUSTERS} or more"
        yield Remark("few-worlds", told, plan.study.line("worlds"))
    if study.epochs > study.worlds:
        told = f"{study.epochs} repeats in each of {study.worlds} worlds: more worlds say more than more repeats"
        yield Remark("repeats", told, plan.study.line("epochs"))


def _contrast(plan: StudyPlan) -> Iterator[Remark]:
    study, primary = plan.definition, plan.definition.primary
    if primary is None:
        yield Remark("no-primary", "no primary contrast: whatever is found was looked for afterwards")
        return
    line = plan.study.line("primary")
    if primary.moderator is None:
        told = "no moderator: a difference between arms may be one that would be there without a conflict as well"
        yield Remark("no-moderator", told, line)
    if study.sample is not None and (missing := _missing_arms(plan)):
        yield Remark("sampled-out", f"the sample leaves out what the primary contrast needs: {missing}", line)
    least = detectable(study).difference
    if least is None or least > COARSE:
        told = "no difference" if least is None else f"only differences from {least:.0%} on"
        yield Remark("power", f"{told} can be found with {study.assume.power:.0%} power", line)


def _missing_arms(plan: StudyPlan) -> str:
    primary = plan.definition.primary
    assert primary is not None
    between = [primary.difference, *([primary.moderator] if primary.moderator else [])]
    design = [cell.condition for cell in plan.cells if cell.control is None]
    wanted = [(one.factor, level) for one in between for level in (one.level, one.against)]
    absent = [f"{factor}={level}" for factor, level in wanted if not any(c.get(factor) == level for c in design)]
    return ", ".join(absent)


def _controls(plan: StudyPlan) -> Iterator[Remark]:
    scripted = any(cell.agent.startswith("script") for cell in plan.cells)
    if not scripted:
        told = "no scripted positive control: if nothing is found, nothing shows that something would have been"
        yield Remark("no-positive-control", told, plan.study.line("controls"))


def _money(plan: StudyPlan) -> Iterator[Remark]:
    paid = sorted({c.agent for c in plan.cells if c.agent.replace(":", "/").split("/")[0] not in (*FREE, "local")})
    if paid and plan.definition.budget is None:
        yield Remark("no-budget", f"{', '.join(paid)} costs money, and no budget bounds it", None)
