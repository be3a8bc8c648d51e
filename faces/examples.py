"""Heads to try things on: held-out renders, nobody's photographs, which no network of Mien was trained on."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "data" / "heads"


def heads() -> list[Path]:
    """Their files, 256 x 256 pixels each."""
    return sorted(FOLDER.glob("*.webp"))


def is_example(path: str | Path) -> bool:
    """Whether a file is one of them."""
    return Path(path).resolve().parent == FOLDER.resolve()
