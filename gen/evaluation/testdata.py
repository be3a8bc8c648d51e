"""Where evaluation finds what it measures on: tests/data of the clone, or a folder that is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gen

LABELS = "labels.parquet"


def find(
    what: str,
    name: str,
    data: Path | None = None,
    *,
    within: Sequence[str] = ("",),
    file: str = LABELS,
    how: str,
) -> Path:
    """Find a folder that holds a file.

    Args:
        what: it is, for the message.
        name: of the folder below tests/data.
        data: a folder instead of that one.
        within: where in `data` it may lie.
        file: what makes it the folder.
        how: to come by it, for the message.

    Raises:
        FileNotFoundError: naming the places searched and what to do.
    """
    roots = (Path(gen.__file__).parents[1] / "tests/data", Path("tests/data"))
    places = [data / part for part in within] if data else [root / name for root in roots]
    for place in places:
        if (place / file).is_file():
            return place
    raise FileNotFoundError(f"{what}: no {file} in {' and '.join(map(str, places))}: {how}")
