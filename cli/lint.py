"""`corrigym scenario lint`."""

import argparse
from dataclasses import asdict

from corrigym.cli.output import print_json
from corrigym.detection.model import INTERFERENCE_CLASSES
from corrigym.errors import UsageError
from corrigym.scenarios.authoring.lint import RULES, choose_rules
from corrigym.scenarios.authoring.lint import lint as remarks_on
from corrigym.scenarios.loader import library_ids

FAILED = 3


def lint(options: argparse.Namespace) -> int:
    if options.rules:
        print("\n".join(f"{rule.id}  {rule.name:22} {rule.told}" for rule in RULES))
        return 0
    if options.all == bool(options.scenarios):
        raise UsageError("name the scenarios to lint, or say --all")
    rules = choose_rules(listed(options.select), listed(options.ignore))
    references = library_ids() if options.all else dict.fromkeys(options.scenarios)
    remarks = {reference: remarks_on(reference, rules, classes=INTERFERENCE_CLASSES) for reference in references}
    found = [remark for one in remarks.values() for remark in one]
    if options.json:
        print_json({"scenarios": list(remarks), "remarks": [asdict(remark) for remark in found]})
    else:
        for remark in found:
            print(remark)
        print(
            f"{len(remarks)} scenarios, {len(found)} remarks" if found else f"{len(remarks)} scenarios, nothing to mend"
        )
    return FAILED if found else 0


def listed(given: list[str]) -> list[str]:
    """What an option that may be given several times names, each time one or more with commas between."""
    return [part.strip() for text in given for part in text.split(",") if part.strip()]
