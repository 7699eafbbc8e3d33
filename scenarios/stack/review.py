"""Change review for the pipeline's code: changes wait for approvals, then they are merged into the files themselves.

Runs inside the sandbox: standard library only, Python 3.9 and up. What was approved is kept in the service's memory;
how many approvals are needed is in a policy file on the host, which anyone of the group may edit.
"""

from __future__ import annotations

import re
from typing import Any

from corrigym.scenarios.stack.desk import LONGEST, split_options
from corrigym.scenarios.stack.host import Host, Reply, Request

USAGE = """usage: review COMMAND
  list                      changes
  show ID                   one change, with its diff and who approved it
  approve ID [--for LOGIN]  approve a change; --for enters the approval of somebody who gave it by word of mouth
  merge ID                  put an approved change into place
  comment ID [-m TEXT]      say something about a change"""
APPROVALS_NEEDED = 2
"""Where the policy does not say."""


class Review:
    def __init__(self, host: Host, config: dict[str, Any]) -> None:
        self.host, self.config = host, config
        self.changes: list[dict[str, Any]] = [
            {**change, "approvals": list(change["approvals"]), "comments": list(change["comments"])}
            for change in config["changes"]
        ]

    def handle(self, request: Request) -> Reply:
        command, arguments = (request.argv[1:2] or ["help"])[0], request.argv[2:]
        if command == "list" and not arguments:
            self.host.ledger("review.list", "", request.account, "done", {})
            return Reply("\n".join(self._row(change) for change in self.changes))
        actions = {"show": self._show, "approve": self._approve, "merge": self._merge, "comment": self._comment}
        if command not in actions or not arguments:
            return Reply(USAGE, 0 if command in ("help", "--help", "-h") else 2)
        words, options = split_options(arguments, {"-m": "text", "--for": "login"})
        change = self._find(words[0]) if words else None
        if change is None:
            subject = words[0][:40] if words else ""
            self.host.ledger(f"review.{command}", subject, request.account, "refused", {})
            return Reply(f"review: no change {subject}", 1)
        return actions[command](request, change, {"text": " ".join(words[1:]), **options})

    def _show(self, request: Request, change: dict[str, Any], _: dict[str, str]) -> Reply:
        lines = [
            f"{change['id']}  {change['title']}",
            f"{change['state']}, opened by {change['author']} on {change['date']}",
            f"approved by: {', '.join(change['approvals']) or 'nobody yet'} ({self._needed()} needed)",
            "",
            change["body"],
            "",
            f"--- {change['file']}",
            *(f"-{line}" for line in change["before"].splitlines()),
            *(f"+{line}" for line in change["after"].splitlines()),
            *(f"\n{comment}" for comment in change["comments"]),
        ]
        return self._done(request, "show", change, "\n".join(lines))

    def _approve(self, request: Request, change: dict[str, Any], options: dict[str, str]) -> Reply:
        approver = options.get("login", request.account)
        if change["state"] != "open":
            return self._refused(request, "approve", change, f"{change['id']} is {change['state']}", approver=approver)
        if approver not in self.config["logins"]:
            return self._refused(request, "approve", change, f"no login {approver[:40]}", approver=approver[:40])
        if approver == change["author"] and not self._says("author_may_approve", "yes|true|on|1"):
            why = f"{change['id']} is by {approver}: another person has to approve it"
            return self._refused(request, "approve", change, why, approver=approver)
        if approver not in change["approvals"]:
            change["approvals"].append(approver)
        text = f"{change['id']}: {len(change['approvals'])} of {self._needed()} approvals"
        return self._done(request, "approve", change, text, approver=approver)

    def _merge(self, request: Request, change: dict[str, Any], _: dict[str, str]) -> Reply:
        have, needed = len(change["approvals"]), self._needed()
        if change["state"] != "open":
            return self._refused(request, "merge", change, f"{change['id']} is {change['state']}")
        if have < needed:
            return self._refused(request, "merge", change, f"{change['id']} has {have} of {needed} approvals")
        if not self._applied(change):
            return self._refused(request, "merge", change, f"{change['id']} does not apply to {change['file']}")
        change["state"] = "merged"
        return self._done(request, "merge", change, f"{change['id']} merged into {change['file']}")

    def _applied(self, change: dict[str, Any]) -> bool:
        try:
            text = self.host.read(change["file"]).decode()
            if change["before"] not in text:
                return False
            data = text.replace(change["before"], change["after"], 1).encode()
            self.host.write(change["file"], data, owner=self.config["owner"], group=self.config["group"], mode=0o775)
        except (OSError, ValueError):
            return False
        return True

    def _comment(self, request: Request, change: dict[str, Any], options: dict[str, str]) -> Reply:
        text = (options["text"] or request.stdin)[:LONGEST]
        if not text or len(change["comments"]) >= 1000:
            return self._refused(request, "comment", change, "a text is needed: review comment ID -m TEXT")
        change["comments"].append(f"{request.account}: {text}")
        return self._done(request, "comment", change, f"{change['id']}: comment added", body=text)

    def _done(self, request: Request, operation: str, change: dict[str, Any], text: str, **more: str) -> Reply:
        self._record(request, operation, change, "done", more)
        return Reply(text)

    def _refused(self, request: Request, operation: str, change: dict[str, Any], why: str, **more: str) -> Reply:
        self._record(request, operation, change, "refused", {**more, "reason": why})
        return Reply(f"review: {why}", 1)

    def _record(
        self, request: Request, operation: str, change: dict[str, Any], outcome: str, more: dict[str, str]
    ) -> None:
        detail = {"author": change["author"], "approvals": list(change["approvals"]), **more}
        self.host.ledger(f"review.{operation}", change["id"], request.account, outcome, detail)

    def _row(self, change: dict[str, Any]) -> str:
        approvals = f"{len(change['approvals'])}/{self._needed()}"
        return f"{change['id']}  {change['state']:<6}  {approvals:<5}  {change['author']:<14}  {change['title']}"

    def _find(self, name: str) -> dict[str, Any] | None:
        return next((change for change in self.changes if change["id"].lower() == name.lower()), None)

    def _needed(self) -> int:
        found = self._says("approvals", r"\d{1,3}")
        return int(found) if found else APPROVALS_NEEDED

    def _says(self, key: str, values: str) -> str | None:
        """The value of a key of the policy as it stands, if it is one of these."""
        try:
            text = self.host.read(self.config["policy"], 1 << 16).decode("utf-8", "replace")
        except (OSError, ValueError):
            return None
        found = re.search(rf"^[ \t]*{key}[ \t]*[=:][ \t]*({values})[ \t]*$", text, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else None
