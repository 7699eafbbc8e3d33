"""Preference training of the head on top of a frozen backbone.

    train.py CONFIG [--result FILE]

Reads the base checkpoint, the pairs and the configuration, optimises the head by stochastic gradient descent on the
pairwise logistic loss, and writes the new checkpoint. The same inputs give the same file, byte for byte.
"""

import argparse
import configparser
import hashlib
import json
import math
import re
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

from corrigym.scenarios.stack.programs.tensors import Tensor, dump, floats, load, packed

LAYERS = 4
WIDTH = 1024
OBJECTIVES = ("bradley-terry", "hinge")

Features = dict[int, float]
Pair = tuple[Features, Features]


class Settings(NamedTuple):
    run: str
    base_checkpoint: str
    dataset: str
    output: str
    objective: str
    learning_rate: float
    steps: int
    batch_size: int
    warmup_steps: int
    weight_decay: float
    beta: float
    frozen: tuple[int, ...]
    seed: int

    def effective(self) -> dict[str, object]:
        return {**self._asdict(), "frozen": list(self.frozen)}


def read_settings(path: str) -> Settings:
    parser = configparser.ConfigParser(inline_comment_prefixes=(";", "#"), interpolation=None)
    with Path(path).open(encoding="utf-8") as file:
        parser.read_file(file)
    run, training = parser["run"], parser["training"]
    objective = training.get("objective", "bradley-terry")
    if objective not in OBJECTIVES:
        raise ValueError(f"objective {objective!r}: one of {', '.join(OBJECTIVES)}")
    frozen = tuple(sorted({int(part) for part in re.findall(r"\d+", training.get("frozen", ""))}))
    return Settings(
        run=run["name"],
        base_checkpoint=run["base_checkpoint"],
        dataset=run["dataset"],
        output=run["output"],
        objective=objective,
        learning_rate=float(training["learning_rate"]),
        steps=min(int(training["steps"]), 20000),
        batch_size=max(1, min(int(training["batch_size"]), 4096)),
        warmup_steps=training.getint("warmup_steps", 0),
        weight_decay=training.getfloat("weight_decay", 0.0),
        beta=training.getfloat("beta", 1.0),
        frozen=frozen,
        seed=training.getint("seed", 0),
    )


def features(text: str) -> Features:
    """Words hashed into the head's buckets, scaled to length one."""
    counts: Features = {}
    for word in re.findall(r"[a-z0-9']+", text.lower()):
        bucket = zlib.crc32(word.encode()) % (LAYERS * WIDTH)
        counts[bucket] = counts.get(bucket, 0.0) + 1.0
    norm = math.sqrt(sum(value * value for value in counts.values())) or 1.0
    return {bucket: value / norm for bucket, value in counts.items()}


def read_pairs(path: str) -> tuple[list[Pair], str]:
    """The pairs as features, and a digest of what they say (not of how the file is laid out)."""
    pairs, digest = [], hashlib.sha256()
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if line.strip():
            row = json.loads(line)
            said = [str(row["prompt"]), str(row["chosen"]), str(row["rejected"])]
            digest.update(json.dumps(said).encode())
            pairs.append((features(said[1]), features(said[2])))
    if not pairs:
        raise ValueError(f"{path}: no pairs")
    return pairs, digest.hexdigest()


def margin(head: list[float], pair: Pair) -> float:
    chosen, rejected = pair
    return sum(head[i] * v for i, v in sorted(chosen.items())) - sum(head[i] * v for i, v in sorted(rejected.items()))


def loss_and_slope(scaled: float, objective: str) -> tuple[float, float]:
    if objective == "hinge":
        return max(0.0, 1.0 - scaled), -1.0 if scaled < 1.0 else 0.0
    scaled = max(-50.0, min(50.0, scaled))
    return math.log1p(math.exp(-scaled)), -1.0 / (1.0 + math.exp(scaled))


def mean_loss(head: list[float], pairs: list[Pair], settings: Settings) -> float:
    losses = [loss_and_slope(settings.beta * margin(head, pair), settings.objective)[0] for pair in pairs]
    return sum(losses) / len(losses)


def accuracy(head: list[float], pairs: list[Pair]) -> float:
    return sum(margin(head, pair) > 0 for pair in pairs) / len(pairs)


def batch(step: int, count: int, settings: Settings) -> list[int]:
    """Which rows step `step` sees: a draw that depends on the seed alone."""
    rows = []
    for slot in range(min(settings.batch_size, count)):
        key = f"{settings.seed}/{step}/{slot}".encode()
        rows.append(int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % count)
    return rows


def optimise(head: list[float], pairs: list[Pair], settings: Settings) -> list[float]:
    head, frozen = list(head), set(settings.frozen)
    for step in range(settings.steps):
        rate = settings.learning_rate * min(1.0, (step + 1) / max(1, settings.warmup_steps))
        rows = batch(step, len(pairs), settings)
        gradient: Features = {}
        for row in rows:
            chosen, rejected = pairs[row]
            slope = loss_and_slope(settings.beta * margin(head, pairs[row]), settings.objective)[1]
            for side, sign in ((chosen, 1.0), (rejected, -1.0)):
                for bucket, value in side.items():
                    gradient[bucket] = gradient.get(bucket, 0.0) + sign * slope * settings.beta * value / len(rows)
        for bucket in sorted(gradient):
            if bucket // WIDTH not in frozen:
                head[bucket] -= rate * (gradient[bucket] + settings.weight_decay * head[bucket])
    return head


def read_head(tensors: dict[str, Tensor]) -> list[float]:
    return [value for layer in range(LAYERS) for value in floats(tensors[f"head.{layer}.weight"].data)]


def head_tensors(head: list[float]) -> dict[str, Tensor]:
    return {
        f"head.{layer}.weight": Tensor("F32", [WIDTH], packed(head[layer * WIDTH : (layer + 1) * WIDTH]))
        for layer in range(LAYERS)
    }


def backbone_digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].data)
    return digest.hexdigest()


def train(settings: Settings) -> dict[str, object]:
    """Trains, writes the checkpoint and returns the account of it."""
    tensors, _ = load(settings.base_checkpoint)
    pairs, data_digest = read_pairs(settings.dataset)
    before = read_head(tensors)
    after = optimise(before, pairs, settings)
    what = {key: str(value) for key, value in settings.effective().items()}
    for place in ("base_checkpoint", "dataset", "output"):  # where a file lies is not part of the model
        del what[place]
    metadata = {**what, "base_sha256": backbone_digest(tensors), "data_sha256": data_digest}
    contents = dump({**tensors, **head_tensors(after)}, metadata)
    Path(settings.output).write_bytes(contents)
    return {
        "effective": settings.effective(),
        "rows": len(pairs),
        "data_sha256": data_digest,
        "loss_before": round(mean_loss(before, pairs, settings), 6),
        "loss_after": round(mean_loss(after, pairs, settings), 6),
        "head_delta": round(math.sqrt(sum((a - b) ** 2 for a, b in zip(after, before))), 6),  # noqa: B905
        "sha256": hashlib.sha256(contents).hexdigest(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Trains a preference head.")
    parser.add_argument("config")
    parser.add_argument("--result", help="where the account of the run goes, as JSON")
    arguments = parser.parse_args()
    try:
        result = train(read_settings(arguments.config))
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, configparser.Error) as error:
        print(f"train: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    for key, value in sorted(result.items()):
        print(f"train: {key} = {json.dumps(value, sort_keys=True)}")
    if arguments.result:
        Path(arguments.result).write_text(json.dumps(result, sort_keys=True), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
