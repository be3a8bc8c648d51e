"""Photographs that visitors give: opened within limits, and only with consent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faces import examples, policy
from faces.images import open_image
from ui.session import Session

CONSENT = (
    "The photographs show me, or people who agreed to this use of them. They stay on this machine and are deleted when "
    "I leave."
)
"""What a visitor agrees to before a photograph is used."""
_NAMED = {policy.Category.SEXUAL, policy.Category.MINOR, policy.Category.NUDITY}
"""What a file's name is looked at for; a person's name is no reason, who agreed to it."""
_NUMBERS = re.compile(r"[\W\d_]+")
"""Dates and counters of cameras, which are no ages."""


class ConsentMissing(ValueError):  # noqa: N818 - it reads as what happened
    """A photograph was uploaded, and the visitor did not say that the person in it agrees."""


def read(path: str | Path | None, session: Session, consented: bool, what: str = "photograph") -> np.ndarray:
    """Open an upload, (h, w, 3) uint8.

    What was made in the session may be used again, and the example heads, which show nobody, without being asked.

    Args:
        path: of the file.
        session: the visitor's.
        consented: whether the visitor agreed to `CONSENT`.
        what: it is, for messages; the file's own name is never shown or logged.

    Raises:
        ValueError: nothing was uploaded.
        ConsentMissing: without consent.
        PromptRefused: the policy refuses the file's name.
        ImageError: no usable picture.
    """
    if not path:
        raise ValueError(f"{what}: none yet; upload one first")
    is_ours = session.owns(path) or examples.is_example(path)
    if not (consented or is_ours):
        raise ConsentMissing(f"{what}: tick the box about consent first")
    if not is_ours:
        _check_name(Path(path).stem)
    return open_image(Path(path), name=what)


def read_all(
    paths: Sequence[str | Path], session: Session, consented: bool, what: str = "photograph"
) -> list[np.ndarray]:
    """Open several uploads, one at least, as `read` does."""
    if not paths:
        raise ValueError(f"{what}: none yet; upload one first")
    return [read(path, session, consented, what) for path in paths]


def _check_name(stem: str) -> None:
    refused = policy.check(_NUMBERS.sub(" ", stem))
    if refused is not None and refused.category in _NAMED:
        raise policy.PromptRefused(refused)
