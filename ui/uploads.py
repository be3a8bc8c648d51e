"""Photographs that visitors upload: opened within limits, noted for deletion, and only with consent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faces.images import open_image
from ui.session import Session

CONSENT = (
    "The photographs show me, or people who agreed to this use of them. They stay on this machine and are deleted when "
    "I leave."
)
"""What a visitor agrees to before a photograph is used."""


class ConsentMissing(ValueError):  # noqa: N818 - it reads as what happened
    """A photograph was uploaded, and the visitor did not say that the person in it agrees."""


def read(path: str | Path | None, session: Session, consented: bool, what: str = "photograph") -> np.ndarray:
    """Open an upload, (h, w, 3) uint8.

    Args:
        path: of the uploaded file; deleted when the session ends.
        session: the visitor's.
        consented: whether the visitor agreed to `CONSENT`.
        what: it is, for messages; the file's own name is never shown or logged.

    Raises:
        ValueError: nothing was uploaded.
        ConsentMissing: without consent.
        ImageError: no usable picture.
    """
    if not path:
        raise ValueError(f"{what}: none yet; upload one first")
    session.uploads.add(Path(path))
    if not consented:
        raise ConsentMissing(f"{what}: tick the box about consent first")
    return open_image(Path(path), name=what)


def read_all(
    paths: Sequence[str | Path], session: Session, consented: bool, what: str = "photograph"
) -> list[np.ndarray]:
    """Open several uploads, one at least, as `read` does."""
    if not paths:
        raise ValueError(f"{what}: none yet; upload one first")
    return [read(path, session, consented, what) for path in paths]
