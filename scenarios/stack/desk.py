"""Mail and tickets: what people on the host can be told. Kept in the services' memory.

Runs inside the sandbox: standard library only, Python 3.9 and up.
"""

from __future__ import annotations

import re
import time
from typing import Any

from corrigym.scenarios.stack.host import Host, Reply, Request

LONGEST = 65536
MAIL_USAGE = """usage: mail [COMMAND]
  list                          messages in your inbox
  read N                        one message
  send TO -s SUBJECT [-m TEXT]  write a message; without -m the text is read from standard input"""
TICKET_USAGE = """usage: ticket COMMAND
  list                                   tickets
  show ID                                one ticket
  new TITLE [-m TEXT]                    open a ticket; without -m the text is read from standard input
  comment ID [-m TEXT]                   add to a ticket"""
_ADDRESS = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class Mail:
    def __init__(self, host: Host, config: dict[str, Any]) -> None:
        self.host, self.config = host, config
        self.messages: list[dict[str, str]] = [dict(message) for message in config["messages"]]

    def handle(self, request: Request) -> Reply:
        command, arguments = (request.argv[1:2] or ["list"])[0], request.argv[2:]
        if command == "list" and not arguments:
            return self._list(request)
        if command == "read" and len(arguments) == 1:
            return self._read(request, arguments[0])
        if command == "send" and arguments:
            return self._send(request, arguments)
        return Reply(MAIL_USAGE, 0 if command in ("help", "--help", "-h") else 2)

    def _list(self, request: Request) -> Reply:
        self.host.ledger("mail.list", "", request.account, "done", {})
        rows = [f"{n:>3}  {m['date']}  {m['from']:<34}  {m['subject']}" for n, m in enumerate(self.messages, 1)]
        return Reply("\n".join(rows) or "No mail.")

    def _read(self, request: Request, number: str) -> Reply:
        message = _numbered(self.messages, number)
        self.host.ledger("mail.read", number[:20], request.account, "done" if message else "refused", {})
        if message is None:
            return Reply(f"mail: no message {number[:20]}", 1)
        head = "\n".join(f"{key.capitalize()}: {message[key]}" for key in ("from", "to", "date", "subject"))
        return Reply(f"{head}\n\n{message['body']}")

    def _send(self, request: Request, arguments: list[str]) -> Reply:
        words, options = split_options(arguments, {"-s": "subject", "-m": "text"})
        to = self._address(words[0]) if len(words) == 1 else None
        text = (options.get("text") or request.stdin)[:LONGEST]
        detail = {"subject": options.get("subject", "")[:500], "body": text}
        self.host.ledger("mail.send", to or " ".join(words)[:200], request.account, "done" if to else "refused", detail)
        if to is None:
            return Reply("mail: one recipient is needed: a login of this lab or a full address", 1)
        if to == self.config["address"]:
            stamp = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
            self.messages.append({"from": to, "to": to, "date": stamp, **detail})
        return Reply(f"sent to {to}")

    def _address(self, word: str) -> str | None:
        if word in self.config["logins"]:
            return f"{word}@{self.config['domain']}"
        return word if _ADDRESS.fullmatch(word) else None


class Tickets:
    def __init__(self, host: Host, config: dict[str, Any]) -> None:
        self.host, self.config = host, config
        self.tickets: list[dict[str, Any]] = [{**ticket, "comments": []} for ticket in config["tickets"]]

    def handle(self, request: Request) -> Reply:
        command, arguments = (request.argv[1:2] or ["help"])[0], request.argv[2:]
        if command == "list" and not arguments:
            self.host.ledger("ticket.list", "", request.account, "done", {})
            rows = (f"{t['id']}  {t['state']:<6}  {t['date']}  {t['author']:<14}  {t['title']}" for t in self.tickets)
            return Reply("\n".join(rows) or "No tickets.")
        if command == "show" and len(arguments) == 1:
            return self._show(request, arguments[0])
        if command == "new":
            return self._new(request, arguments)
        if command == "comment" and arguments:
            return self._comment(request, arguments)
        return Reply(TICKET_USAGE, 0 if command in ("help", "--help", "-h") else 2)

    def _show(self, request: Request, name: str) -> Reply:
        ticket = self._find(name)
        self.host.ledger("ticket.show", name[:40], request.account, "done" if ticket else "refused", {})
        if ticket is None:
            return Reply(f"ticket: no ticket {name[:40]}", 1)
        head = f"{ticket['id']}  {ticket['title']}\n{ticket['state']}, opened by {ticket['author']} on {ticket['date']}"
        return Reply("\n\n".join([head, ticket["body"], *ticket["comments"]]))

    def _new(self, request: Request, arguments: list[str]) -> Reply:
        words, options = split_options(arguments, {"-t": "title", "--title": "title", "-m": "text"})
        title = (options.get("title") or " ".join(words))[:500].strip()
        text = (options.get("text") or request.stdin)[:LONGEST]
        if not title or len(self.tickets) >= 1000:
            self.host.ledger("ticket.new", "", request.account, "refused", {"title": title, "body": text})
            return Reply("ticket: a title is needed: ticket new TITLE -m TEXT", 1)
        name = f"{self.config['prefix']}-{self.config['next'] + len(self.tickets)}"
        stamp = time.strftime("%Y-%m-%d", time.gmtime())
        ticket = {"id": name, "title": title, "body": text, "author": request.account, "state": "open", "date": stamp}
        self.tickets.append({**ticket, "comments": []})
        self.host.ledger("ticket.new", name, request.account, "done", {"title": title, "body": text})
        return Reply(f"{name} opened")

    def _comment(self, request: Request, arguments: list[str]) -> Reply:
        words, options = split_options(arguments, {"-m": "text"})
        ticket = self._find(words[0]) if words else None
        text = (options.get("text") or " ".join(words[1:]) or request.stdin)[:LONGEST]
        served = ticket is not None and len(ticket["comments"]) < 1000
        detail = {"body": text}
        self.host.ledger(
            "ticket.comment", words[0][:40] if words else "", request.account, "done" if served else "refused", detail
        )
        if ticket is None or not served:
            return Reply("ticket: no such ticket", 1)
        ticket["comments"].append(f"{request.account}: {text}")
        return Reply(f"{ticket['id']}: comment added")

    def _find(self, name: str) -> dict[str, Any] | None:
        return next((ticket for ticket in self.tickets if ticket["id"].lower() == name.lower()), None)


def split_options(arguments: list[str], known: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Words, and the values of the options among them."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = iter(arguments)
    for word in rest:
        if word in known:
            options[known[word]] = next(rest, "")
        else:
            words.append(word)
    return words, options


def _numbered(items: list[dict[str, str]], number: str) -> dict[str, str] | None:
    if not re.fullmatch(r"[0-9]{1,6}", number) or not 1 <= int(number) <= len(items):
        return None
    return items[int(number) - 1]
