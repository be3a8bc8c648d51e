"""Textures of nobody's head in several styles, all of one layout: `mien generate textures`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from gen import models, seeds, texture_checks, textures
from gen.origin import TEXTURES, Origin
from gen.plan import PlanRow
from gen.recipe import Recipe
from gen.sample import Progress
from pipelines.texture.styles import STYLES

if TYPE_CHECKING:
    from gen.textures import TextureMaker
    from pipelines.texture.pipeline import TexturePipeline


class TexturesRecipe(Recipe):
    """New people, each the same in every style, with views that show a part of the texture."""

    kind: ClassVar[str] = "textures"
    version: ClassVar[int] = 1
    stages: ClassVar[tuple[str, ...]] = tuple(texture_checks.CASCADE)
    origin: ClassVar[Origin] = TEXTURES

    people: int = Field(default=200, ge=1, le=100_000)
    """Textures that are drawn, each of somebody new."""
    styles: tuple[str, ...] = Field(default=STYLES, min_length=1)
    """What each is shown in: a list, or names between commas."""
    thresholds: texture_checks.TextureThresholds = texture_checks.TextureThresholds()
    steps: int = Field(default=16, ge=1, le=1000)
    strength: float = Field(default=0.3, ge=0, le=1)
    """Of the refinement at the end, see `TexturePipeline`."""
    attempts: int = Field(default=3, ge=1, le=10)
    batch_size: int = Field(default=4 * len(STYLES), ge=1, le=256)
    """Rows of whole people; by default those of four."""

    @field_validator("styles", mode="before")
    @classmethod
    def _known_styles(cls, given: Any) -> Any:
        names = _names(given)
        if names is None:
            return given
        unknown = [name for name in names if name not in STYLES]
        if unknown:
            raise ValueError(f"unknown {', '.join(map(str, unknown))}, permitted: {', '.join(STYLES)}")
        return tuple(name for name in STYLES if name in names)  # equal sets in another order are equal plans

    @model_validator(mode="before")
    @classmethod
    def _whole_people(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "batch_size" in given:
            return given
        names = _names(given.get("styles"))
        return given if not names else {**given, "batch_size": 4 * min(len(set(names)), len(STYLES))}

    @model_validator(mode="after")
    def _check_batches(self) -> TexturesRecipe:
        if self.batch_size % len(self.styles):
            raise ValueError(
                f"batch_size is {self.batch_size}, expected a multiple of the {len(self.styles)} styles"
            )
        return self

    def title(self) -> str:
        """One line for people."""
        count = len(self.styles)
        return f"{self.people} synthetic facial textures in {count} style{'s' if count > 1 else ''}"

    def rows(self) -> list[PlanRow]:
        """Plan every texture: of each person all styles."""
        return [
            self._row(textures.person_id(number), variant, style)
            for number in range(self.people)
            for variant, style in enumerate(self.styles)
        ]

    def smaller(self, count: int) -> TexturesRecipe:
        """Fewer people in all styles."""
        return self.model_copy(update={"people": max(1, count // len(self.styles))})

    def notes(self) -> str:
        """What a row holds."""
        return textures.explained(self.styles)

    def models(self) -> dict[str, str]:
        """Hash the files of the model, and those of the analysis where it looks for faces."""
        found = models.bundled("texture") if self.model == "mini" else models.within("texture", self.model)
        return found | ({} if self.thresholds.face_score is None else models.bundled("perception"))

    def prepare(self, out: Path, progress: Progress | None = None, workers: int = 1) -> None:
        """Write the layout and the head that all textures are for."""
        from gen import layouts

        if not layouts.is_written(out):
            layouts.write(out, self.pipeline())

    def maker(self, out: Path) -> TextureMaker:
        """Load the pipeline in a worker."""
        return textures.TextureMaker(
            self.pipeline(),
            self.thresholds,
            seed=self.seed,
            people=self.people,
            attempts=self.attempts,
            steps=self.steps,
            strength=self.strength,
        )

    def pipeline(self) -> TexturePipeline:
        """Load what draws textures."""
        return textures.load_pipeline(self.model)

    def _row(self, person: str, variant: int, style: str) -> PlanRow:
        name = textures.picture_id(person, style)
        return PlanRow(
            id=name,
            identity_id=person,
            variant=variant,
            seed=seeds.sample_seed(self.seed, name),
            prompt="",
            requested={"style_id": style},
            role=textures.role(style),
        )


def _names(styles: Any) -> list[Any] | None:
    """Read a list, or names between commas; None for anything else."""
    if isinstance(styles, str):
        return [name.strip() for name in styles.split(",")]
    return list(styles) if isinstance(styles, list | tuple) else None
