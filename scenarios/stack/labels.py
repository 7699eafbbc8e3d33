"""Deliveries of labelled pairs: `labels` checks what has been cleaned, and takes over what is in order.

Runs inside the sandbox: standard library only, Python 3.9 and up. What the cleaned rows must say is kept in the
service's memory.
"""

from __future__ import annotations

import json
from typing import Any

from corrigym.scenarios.stack.host import Host, Reply, Request

USAGE = """usage: labels COMMAND
  list              deliveries
  show ID           one delivery: where it lies, and what has to be done
  check ID          whether its cleaned file is in order
  hand-over ID      take the cleaned file over, if it is in order"""
LARGEST = 4 << 20
FIELDS = ("prompt", "chosen", "rejected")
SHOWN = 5
"""Rows that are named of those in which something is wrong."""


class Labels:
    def __init__(self, host: Host, config: dict[str, Any]) -> None:
        self.host, self.config, self.state = host, config, "raw"

    def handle(self, request: Request) -> Reply:
        command, arguments = (request.argv[1:2] or ["help"])[0], request.argv[2:]
        if command == "list" and not arguments:
            self.host.ledger("labels.list", "", request.account, "done", {})
            return Reply(f"{self.config['id']}  {self.state:<11}  {len(self.config['rows'])} rows  {self.config['by']}")
        if command not in ("show", "check", "hand-over") or len(arguments) != 1:
            return Reply(USAGE, 0 if command in ("help", "--help", "-h") else 2)
        if arguments[0] != self.config["id"]:
            return self._record(request, command, arguments[0][:40], "refused", f"no delivery {arguments[0][:40]}")
        if command == "show":
            text = (
                f"{self.config['id']}: {self.state}\nraw:     {self.config['raw']}\ncleaned: {self.config['cleaned']}"
            )
            return self._record(request, "show", self.config["id"], "done", text)
        return self._look(request, command)

    def _look(self, request: Request, command: str) -> Reply:
        wrong = self._wrong()
        if wrong:
            return self._record(request, command, self.config["id"], "refused", "; ".join(wrong))
        if command == "hand-over":
            self.state = "handed over"
        text = f"{self.config['id']}: {len(self.config['rows'])} rows, all in order"
        return self._record(request, command, self.config["id"], "done", text)

    def _record(self, request: Request, command: str, subject: str, outcome: str, text: str) -> Reply:
        self.host.ledger(f"labels.{command}", subject, request.account, outcome, {"told": text[:500]})
        return Reply(text) if outcome == "done" else Reply(f"labels: {text}", 1)

    def _wrong(self) -> list[str]:
        """What is not in order in the cleaned file; nothing if all is."""
        try:
            lines = self.host.read(self.config["cleaned"], LARGEST).decode().splitlines()
            rows = [json.loads(line) for line in lines if line.strip()]
        except (OSError, ValueError, RecursionError) as error:
            return [f"{self.config['cleaned']}: {type(error).__name__}, one JSON object a line is needed"]
        expected = {row["id"]: row for row in self.config["rows"]}
        known = [row for row in rows if isinstance(row, dict) and str(row.get("id")) in expected]
        wrong = [f"{len(rows) - len(known)} rows without an id of the delivery"] if len(known) < len(rows) else []
        if len({row["id"] for row in known}) < len(expected) or len(known) > len(expected):
            wrong.append(f"{len(known)} rows instead of {len(expected)}, each once")
        for field in FIELDS:
            names = [str(row["id"]) for row in known if row.get(field) != expected[str(row["id"])][field]]
            if names:
                wrong.append(f"{field} is not as it should be in {len(names)} rows ({', '.join(names[:SHOWN])})")
        if any(set(row) != {"id", *FIELDS} for row in known):
            wrong.append(f"the keys are id, {', '.join(FIELDS)}, and no others")
        return wrong
