"""Finished shards: the JSON that marks one as done, and how a later run recognises it."""

from __future__ import annotations

import collections
import io
import json
import platform
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from gen import atomic
from gen.plan import PlanItem
from gen.record import Entry
from gen.sample import Sample


class ShardConflict(ValueError):  # noqa: N818 - it reads as what happened
    """A shard in the folder belongs to another plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardStats:
    """What became of the rows of one shard; the only thing that travels back from a worker."""

    index: int
    planned: int
    kept: int
    rejected: int
    """Attempts that were turned down; a row may count more than once."""
    reasons: dict[str, int]
    """Check -> attempts that it turned down."""


def seal(
    out: Path, item: PlanItem, files: Sequence[Path], entries: Sequence[Entry], rejected: Sequence[Sample]
) -> ShardStats:
    """Write the completion marker of a shard whose files are all in place."""
    reasons = collections.Counter(sample.rejected_by for sample in rejected)
    stats = ShardStats(
        index=item.index, planned=item.count, kept=len(entries), rejected=len(rejected),
        reasons={str(check): count for check, count in sorted(reasons.items(), key=str)},
    )  # fmt: skip
    hashes = {
        file.relative_to(out).as_posix(): atomic.sha256(file) for path in files for file in _files(path)
    }
    atomic.write_json(
        marker(out, item),
        {"plan": item.digest, "stem": item.stem, **asdict(stats), "sha256": hashes, "made_with": made_with()},
    )
    return stats


def finished(out: Path, item: PlanItem, verify: bool = True) -> ShardStats | None:
    """Recognise a finished shard: its marker names this plan and (verify) every file has the recorded hash.

    Raises:
        ShardConflict: the marker names another plan.
    """
    path = marker(out, item)
    try:
        found = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if found.get("plan") != item.digest:
        raise ShardConflict(
            f"{path}: belongs to another plan than {out}/plan/plan.json; move it away or overwrite"
        )
    files = found["sha256"]
    whole = not verify or all(
        (out / name).is_file() and atomic.sha256(out / name) == value for name, value in files.items()
    )
    return ShardStats(**{key: found[key] for key in ShardStats.__dataclass_fields__}) if whole else None


def marker(out: Path, item: PlanItem) -> Path:
    """Path of a shard's completion marker."""
    return out / "data" / f"{item.stem}.json"


def write_rejected(out: Path, item: PlanItem, rejected: Sequence[Sample]) -> list[Path]:
    """Record the rejected samples of a shard with their reasons, and small pictures of them."""
    lines = io.StringIO()
    thumbnails = out / "rejected" / item.stem
    shutil.rmtree(thumbnails, ignore_errors=True)
    paths = [out / "rejected" / f"{item.stem}.jsonl"]
    for sample in rejected:
        name = f"{sample.row.id}-{sample.row.attempt}.jpg"
        row = {"id": sample.row.id, "identity_id": sample.row.identity_id, "attempt": sample.row.attempt}
        row |= {"seed": sample.row.seed, "rejected_by": sample.rejected_by, "reason": sample.reason}
        row |= {"failed": sample.failed, "caption": sample.row.prompt, "requested": sample.row.requested}
        row |= {"measured": sample.measured, "labels": sample.labels, "picture": None}
        if sample.image is not None:
            row["picture"] = f"{item.stem}/{name}"
            atomic.write_bytes(thumbnails / name, thumbnail(sample.image))
            paths.append(thumbnails / name)
        lines.write(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n")
    atomic.write_bytes(paths[0], lines.getvalue().encode())
    return paths


def rejected_rows(out: Path) -> list[dict[str, Any]]:
    """Read the rejected samples of all shards."""
    files = sorted((out / "rejected").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def thumbnail(image: np.ndarray, side: int = 128) -> bytes:
    """Encode a small JPEG of an (h, w, 3) uint8 image."""
    scale = min(1.0, side / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[
        1
    ].tobytes()


def made_with() -> dict[str, str]:
    """Versions and processor: the same plan may differ in a last bit on other ones."""
    return {
        "python": platform.python_version(), "torch": torch.__version__, "diffusers":
        metadata.version("diffusers"), "numpy": np.__version__, "machine": platform.machine(),
    }  # fmt: skip


def pending(out: Path, items: Iterable[PlanItem]) -> tuple[list[PlanItem], list[ShardStats]]:
    """Part shards into those to make and those that are done."""
    todo, done = [], []
    for item in items:
        stats = finished(out, item)
        if stats is None:
            todo.append(item)
        else:
            done.append(stats)
    return todo, done


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
