"""New synthetic identities, each in many pictures: `mien generate identities`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from faces import vocabulary
from gen import anchors, axes, balance, checks, seeds
from gen.axes import Axes
from gen.people import HAIR_STYLES, PeopleRecipe
from gen.plan import PlanRow
from gen.portraits import PortraitMaker

SAME = "same"
"""Value of an image axis: as the identity has it."""

IMAGE_AXES: Axes = {
    "pose": dict.fromkeys(vocabulary.POSES, 1),
    "expression": dict.fromkeys(vocabulary.EXPRESSIONS, 1),
    "light": dict.fromkeys(vocabulary.LIGHTS, 1),
    "age_band": {SAME: 9, **dict.fromkeys(vocabulary.AGE_BANDS, 1)},
    "hair_colour": {SAME: 12, **dict.fromkeys(vocabulary.HAIR_COLOURS, 1)},
    "hair_style": {SAME: 15, **dict.fromkeys(HAIR_STYLES, 1)},
}


class IdentitiesRecipe(PeopleRecipe):
    """Identities that belong to nobody, balanced over rendered looks, in varied pictures."""

    kind: ClassVar[str] = "identities"
    version: ClassVar[int] = 4
    stages: ClassVar[tuple[str, ...]] = (*checks.PICTURE_STAGES, *checks.IDENTITY_STAGES)

    ids: int = Field(default=50, ge=1, le=1_000_000)
    images_per_id: int = Field(default=10, ge=1, le=10_000)
    attempts: int = Field(default=3, ge=1, le=10)
    image_axes: Axes = IMAGE_AXES
    """What the pictures of the identities are balanced over; "same" keeps what the identity has."""

    @field_validator("image_axes", mode="before")
    @classmethod
    def _weigh_images(cls, given: Any) -> Any:
        return axes.weighted(given)

    @model_validator(mode="after")
    def _known_images(self) -> IdentitiesRecipe:
        axes.check("image_axes", self.image_axes, self._refuse_change)
        return self

    def title(self) -> str:
        """One line for people."""
        return f"{self.ids} synthetic identities x {self.images_per_id} images"

    @property
    def people(self) -> int:
        """Number of identities."""
        return self.ids

    def portrait_looks(self, traits: Mapping[str, Any]) -> dict[str, Any]:
        """As the identity is, frontal, neutral, in soft light."""
        return {**traits, "pose": "frontal", "expression": "neutral", "light": "soft"}

    def rows(self) -> list[PlanRow]:
        """Plan every picture: the looks of its identity, changed by what the image axes ask for."""
        changes = self._changes()
        rows = []
        for slot in self.identities():
            for variant in range(self.images_per_id):
                change = {name: value for name, value in changes[len(rows)].items() if value != SAME}
                looks = {**slot.traits, **change}
                name = f"{slot.id}_{variant:05d}"
                rows.append(
                    PlanRow(
                        id=name,
                        identity_id=slot.id,
                        variant=variant,
                        seed=seeds.sample_seed(self.seed, name),
                        prompt=self.prompt(looks),
                        negative_prompt=self.negative_prompt,
                        requested=looks,
                    )
                )
        return rows

    def smaller(self, count: int) -> IdentitiesRecipe:
        """Four pictures each of fewer identities."""
        images = min(self.images_per_id, 4)
        return self.model_copy(update={"ids": max(1, count // images), "images_per_id": images})

    def balanced(self) -> dict[str, tuple[list[dict[str, Any]], dict[str, dict[Any, float]]]]:
        """Identities and pictures, each over its own axes."""
        return {
            "identities": ([slot.traits for slot in self.identities()], self.identity_axes),
            "pictures": (self._changes(), self.image_axes),
        }

    def cells(self) -> list[tuple[str, ...]]:
        """Each axis alone."""
        return [(name,) for name in {**self.identity_axes, **self.image_axes}]

    def maker(self, out: Path) -> PortraitMaker:
        """Load the pipeline and the identities in a worker."""
        limits = self.thresholds.model_copy(update={"similarity": self.least_similarity()})
        return PortraitMaker(self.studio(), anchors.load(out), limits)

    def _changes(self) -> list[dict[str, Any]]:
        """What each picture varies, in the order of the rows."""
        count = self.ids * self.images_per_id
        return balance.combinations(self.image_axes, count, seeds.stream(self.seed, "image axes"))

    def _refuse_change(self, name: str, value: Any) -> None:
        if value != SAME:
            self._refuse(name, value)
        elif name not in self.identity_axes:
            raise ValueError(f"image_axes: '{name}' may be 'same' only where identity_axes has it too")
