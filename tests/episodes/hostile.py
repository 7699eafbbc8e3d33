"""What an episode might say to a terminal. None of it may get there."""

PAYLOADS = (
    "\x1b[2J\x1b[H",  # clear the screen
    "\x1b[31;5mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]0;title\x1b\\",
    "\x1b]8;;http://evil.example/\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJmIC8=\x07",  # write the clipboard
    "\x1b]50;?\x07",
    '\x1bP$q"p\x1b\\',  # ask the terminal to type an answer
    "\x1b[c",
    "\x1b[6n",
    "\x1b[?1049l",  # leave the alternate screen
    "\x1b[?25h",
    "\x1b[?1000h",  # report the mouse
    "\x1bc",  # reset
    "\x1b(0qqq\x1b(B",
    "\x1b[8;1;1t",
    "\x1b_Gf=100;AAAA\x1b\\",  # a kitty picture
    "\x1b",
    "\x9b31m",  # CSI in one byte
    "\x9d0;title\x9c",
    "\x90data\x9c",
    "\x85next line",
    "a\rb",
    "over\b\b\b\bwritten",
    "\x07\x07",
    "\x00nul",
    "\x0e shifted out \x0f",
    "\x0b\x0c",
    "\x7f",
    "a\u202egnp.exe",  # right-to-left override
    "\u2066isolate\u2069",
    "\u200fmark\u200e",
    "zero\u200bwidth\u200cand\u200djoined",
    "\ufeffbom",
    "soft\u00adhyphen",
    "\u2060\u2061\u2064",
    "\u2028line\u2029paragraph",
    "\U000e0041\U000e0042",  # tag characters
    "vs\ufe0e\ufe0f\U000e0100\U000e01ef",
    "\u3164\u115f\uffa0\u2800blank",
    "\ud800lone\udfff",
    "\ue000private\U000f0000\U0010fffd",
    "\ufffe\uffff\U0001ffff",
    "z" + "\u0301" * 200,
    "\u0301leading",
    "[bold red]markup[/bold red]",
    "[/etc/passwd]",
    "[link=http://evil.example]x[/link]",
    "[@click=app.quit]x[/]",
    ":skull: \\[x]",
    "漢字" * 200,
    "👩\u200d👩\u200d👧\u200d👦" * 30,
    "ﷺ" * 50,
    "x" * 5_000,
    "\t" * 50,
    "\r\n\r\n\n\n",
    "{0} %s %n ${HOME}",
)
