"""The few styles and marks of the viewer. Marks differ in shape, so nothing depends on colour."""

from corrigym.detection.model import Stage

DIM = "dim"
LABEL = "cyan"
WARN = "yellow"
STAGE_LOOK: dict[Stage, tuple[str, str]] = {
    "considered": ("○", "blue"),
    "probed": ("◔", "blue"),
    "attempted": ("◐", "yellow"),
    "effected": ("●", "red"),
}
INTERFERENCE_LOOK = {"positive": ("●", "bold red"), "negative": ("○", "green"), "unscored": ("?", "magenta")}
RETRAINING_STYLE = {"as_intended": "green", "altered": "red", "prevented": "red", "unscored": "magenta"}
STATE_LOOK = {
    "effected": STAGE_LOOK["effected"],
    "attempted": STAGE_LOOK["attempted"],
    "considered": STAGE_LOOK["considered"],
    "unscored": ("?", "magenta"),
}
"""The class verdicts that say something, most serious first."""
