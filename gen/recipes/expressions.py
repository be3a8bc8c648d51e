"""Facial expressions, labelled and checked: `mien generate expressions`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator, model_validator

from faces import captions, vocabulary
from faces.head.expression import PROTOTYPES
from faces.head.spec import unit_columns
from gen import axes, checks, models, seeds
from gen.axes import Axes
from gen.cast import Person, cast
from gen.drawn import DrawnRecipe
from gen.plan import PlanRow
from gen.prior import IdentityPrior

if TYPE_CHECKING:
    from gen.expressions import ExpressionMaker
    from gen.labels import Labeller
    from gen.portraits import Studio

BALANCED_AXES: Axes = {
    "age_band": dict.fromkeys(vocabulary.AGE_BANDS, 1),
    "skin_tone": dict.fromkeys(vocabulary.SKIN_TONES, 1),
    "pose": dict.fromkeys(vocabulary.POSES, 1),
}
FURTHER_AXES: Axes = {
    "gender": {"woman": 1, "man": 1},
    "hair_colour": dict.fromkeys(vocabulary.HAIR_COLOURS, 1),
    "light": dict.fromkeys(vocabulary.LIGHTS, 1),
}
_STRENGTH, _EACH, _MOST = (0.4, 1.1), (0.85, 1.15), 1.4
"""Factors of an expression's typical action units, of all and of each alone, and their limit: as heads are drawn, but
from weaker ones on, since guidance makes them stronger."""
_DIGITS = 4


class ExpressionsRecipe(DrawnRecipe):
    """The eight expressions by people who do not exist, each class by the same looks in the same poses."""

    kind: ClassVar[str] = "expressions"
    version: ClassVar[int] = 1
    stages: ClassVar[tuple[str, ...]] = (*checks.PICTURE_STAGES, *checks.EXPRESSION_STAGES)
    sheet: ClassVar[str] = "label"

    per_class: int = Field(default=500, ge=1, le=1_000_000)
    """Pictures of each expression."""
    pictures_per_identity: int = Field(default=4, ge=1, le=10_000)
    """Most pictures of one identity; 1, 2, 4 and 8 give all identities as many, each in another expression."""
    attempts: int = Field(default=3, ge=1, le=10)
    guidance: float = Field(default=2.0, ge=1, le=30)
    unit_scale: float = Field(default=0.5, ge=0, le=2)
    """Strength of the action units."""
    semantic_scale: float = Field(default=0.0, ge=0, le=100)
    """Length of a step of semantic guidance, 0 for none. It follows the network that reads labels afterwards: with it,
    the calibrator is the only reader that the pictures were not made to please."""
    semantic_start: float = Field(default=0.3, ge=0, le=1)
    """Share of the steps after which semantic guidance begins."""
    axes: Axes = BALANCED_AXES
    """Balanced jointly with the expression: axis -> values, or values with weights."""
    further_axes: Axes = FURTHER_AXES
    """Balanced as well, but not in every combination with the others."""
    thresholds: checks.ExpressionThresholds = checks.ExpressionThresholds()
    annotate: bool = True
    """Check labels; otherwise every picture is taken for what it was intended to show."""
    confidence: float = Field(default=0.6, ge=0, le=1)
    """Least probability of a label that replaces the intended one."""

    @field_validator("axes", "further_axes", mode="before")
    @classmethod
    def _weigh(cls, given: Any) -> Any:
        return axes.canonical(axes.weighted(given))

    @model_validator(mode="after")
    def _known_values(self) -> ExpressionsRecipe:
        axes.check("axes", self.axes, self._refuse)
        axes.check("further_axes", self.further_axes, self._refuse)
        twice = sorted(set(self.axes) & set(self.further_axes))
        if twice:
            raise ValueError(f"further_axes: '{twice[0]}' is balanced by axes already")
        return self

    def title(self) -> str:
        """One line for people."""
        return f"{self.per_class} synthetic pictures of each of {len(vocabulary.EXPRESSIONS)} expressions"

    def people(self) -> list[Person]:
        """Plan who is shown, in what."""
        return cast(
            vocabulary.EXPRESSIONS, self.per_class, self.pictures_per_identity, self.axes, self.further_axes,
            self.seed,
        )  # fmt: skip

    def rows(self) -> list[PlanRow]:
        """Plan every picture."""
        return [
            self._row(person, variant, {**person.looks, **picture})
            for person in self.people()
            for variant, picture in enumerate(person.pictures)
        ]

    def smaller(self, count: int) -> ExpressionsRecipe:
        """Fewer of each class."""
        return self.model_copy(update={"per_class": max(1, count // len(vocabulary.EXPRESSIONS))})

    def balanced(self) -> dict[str, tuple[list[dict[str, Any]], dict[str, dict[Any, float]]]]:
        """Pictures over the axes that are balanced jointly with the expression, people over theirs, and the rest."""
        people = self.people()
        pictures = [{**person.looks, **picture} for person in people for picture in person.pictures]
        classes: Axes = {"expression": dict.fromkeys(vocabulary.EXPRESSIONS, 1.0)}
        found = {"pictures": (pictures, {**classes, **self.axes})}
        found |= {f"{name} by expression": (pictures, {**classes, name: values})
                  for name, values in self.further_axes.items()}  # fmt: skip
        return found

    def cells(self) -> list[tuple[str, ...]]:
        """The expression with each axis."""
        return [("expression", name) for name in (*self.axes, *self.further_axes)]

    def notes(self) -> str:
        """What the labels mean."""
        from gen import labels

        return labels.explained()

    def models(self) -> dict[str, str]:
        """Hash the files of the model, and those of the analysis, which decides on labels."""
        return super().models() | models.bundled("perception")

    def maker(self, out: Path) -> ExpressionMaker:
        """Load the pipeline and the readers in a worker."""
        from gen.expressions import ExpressionMaker

        studio = self.studio()
        return ExpressionMaker(
            studio,
            IdentityPrior.load(models.folder(self.model)),
            self.thresholds,
            self.labeller(studio) if self.annotate else None,
            seed=self.seed,
            unit_scale=self.unit_scale,
            semantic_scale=self.semantic_scale,
            semantic_start=self.semantic_start,
        )

    def studio(self) -> Studio:
        """Load the pipeline with the settings of the recipe."""
        from gen.expressions import load_studio

        return load_studio(self.model, **self.drawing)

    def labeller(self, studio: Studio) -> Labeller:
        """Load what decides labels."""
        from gen.labels import Labeller

        return Labeller.load(models.folder(self.model), studio, self.confidence)

    def _row(self, person: Person, variant: int, looks: dict[str, Any]) -> PlanRow:
        name = f"{person.id}_{variant:05d}"
        return PlanRow(
            id=name,
            identity_id=person.id,
            variant=variant,
            seed=seeds.sample_seed(self.seed, name),
            prompt=self.prompt(looks),
            negative_prompt=self.negative_prompt,
            requested=looks,
            action_units=display(looks["expression"], seeds.stream(self.seed, name, "units")),
        )

    def _refuse(self, name: str, value: Any) -> None:
        """Raise ValueError for what no prompt can say, and for the expression, which is the class."""
        if name == "expression":
            raise ValueError("expression is the class, which per_class sets; it is no axis")
        captions.prompt(**{name: value})


def display(expression: str, rng: np.random.Generator) -> dict[str, float]:
    """Draw how somebody shows an expression: an intensity for each of `vocabulary.UNIT_COLUMNS`, 0 at rest."""
    strength = rng.uniform(*_STRENGTH)
    drawn = {
        unit: float(np.clip(typical * strength * rng.uniform(*_EACH), 0, _MOST))
        for unit, typical in PROTOTYPES[expression].items()
    }
    return {name: round(value, _DIGITS) for name, value in unit_columns(drawn).items()}
