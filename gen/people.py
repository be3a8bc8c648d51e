"""What recipes that look for their identities before they make pictures have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from faces import provenance, vocabulary
from faces.provenance import GENERATED
from gen import anchors, axes, balance, checks, models, seeds
from gen.axes import Axes
from gen.drawn import DrawnRecipe
from gen.portraits import Studio, facts
from gen.prior import IdentityPrior
from gen.sample import Progress, Step

HAIR_STYLES = ("short", "cropped", "tousled", "afro", "long", "ponytail")
"""Those that anybody may wear and that hide no eye; the vocabulary has more."""
IDENTITY_AXES: Axes = {
    "gender": {"woman": 1, "man": 1},
    "age_band": dict.fromkeys(vocabulary.AGE_BANDS, 1),
    "skin_tone": dict.fromkeys(vocabulary.SKIN_TONES, 1),
    "hair_colour": dict.fromkeys(vocabulary.HAIR_COLOURS, 1),
    "hair_style": dict.fromkeys(HAIR_STYLES, 1),
}
_WANTED_RATE, _MAX_RATE = 0.02, 0.0015
"""Shares of the pairs of training identities that are more alike than identities of a small set should, and may, be."""
_WANTED_PAIRS, _MAX_PAIRS = 4.0, 1.0
"""The same for a large set, as a number per identity of it: it has to stand closer."""
_STRANGERS = 2e-4
"""Share of the pairs of different training identities that are more alike than a picture and its reference."""


class PeopleRecipe(DrawnRecipe):
    """A recipe of identities that belong to nobody, found before the first picture."""

    identity_axes: Axes = IDENTITY_AXES
    """What the looks of the identities are balanced over: axis -> values, or values with weights."""
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

    @field_validator("identity_axes", mode="before")
    @classmethod
    def _weigh_identities(cls, given: Any) -> Any:
        return axes.weighted(given)

    @model_validator(mode="after")
    def _known_identities(self) -> PeopleRecipe:
        axes.check("identity_axes", self.identity_axes, self._refuse)
        return self

    @property
    @abstractmethod
    def people(self) -> int:
        """Number of identities."""

    @abstractmethod
    def portrait_looks(self, traits: Mapping[str, Any]) -> dict[str, Any]:
        """What the first portraits of an identity show, by its traits."""

    @property
    def portrait_negative(self) -> str:
        """What the first portraits of an identity shall not show, in words."""
        return ""

    def identities(self) -> list[anchors.Slot]:
        """Plan who is made: one slot an identity."""
        traits = balance.combinations(
            self.identity_axes, self.people, seeds.stream(self.seed, "identity axes")
        )
        return [
            anchors.Slot(
                id=f"id{index:06d}", prompt=self.prompt(self.portrait_looks(looks)), traits=looks,
                negative=self.portrait_negative,
            )
            for index, looks in enumerate(traits)
        ]  # fmt: skip

    def prepare(self, out: Path, progress: Progress | None = None, workers: int = 1) -> None:
        """Find the identities."""
        slots = self.identities()
        if anchors.are_found(slots, out):
            return
        studio, prior = self.studio(), IdentityPrior.load(models.folder(self.model))
        rules = anchors.Rules(
            seed=self.seed,
            max_similarity=self._limit(prior),
            wanted_similarity=prior.cosine_at(min(_WANTED_RATE, _WANTED_PAIRS / self.people)),
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
                progress(Step(stage="identities", done=tally["kept"], total=self.people, **tally))

        def origin(identity_id: str, seed: int) -> provenance.Provenance:
            return provenance.Provenance(
                digital_source_type=GENERATED,
                pipeline=shared["generator"],
                model=shared["model"],
                model_sha256=shared["model_sha256"],
                seed=seed,
                steps=self.steps,
                prompt_sha256=None,
                extra={"recipe": self.kind, "identity_id": identity_id, "role": "anchor"},
            )

        anchors.find(slots, rules, studio, prior, out, self.batch_size, origin, report, workers)

    def studio(self) -> Studio:
        """Load the pipeline with the settings of the recipe."""
        return Studio.load(self.model, **self.drawing)

    def least_similarity(self) -> float:
        """Least cosine between a picture and its reference; what few strangers reach where no setting says it."""
        if self.thresholds.similarity is not None:
            return self.thresholds.similarity
        return IdentityPrior.load(models.folder(self.model)).cosine_at(_STRANGERS)

    def _limit(self, prior: IdentityPrior) -> float:
        if self.max_similarity is not None:
            return self.max_similarity
        return prior.cosine_at(min(_MAX_RATE, _MAX_PAIRS / self.people))

    def _training_limit(self, prior: IdentityPrior) -> float:
        given = self.max_training_similarity
        return prior.neighbour_at(0.95) if given is None else given

    def _refuse(self, name: str, value: Any) -> None:
        """Raise ValueError when no prompt can say it."""
        self.prompt({name: value})
