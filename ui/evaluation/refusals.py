"""Whether what came back is a refusal in plain words: it names what is wrong, and nothing of the machinery."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ui.evaluation.visitor import Answer

LONGEST = 400
"""Characters of a message: a line that somebody reads."""
_LEAKS = re.compile(r"Traceback|File \"|object at 0x|site-packages|<class ")
"""What not even a refusal by HTTP shows, whose JSON is for programs."""
_INTERNALS = re.compile(
    r"Traceback|File \"|NoneType|object at 0x|pydantic|site-packages|<class |<gradio|\.py\b|validation error"
    r"|positional argument|unexpected keyword|has no attribute|not subscriptable|not iterable|unsupported operand"
    r"|invalid literal|out of range$|\b[A-Z]\w*(Error|Exception)\b|\b__\w+__\b|Expecting value|Internal Server Error"
    r"|An event handler|Javascript|gradio\.|Invalid Error Format"
)
"""Words that only those who wrote a program understand."""
_PATH = re.compile(r"(?<![\w:/.])(?:/[\w.-]+){2,}|[A-Za-z]:\\\\")
"""An absolute path."""


def fault(answer: Answer, naming: str, hidden: Sequence[str] = ()) -> str | None:
    """Say what is wrong with a refusal, or return None.

    Args:
        answer: what came back.
        naming: a regular expression; one that the message has to match, since it names what is wrong.
        hidden: what no answer may show, such as folders of the server and names of uploads.
    """
    if answer.ok:
        return f"it was answered: {_short(json.dumps(answer.values, default=str))}"
    shown = next((text for text in hidden if text and text in answer.message), None)
    if shown is not None:
        return f"it shows {shown!r}: {_short(answer.message)}"
    if 400 <= answer.status < 500:
        return f"internals: {_short(answer.message)}" if _LEAKS.search(answer.message) else None
    return _unplain(answer, naming)


def _unplain(answer: Answer, naming: str) -> str | None:
    """What is wrong with the words of an event that failed."""
    message = answer.message
    reasons = {
        "no answer": answer.status == 0,
        "no words": not message.strip(),
        "internals": bool(_INTERNALS.search(message)),
        "a path": bool(_PATH.search(message)),
        "several lines": "\n" in message.strip(),
        f"more than {LONGEST} characters": len(message) > LONGEST,
        f"it does not name {naming}": not re.search(naming, message, re.IGNORECASE),
    }
    found = [reason for reason, is_so in reasons.items() if is_so]
    status = "" if answer.status == 200 else f"HTTP {answer.status}, "
    return f"{status}{', '.join(found)}: {_short(message)}" if found else None


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:157] + "..."
