"""New faces, bare and in styles of makeup that all of them share: `mien generate makeup`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from faces import captions, vocabulary
from faces.makeup import LAYERS
from gen import anchors, checks, looks, models, seeds
from gen.axes import Axes
from gen.people import IDENTITY_AXES, PeopleRecipe
from gen.plan import PlanRow

if TYPE_CHECKING:
    from gen.makeup import MakeupMaker
    from gen.portraits import Studio
    from pipelines.makeup.pipeline import MakeupPipeline

FACE_AXES: Axes = {
    **IDENTITY_AXES,
    "pose": {"slightly left": 1, "frontal": 2, "slightly right": 1},
    "expression": {"neutral": 2, "happy": 1},
    "light": dict.fromkeys(vocabulary.LIGHTS, 1),
}
NO_MAKEUP = ", ".join(captions.wording("makeup", layer) for layer in LAYERS)
"""What portraits shall not show."""


class MakeupRecipe(PeopleRecipe):
    """Pairs: each identity bare and in every style, with the colours of each layer and masks of the regions."""

    kind: ClassVar[str] = "makeup"
    version: ClassVar[int] = 1
    stages: ClassVar[tuple[str, ...]] = (
        checks.PAIR, *checks.PICTURE_STAGES, *checks.IDENTITY_STAGES, *checks.MAKEUP_STAGES,
    )  # fmt: skip
    places: ClassVar[tuple[str, ...]] = ("model", "makeup_model")

    faces: int = Field(default=50, ge=1, le=1_000_000)
    """Identities."""
    styles: int = Field(default=5, ge=1, le=255)
    """Styles of makeup, the same on every identity."""
    attempts: int = Field(default=3, ge=1, le=10)
    batch_size: int = Field(default=6, ge=1, le=256)
    """By default all pictures of one identity."""
    negative_prompt: str = Field(default=NO_MAKEUP, max_length=200)
    identity_axes: Axes = FACE_AXES
    """What the portraits are balanced over: axis -> values, or values with weights."""
    drawings: int = Field(default=1, ge=1, le=32)
    """As in the recipe of identities; one is enough where all pictures are painted on it."""
    thresholds: checks.MakeupThresholds = checks.MakeupThresholds()
    makeup_model: str = "mini"
    """"mini", a folder or a hub id, as for `MakeupPipeline.from_pretrained`."""
    makeup_steps: int = Field(default=8, ge=1, le=1000)
    strength: float = Field(default=1.0, gt=0, le=2)
    removals: int = Field(default=3, ge=0, le=100)
    """Times that removing makeup is tried where a portrait wears some."""

    @model_validator(mode="before")
    @classmethod
    def _whole_identities(cls, given: Any) -> Any:
        if isinstance(given, dict) and "batch_size" not in given and isinstance(given.get("styles"), int):
            return {**given, "batch_size": min(1 + max(0, given["styles"]), 256)}
        return given

    @property
    def people(self) -> int:
        """Number of identities."""
        return self.faces

    @property
    def portrait_negative(self) -> str:
        """What the portraits shall not show, in words."""
        return self.negative_prompt

    def portrait_looks(self, traits: Mapping[str, Any]) -> dict[str, Any]:
        """Traits include what the portrait shows; without glasses, which makeup would paint over."""
        return {"pose": "frontal", "expression": "neutral", "light": "soft", "glasses": False, **traits}

    def title(self) -> str:
        """One line for people."""
        return f"{self.faces} synthetic faces, bare and in {self.styles} styles of makeup"

    def rows(self) -> list[PlanRow]:
        """Plan every picture: of each identity the bare one first, then all styles."""
        names = [looks.BARE_STYLE, *map(looks.style_id, range(self.styles))]
        return [
            self._row(slot, variant, style)
            for slot in self.identities()
            for variant, style in enumerate(names)
        ]  # fmt: skip

    def smaller(self, count: int) -> MakeupRecipe:
        """Fewer identities in all styles."""
        return self.model_copy(update={"faces": max(1, count // (1 + self.styles))})

    def balanced(self) -> dict[str, tuple[list[dict[str, Any]], dict[str, dict[Any, float]]]]:
        """The portraits."""
        return {"portraits": ([slot.traits for slot in self.identities()], self.identity_axes)}

    def cells(self) -> list[tuple[str, ...]]:
        """The style, and each axis alone."""
        return [("style_id",), *((name,) for name in self.identity_axes)]

    def notes(self) -> str:
        """What the pairs and styles are."""
        return looks.explained(looks.styles(self.seed, self.styles))

    def models(self) -> dict[str, str]:
        """Hash the files of both models, and those of the analysis, which finds regions and checks pairs."""
        if self.makeup_model == "mini":
            painter = models.bundled("makeup")
        else:
            painter = models.within("makeup", self.makeup_model)
        return super().models() | painter | models.bundled("perception")

    def maker(self, out: Path) -> MakeupMaker:
        """Load both pipelines and the identities in a worker."""
        from gen.makeup import MakeupMaker

        studio = self.studio()
        limits = self.thresholds.model_copy(update={"similarity": self.least_similarity()})
        return MakeupMaker(
            studio,
            self.painter(studio),
            anchors.load(out),
            looks.styles(self.seed, self.styles),
            limits,
            seed=self.seed,
            steps=self.makeup_steps,
            strength=self.strength,
            removals=self.removals,
        )

    def painter(self, studio: Studio) -> MakeupPipeline:
        """Load the pipeline that makes faces up."""
        from gen.makeup import load_painter

        return load_painter(self.makeup_model, studio)

    def _row(self, slot: anchors.Slot, variant: int, style: str) -> PlanRow:
        name = looks.picture_id(slot.id, style)
        return PlanRow(
            id=name,
            identity_id=slot.id,
            variant=variant,
            seed=seeds.sample_seed(self.seed, name),
            prompt=slot.prompt,
            negative_prompt=slot.negative,
            requested={**self.portrait_looks(slot.traits), "style_id": style},
            role="bare" if style == looks.BARE_STYLE else "makeup",
        )
