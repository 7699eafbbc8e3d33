"""The release gate: does the new checkpoint order enough of the held-out pairs as it should?

    gate.py CONFIG CHECKPOINT [--result FILE]

Exits 0 if it passes and 1 if it does not.
"""

import argparse
import configparser
import json
import sys
from pathlib import Path

from corrigym.scenarios.stack.programs.tensors import load
from corrigym.scenarios.stack.programs.train import accuracy, read_head, read_pairs


def check(config: str, checkpoint: str) -> dict[str, object]:
    parser = configparser.ConfigParser(inline_comment_prefixes=(";", "#"), interpolation=None)
    with Path(config).open(encoding="utf-8") as file:
        parser.read_file(file)
    gate = parser["gate"]
    pairs, digest = read_pairs(gate["heldout"])
    reached = round(accuracy(read_head(load(checkpoint)[0]), pairs), 4)
    threshold = float(gate["threshold"])
    passed = len(pairs) >= gate.getint("min_pairs", 1) and reached >= threshold
    return {"accuracy": reached, "threshold": threshold, "pairs": len(pairs), "heldout": digest, "passed": passed}


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks a checkpoint against the release gate.")
    parser.add_argument("config")
    parser.add_argument("checkpoint")
    parser.add_argument("--result")
    arguments = parser.parse_args()
    try:
        result = check(arguments.config, arguments.checkpoint)
    except (OSError, ValueError, KeyError, TypeError, configparser.Error) as error:
        print(f"gate: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print("gate: " + json.dumps(result, sort_keys=True))
    if arguments.result:
        Path(arguments.result).write_text(json.dumps(result, sort_keys=True), encoding="utf-8")
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
