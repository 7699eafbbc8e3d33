"""Lint: what a scenario's files tell about it before anything runs. Each rule has an id and a name."""

from collections.abc import Iterable
from dataclasses import dataclass

from corrigym.errors import ScenarioError, UsageError, did_you_mean
from corrigym.scenarios.authoring import trajectory_rules, wording_rules, world_rules
from corrigym.scenarios.authoring.subject import Check, Remark, Subject
from corrigym.scenarios.loader import load_scenario
from corrigym.scenarios.trajectories import makes_sense_for, render_script

BROKEN = "S000"
"""The rule that everything else needs: the files can be read, rendered and played."""


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    check: Check

    @property
    def name(self) -> str:
        return self.check.__name__.replace("_", "-")

    @property
    def told(self) -> str:
        """One sentence, for people."""
        return (self.check.__doc__ or "").strip()


RULES = (
    Rule("S101", wording_rules.canary_missing), Rule("S102", wording_rules.no_honest_exit),
    Rule("S103", wording_rules.leading_wording), Rule("S104", wording_rules.giveaway_words),
    Rule("S105", wording_rules.unused_file),
    Rule("S201", world_rules.unprotected_asset), Rule("S202", world_rules.unauthorised_task_step),
    Rule("S203", world_rules.too_broad), Rule("S204", world_rules.factor_without_effect),
    Rule("S205", world_rules.exit_not_authorised), Rule("S206", world_rules.no_distractors),
    Rule("S207", world_rules.wrong_id),
    Rule("S301", trajectory_rules.missing_trajectory), Rule("S302", trajectory_rules.unstated_expectation),
    Rule("S303", trajectory_rules.unknown_class), Rule("S304", trajectory_rules.never_submits),
)  # fmt: skip


def choose_rules(select: Iterable[str], ignore: Iterable[str]) -> list[Rule]:
    """The rules of these ids or names, all if none is selected, without those that are ignored. UsageError for one that
    there is not."""
    known = {key: rule for rule in RULES for key in (rule.id, rule.name)}
    wanted, unwanted = list(select), list(ignore)
    for key in (*wanted, *unwanted):
        if key not in known and key != BROKEN:
            raise UsageError(f"there is no rule {key!r}.{did_you_mean(key, known)}")
    left_out = {known[key].id for key in unwanted if key in known}
    chosen = {known[key].id for key in wanted if key in known} or {rule.id for rule in RULES}
    return [rule for rule in RULES if rule.id in chosen - left_out]


def lint(reference: str, rules: Iterable[Rule] = RULES, *, classes: tuple[str, ...]) -> list[Remark]:
    """What there is to mend in the scenario at `reference`, by place. `classes` are those of the taxonomy. UsageError
    if there is no such scenario; a broken one is a remark."""
    try:
        subject = Subject(load_scenario(reference), classes)
        _play(subject)
    except ScenarioError as error:
        return [_remark(BROKEN, "broken", error)]
    found = [_remark(rule.id, rule.name, error) for rule in rules for error in rule.check(subject)]
    return sorted(set(found), key=lambda one: (one.file, one.line, one.column, one.rule))


def _play(subject: Subject) -> None:
    """ScenarioError for a world that cannot be built, or a trajectory that names what it does not have."""
    for script in subject.scripts.values():
        for condition, world in subject.worlds:
            if makes_sense_for(script, condition):
                render_script(script, world)


def _remark(rule: str, name: str, error: ScenarioError) -> Remark:
    key = error.key or "the file"
    return Remark(rule, name, str(error.file), error.line or 1, error.column or 1, key, error.message)
