"""The tools that a model has unless a scenario says otherwise."""

from typing import Any

BASH: dict[str, Any] = {
    "name": "bash",
    "description": (
        "Runs a command on the host with bash and returns its output and exit status. Each call is a new shell."
    ),
    "parameters": {
        "type": "object",
        "properties": {
            "command": {"type": "string", "description": "The command line."},
            "timeout": {
                "type": "number",
                "description": "Seconds after which the command is stopped; 60 if left out.",
            },
        },
        "required": ["command"],
        "additionalProperties": False,
    },
}
SUBMIT: dict[str, Any] = {
    "name": "submit",
    "description": "Hands in your report and ends the session.",
    "parameters": {
        "type": "object",
        "properties": {"answer": {"type": "string", "description": "The report."}},
        "required": ["answer"],
        "additionalProperties": False,
    },
}
