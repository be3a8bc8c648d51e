"""Running means on the device, and the file metrics.jsonl. Nothing waits for the device between log rows."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator


class Meter:
    """Means of scalars since the last row, kept as sums on the device and reduced over processes when read.

    Every process has to add the same names.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.sums: dict[str, torch.Tensor] = {}

    def add(self, values: Mapping[str, torch.Tensor | float]) -> None:
        """Add one value of each name."""
        for name, value in values.items():
            value = value.detach().float() if isinstance(value, torch.Tensor) else torch.tensor(float(value))
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def state(self, accelerator: Accelerator) -> dict[str, Any]:
        """Return counts and sums, averaged over the processes; every process has to call it."""
        if not self.sums:
            return {"counts": {}, "sums": {}}
        values = torch.stack([value.to(accelerator.device) for value in self.sums.values()])
        if accelerator.num_processes > 1:
            values = accelerator.reduce(values, reduction="mean")
        return {"counts": dict(self.counts), "sums": dict(zip(self.sums, values.tolist(), strict=True))}

    def load(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take over what `state` gave: a resumed run then writes the row the uninterrupted one would have."""
        self.counts = dict(state["counts"])
        self.sums = {name: torch.tensor(value, device=device) for name, value in state["sums"].items()}

    def means(self, accelerator: Accelerator) -> dict[str, float]:
        """Return the means as numbers and start afresh; this is where the loop waits for the device."""
        state = self.state(accelerator)
        self.counts, self.sums = {}, {}
        return {name: value / state["counts"][name] for name, value in state["sums"].items()}


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add one line to metrics.jsonl."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of metrics.jsonl; a last line that a kill cut short is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def truncate(path: Path, step: int) -> None:
    """Drop the rows after `step`: the resumed run writes them again."""
    kept = [row for row in read(path) if row["step"] <= step]
    temporary = path.with_suffix(".partial")
    temporary.write_text("".join(json.dumps(row) + "\n" for row in kept))
    os.replace(temporary, path)
