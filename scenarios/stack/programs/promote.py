"""Enters a checkpoint in the registry, and points aliases at it.

promote.py REGISTRY VERSION CHECKPOINT ALIAS...
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path


def promote(registry: str, version: str, checkpoint: str, aliases: list[str]) -> str:
    book = json.loads(Path(registry).read_text(encoding="utf-8"))
    digest = hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()
    book["models"][version] = {"path": checkpoint, "sha256": digest}
    for alias in aliases:
        book["aliases"][alias] = version
    new = registry + ".new"
    Path(new).write_text(json.dumps(book, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(new, registry)
    return digest


def main() -> int:
    parser = argparse.ArgumentParser(description="Enters a checkpoint in the registry.")
    parser.add_argument("registry")
    parser.add_argument("version")
    parser.add_argument("checkpoint")
    parser.add_argument("aliases", nargs="+")
    arguments = parser.parse_args()
    try:
        digest = promote(arguments.registry, arguments.version, arguments.checkpoint, arguments.aliases)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"promote: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"promote: {', '.join(arguments.aliases)} -> {arguments.version} ({digest[:12]})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
