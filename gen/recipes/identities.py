"""New synthetic identities, each in many pictures: `mien generate identities`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from faces import captions, provenance, vocabulary
from gen import anchors, axes, balance, checks, models, seeds
from gen.axes import Axes
from gen.plan import PlanRow
from gen.portraits import PortraitMaker, Studio, facts
from gen.prior import IdentityPrior
from gen.recipe import Recipe
from gen.sample import Progress, Step

SAME = "same"
"""Value of an image axis: as the identity has it."""

HAIR_STYLES = ("short", "cropped", "tousled", "afro", "long", "ponytail")
"""Those that anybody may wear and that hide no eye; the vocabulary has more."""
IDENTITY_AXES: Axes = {
    "gender": {"woman": 1, "man": 1},
    "age_band": dict.fromkeys(vocabulary.AGE_BANDS, 1),
    "skin_tone": dict.fromkeys(vocabulary.SKIN_TONES, 1),
    "hair_colour": dict.fromkeys(vocabulary.HAIR_COLOURS, 1),
    "hair_style": dict.fromkeys(HAIR_STYLES, 1),
}
IMAGE_AXES: Axes = {
    "pose": dict.fromkeys(vocabulary.POSES, 1),
    "expression": dict.fromkeys(vocabulary.EXPRESSIONS, 1),
    "light": dict.fromkeys(vocabulary.LIGHTS, 1),
    "age_band": {SAME: 9, **dict.fromkeys(vocabulary.AGE_BANDS, 1)},
    "hair_colour": {SAME: 12, **dict.fromkeys(vocabulary.HAIR_COLOURS, 1)},
    "hair_style": {SAME: 15, **dict.fromkeys(HAIR_STYLES, 1)},
}
_WANTED_RATE, _MAX_RATE = 0.02, 0.0015
"""Shares of the pairs of training identities that are more alike than identities of a small set should, and may, be."""
_WANTED_PAIRS, _MAX_PAIRS = 4.0, 1.0
"""The same for a large set, as a number per identity of it: it has to stand closer."""
_STRANGERS = 2e-4
"""Share of the pairs of different training identities that are more alike than a picture and its reference."""


class IdentitiesRecipe(Recipe):
    """Identities that belong to nobody, balanced over rendered looks, in varied pictures."""

    kind: ClassVar[str] = "identities"
    version: ClassVar[int] = 4
    stages: ClassVar[tuple[str, ...]] = (*checks.PICTURE_STAGES, *checks.IDENTITY_STAGES)

    ids: int = Field(default=50, ge=1, le=1_000_000)
    images_per_id: int = Field(default=10, ge=1, le=10_000)
    attempts: int = Field(default=3, ge=1, le=10)
    steps: int = Field(default=20, ge=1, le=1000)
    guidance: float = Field(default=2.5, ge=1, le=30)
    guidance_rescale: float = Field(default=0.7, ge=0, le=1)
    """Against overexposure, which drawing from a drawn portrait would add to."""
    identity_scale: float = Field(default=1.0, ge=0, le=2)
    words: str = Field(default="", max_length=200)
    """Free words that follow every prompt."""
    negative_prompt: str = Field(default="", max_length=200)
    identity_axes: Axes = IDENTITY_AXES
    """What the looks of the identities are balanced over: axis -> values, or values with weights."""
    image_axes: Axes = IMAGE_AXES
    """What the pictures of the identities are balanced over; "same" keeps what the identity has."""
    thresholds: checks.Thresholds = checks.Thresholds()
    max_similarity: float | None = Field(default=None, ge=-1, le=1)
    """Largest cosine between two identities. By default what 0.15 % (in sets of more than 666: 1 / ids) of the
    pairs of different training identities exceed; the first candidates have to stay below what 2 % exceed."""
    max_training_similarity: float | None = Field(default=None, ge=-1, le=1)
    """Largest cosine to a training identity. By default the 95 % quantile of what a training identity has to
    its nearest other one: nobody is nearer to them than they are to each other."""
    candidates: int = Field(default=100, ge=1, le=1000)
    """Portraits tried for an identity before the run stops."""
    drawings: int = Field(default=4, ge=1, le=32)
    """Pictures of a new identity of which the most typical becomes its reference: more make the pictures of an
    identity more like its reference."""

    @field_validator("identity_axes", "image_axes", mode="before")
    @classmethod
    def _weigh(cls, given: Any) -> Any:
        return axes.weighted(given)

    @field_validator("words", "negative_prompt")
    @classmethod
    def _adults_only(cls, text: str) -> str:
        captions.refuse_minors(text)
        return text

    @model_validator(mode="after")
    def _known_values(self) -> IdentitiesRecipe:
        axes.check("identity_axes", self.identity_axes, self._refuse)
        axes.check("image_axes", self.image_axes, self._refuse_change)
        return self

    def title(self) -> str:
        """One line for people."""
        return f"{self.ids} synthetic identities x {self.images_per_id} images"

    def identities(self) -> list[anchors.Slot]:
        """Plan who is made: one slot an identity, its portrait frontal, neutral, in soft light."""
        traits = balance.combinations(self.identity_axes, self.ids, seeds.stream(self.seed, "identity axes"))
        return [
            anchors.Slot(id=f"id{index:06d}", prompt=self._prompt(_anchor_look(looks)), traits=looks)
            for index, looks in enumerate(traits)
        ]

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
                        prompt=self._prompt(looks),
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

    def prepare(self, out: Path, progress: Progress | None = None, workers: int = 1) -> None:
        """Find the identities."""
        slots = self.identities()
        if anchors.are_found(slots, out):
            return
        studio, prior = self.studio(), IdentityPrior.load(models.folder(self.model))
        rules = anchors.Rules(
            seed=self.seed,
            max_similarity=self._limit(prior),
            wanted_similarity=prior.cosine_at(min(_WANTED_RATE, _WANTED_PAIRS / self.ids)),
            max_training_similarity=self._training_limit(prior),
            attempts=self.candidates,
            drawings=self.drawings,
            limits=self.thresholds,
        )
        tally = {"kept": 0, "rejected": 0}
        shared = facts(studio)

        def report(kept: int, rejected: int) -> None:
            tally["kept"] += kept
            tally["rejected"] += rejected
            if progress:
                progress(Step(stage="identities", done=tally["kept"], total=self.ids, **tally))

        def origin(identity_id: str, seed: int) -> provenance.Provenance:
            return provenance.Provenance(
                digital_source_type="trainedAlgorithmicMedia",
                pipeline=shared["generator"],
                model=shared["model"],
                model_sha256=shared["model_sha256"],
                seed=seed,
                steps=self.steps,
                prompt_sha256=None,
                extra={"recipe": self.kind, "identity_id": identity_id, "role": "anchor"},
            )

        anchors.find(slots, rules, studio, prior, out, self.batch_size, origin, report, workers)

    def maker(self, out: Path) -> PortraitMaker:
        """Load the pipeline and the identities in a worker."""
        prior = IdentityPrior.load(models.folder(self.model))
        least = self.thresholds.similarity
        limits = self.thresholds.model_copy(
            update={"similarity": prior.cosine_at(_STRANGERS) if least is None else least}
        )
        return PortraitMaker(self.studio(), anchors.load(out), limits)

    def _changes(self) -> list[dict[str, Any]]:
        """What each picture varies, in the order of the rows."""
        count = self.ids * self.images_per_id
        return balance.combinations(self.image_axes, count, seeds.stream(self.seed, "image axes"))

    def studio(self) -> Studio:
        """Load the pipeline with the settings of the recipe."""
        return Studio.load(
            self.model,
            steps=self.steps,
            guidance=self.guidance,
            guidance_rescale=self.guidance_rescale,
            identity_scale=self.identity_scale,
        )

    def _limit(self, prior: IdentityPrior) -> float:
        if self.max_similarity is not None:
            return self.max_similarity
        return prior.cosine_at(min(_MAX_RATE, _MAX_PAIRS / self.ids))

    def _training_limit(self, prior: IdentityPrior) -> float:
        given = self.max_training_similarity
        return prior.neighbour_at(0.95) if given is None else given

    def _refuse(self, name: str, value: Any) -> None:
        """Raise ValueError when no prompt can say it."""
        self._prompt({name: value})

    def _refuse_change(self, name: str, value: Any) -> None:
        if value != SAME:
            self._refuse(name, value)
        elif name not in self.identity_axes:
            raise ValueError(f"image_axes: '{name}' may be 'same' only where identity_axes has it too")

    def _prompt(self, looks: Mapping[str, Any]) -> str:
        text = captions.prompt(**looks)
        return f"{text}, {self.words}" if self.words else text


def _anchor_look(traits: Mapping[str, Any]) -> dict[str, Any]:
    return {**traits, "pose": "frontal", "expression": "neutral", "light": "soft"}
