"""Pictures of planned expressions, read and labelled."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from faces import vocabulary
from gen import captioning, checks, labels, seeds
from gen.plan import PlanRow
from gen.portraits import NOT_FINITE, Look, Studio, facts, rounded
from gen.prior import TRAITS, IdentityPrior
from gen.record import AXES
from gen.sample import Sample
from pipelines.portrait.conditioning import IdentityConditioning

if TYPE_CHECKING:
    from faces.readings import FaceReading


def load_studio(model: str, **settings: Any) -> Studio:
    """Load "mini", a folder or a hub id as a pipeline of expressions; `settings` as for `Studio`."""
    from faces.analysis import FaceAnalyzer
    from pipelines.device import best_device
    from pipelines.expression.pipeline import ExpressionPipeline

    pipe = ExpressionPipeline.from_pretrained(model).to(best_device())
    return Studio(pipe, FaceAnalyzer.from_pretrained("mini", embed=False), **settings)


class ExpressionMaker:
    """Makes the planned pictures.

    Args:
        studio: with an `ExpressionPipeline`.
        prior: where identities come from.
        limits: of the checks.
        labeller: decides labels; None takes every picture for what was intended.
        seed: of the dataset: an identity is a function of it, of its name and of its looks.
        **drawing: `unit_scale`, `semantic_scale` and `semantic_start` of the pipeline.
    """

    def __init__(
        self,
        studio: Studio,
        prior: IdentityPrior,
        limits: checks.ExpressionThresholds,
        labeller: labels.Labeller | None,
        *,
        seed: int,
        **drawing: float,
    ) -> None:
        self.studio = studio
        self.prior = prior
        self.limits = limits
        self.labeller = labeller
        self.seed = seed
        self.drawing = drawing
        self.condition = functools.lru_cache(maxsize=256)(self._condition)
        self.facts = {**facts(studio), **drawing}

    def make(self, rows: Sequence[PlanRow]) -> list[Sample]:
        """Make one batch, read it and check it."""
        images = self.studio.make(
            [row.prompt for row in rows],
            [row.negative_prompt for row in rows],
            [self.condition(row.identity_id, _traits(row)) for row in rows],
            [row.seed for row in rows],
            action_units=[row.action_units for row in rows],
            expression=[row.requested["expression"] for row in rows],
            unit_start=0.0,  # every picture is of somebody new: there is nothing that has to stay as it is
            **self.drawing,
        )
        finite = [bool(np.isfinite(image).all()) for image in images]
        looks = [
            self.studio.look(image, embed=False) if usable else None
            for image, usable in zip(images, finite, strict=True)
        ]
        found = self._labels(rows, looks)
        return [
            self._sample(row, look, label) if look
            else Sample(row=row, rejected_by="error", reason=NOT_FINITE, failed=True)
            for row, look, label in zip(rows, looks, found, strict=True)
        ]  # fmt: skip

    def _condition(self, identity_id: str, traits: tuple[tuple[str, Any], ...]) -> IdentityConditioning:
        """Draw an identity, alone: the same numbers whoever shares its batch."""
        drawn = self.prior.sample(seeds.stream(self.seed, identity_id), dict(traits))
        return self.studio.condition_on_embedding(drawn)

    def _labels(self, rows: Sequence[PlanRow], looks: Sequence[Look | None]) -> list[dict[str, Any]]:
        """Columns of the label for each row; none where there is no face to read."""
        intended = [row.requested["expression"] for row in rows]
        if self.labeller is None:
            return [labels.unchecked(name) for name in intended]
        seen = [
            (place, look.image, look.face)
            for place, look in enumerate(looks)
            if look and look.face is not None
        ]
        places, images, faces = zip(*seen, strict=True) if seen else ((), (), ())
        decided = self.labeller(images, faces, [intended[place] for place in places])
        found: list[dict[str, Any]] = [{} for _ in rows]
        for place, columns in zip(places, decided, strict=True):
            found[place] = columns
        return found

    def _sample(self, row: PlanRow, look: Look, label: dict[str, Any]) -> Sample:
        measured = dict(look.measured)
        if look.face is not None:
            measured |= readings(look.face)
        rejected_by, reason = checks.verdict({**measured, **label}, self.limits)
        return Sample(
            row=row,
            image=look.image,
            measured=measured,
            labels=label,
            caption=describe(row, label.get("label")),
            landmarks=look.landmarks,
            parsing=look.parsing,
            rejected_by=rejected_by,
            reason=reason,
        )


def readings(face: FaceReading) -> dict[str, Any]:
    """What is measured of an expression, by the names that records have for it."""
    return rounded(
        {
            "action_units": [face.action_units[name] for name in vocabulary.UNIT_COLUMNS],
            "valence": face.valence, "arousal": face.arousal, "age_years": face.age_years,
            "quality": face.quality, "open_set": face.open_set,
        }
    )  # fmt: skip


def describe(row: PlanRow, label: str | None) -> str:
    """Caption a picture by its label; under another label than intended it does not show the requested units."""
    looks = {name: value for name, value in row.requested.items() if name in AXES}
    intended = looks["expression"]
    shown = label or intended
    return captioning.caption({**looks, "expression": shown}, row.action_units if shown == intended else None)


def _traits(row: PlanRow) -> tuple[tuple[str, Any], ...]:
    """What the prior may know of a person."""
    return tuple((axis, row.requested[axis]) for axis in TRAITS if axis in row.requested)
