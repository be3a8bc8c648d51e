"""All that can be said about a finished dataset, gathered once for README, report and Croissant file."""

from __future__ import annotations

import collections
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen import anchors, checks, duplicates, layouts, shards, waterfall
from gen.axes import ordered
from gen.duplicates import Duplicate
from gen.origin import RENDERS, Origin
from gen.plan import Plan
from gen.record import AXES, Entry, column
from gen.writers import WRITERS

_REPEATING = ("makeup", "after", "stylised")
"""Roles of pictures that repeat another one, and shall."""


@dataclass(kw_only=True)
class Overview:
    """A finished dataset."""

    plan: Plan
    out: Path
    records: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    duplicates: list[Duplicate]
    anchors: list[anchors.Anchor]

    @classmethod
    def of(cls, plan: Plan, out: Path) -> Overview:
        """Read a dataset once, without keeping its pictures."""
        records: list[dict[str, Any]] = []

        def pictures() -> Iterable[tuple[str, np.ndarray]]:
            for entry in WRITERS[plan.recipe.format].read(out / "data", plan.recipe.name):
                records.append(entry.record)
                if entry.record["role"] not in _REPEATING:
                    yield entry.key, decode(entry.png)

        found = list(duplicates.find(pictures()))
        people = anchors.load(out).values() if (out / anchors.FOLDER).is_dir() else ()
        return cls(
            plan=plan, out=out, records=records, rejected=shards.rejected_rows(out), duplicates=found,
            anchors=list(people),
        )  # fmt: skip

    @cached_property
    def axes(self) -> dict[str, dict[str, int]]:
        """Axis -> value -> kept samples, for the axes that the recipe asked for."""
        found = {}
        for name in (*AXES, "style_id", "edit"):
            values = [record[column(name)] for record in self.records]
            if any(value is not None for value in values):
                present = sorted({value for value in values if value is not None}, key=str)
                planned = {row.requested.get(name) for row in self.plan.rows} - {None}
                names = list(dict.fromkeys([*ordered(name, planned), *present]))
                found[name] = {str(value): values.count(value) for value in names}
        return found

    @cached_property
    def funnel(self) -> list[tuple[str, int, int]]:
        """Check, attempts that reach it, attempts that it turns down."""
        kept: list[str | None] = [None] * len(self.records)
        found = kept + [row["rejected_by"] for row in self.rejected]
        return checks.waterfall(found, self.plan.recipe.stages)

    @cached_property
    def cells(self) -> list[waterfall.Table]:
        """What became of the attempts in every cell of the axes that the recipe names for it."""
        return waterfall.tables(self.plan, self.records, self.rejected)

    @cached_property
    def labels(self) -> dict[str, dict[str, int]]:
        """Intended label -> label -> kept samples; empty where a recipe labels nothing."""
        found: dict[str, dict[str, int]] = {}
        for record in self.records:
            if record["label"] is not None:
                row = found.setdefault(record["label_intended"], {})
                row[record["label"]] = row.get(record["label"], 0) + 1
        names = ordered("expression", {*found, *(name for row in found.values() for name in row)})
        return {one: {other: found[one].get(other, 0) for other in names} for one in names if one in found}

    @property
    def rendered(self) -> bool:
        """Whether no picture was made by a trained model."""
        return all(record["digital_source_type"] == "algorithmicMedia" for record in self.records)

    @property
    def origin(self) -> Origin:
        """Where the pictures come from, in sentences."""
        return RENDERS if self.records and self.rendered else self.plan.recipe.origin

    @cached_property
    def layout(self) -> dict[str, Any]:
        """What the textures of the set have in common, see `gen.layouts`; empty where there are none."""
        return layouts.read(self.out)

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe as it is shown: models by their names, not by places on the machine that made the set."""
        settings = self.plan.recipe.settings()
        return settings | {name: Path(settings[name]).name for name in self.plan.recipe.places}

    @property
    def identities(self) -> int:
        """Number of identities with at least one picture."""
        return len({record["identity_id"] for record in self.records})

    @property
    def missing(self) -> int:
        """Planned samples that no attempt could fill."""
        return len(self.plan.rows) - len(self.records)

    def measured(self, name: str, *, once: bool = False) -> np.ndarray:
        """All values of a measurement that exist; `once` of each identity, where its pictures share it."""
        records = (
            {record["identity_id"]: record for record in self.records}.values() if once else self.records
        )
        values = [record[f"measured_{name}"] for record in records]
        return np.array([value for value in values if value is not None], np.float64)

    def nearest_identities(self, count: int) -> list[tuple[anchors.Anchor, anchors.Anchor, float]]:
        """Pairs of identities that are most alike to the encoder."""
        if len(self.anchors) < 2:
            return []
        vectors = np.stack([anchor.embedding for anchor in self.anchors])
        pairs: list[tuple[float, int, int]] = []
        for index in range(1, len(vectors)):
            cosines = vectors[:index] @ vectors[index]
            pairs.append((float(cosines.max()), index, int(cosines.argmax())))
        pairs.sort(reverse=True)
        return [
            (self.anchors[first], self.anchors[second], cosine) for cosine, first, second in pairs[:count]
        ]

    def pictures(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """Read chosen pictures, (h, w, 3) uint8 each."""
        return {key: decode(entry.png) for key, entry in self.entries(keys).items()}

    def entries(self, keys: Iterable[str]) -> dict[str, Entry]:
        """Read chosen samples."""
        wanted = set(keys)
        found = {}
        for entry in WRITERS[self.plan.recipe.format].read(self.out / "data", self.plan.recipe.name):
            if entry.key in wanted:
                found[entry.key] = entry
                if len(found) == len(wanted):
                    break
        return found

    def summary(self) -> dict[str, Any]:
        """The counts, for programs."""
        return {
            "plan": self.plan.digest, "recipe": self.settings, "planned": len(self.plan.rows),
            "kept": len(self.records), "missing": self.missing, "rejected_attempts": len(self.rejected),
            "identities": self.identities, "axes": self.axes,
            "waterfall": [{"check": name, "in": count, "out": lost} for name, count, lost in self.funnel],
            "duplicates": dict(collections.Counter(row.kind for row in self.duplicates)),
            "cells": {table.name: table.rows() for table in self.cells}, "labels": self.labels,
            **({"layout": self.layout} if self.layout else {}),
        }  # fmt: skip


def decode(png: bytes) -> np.ndarray:
    """Pixels of a PNG of ours, (h, w, 3) uint8."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))
