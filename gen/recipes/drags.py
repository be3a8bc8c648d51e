"""Rendered heads before and after an edit, with true flow and drags: `mien generate drags`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from faces import captions, vocabulary
from faces.head.motion import KINDS
from gen import axes, balance, drags, heads, seeds
from gen.axes import Axes
from gen.origin import RENDERS, Origin
from gen.plan import PlanRow
from gen.recipe import Recipe

if TYPE_CHECKING:
    from gen.drags import DragMaker

HEAD_AXES: Axes = {
    "gender": {"woman": 1, "man": 1},
    "age_band": dict.fromkeys(vocabulary.AGE_BANDS, 1),
    "skin_tone": dict.fromkeys(vocabulary.SKIN_TONES, 1),
}


class DragsRecipe(Recipe):
    """Pairs of pictures of heads that a renderer knows all about, each head in one pair."""

    kind: ClassVar[str] = "drags"
    version: ClassVar[int] = 1
    stages: ClassVar[tuple[str, ...]] = tuple(drags.CASCADE)
    sheet: ClassVar[str] = "edit"
    origin: ClassVar[Origin] = RENDERS

    pairs: int = Field(default=200, ge=1, le=1_000_000)
    """Heads, each before and after an edit."""
    size: int = Field(default=256, ge=128, le=1024)
    """Pixels of a side."""
    edits: dict[str, float] = Field(default=dict.fromkeys(KINDS, 1.0), min_length=1)
    """What happens to heads: kinds, or kinds with weights."""
    axes: Axes = HEAD_AXES
    """What heads are balanced over, jointly with the edit: axis -> values, or values with weights."""
    thresholds: drags.DragThresholds = drags.DragThresholds()
    attempts: int = Field(default=6, ge=1, le=10)
    batch_size: int = Field(default=8, ge=2, le=256, multiple_of=2)
    """Pictures of whole pairs."""
    model: Literal["makehuman-cc0"] = heads.MODEL
    """The only one whose flow is known."""
    makehuman: str = Field(default="", exclude=True)
    """MakeHuman's data folder, MIEN_MAKEHUMAN when empty. No setting: its files stand for it, and no file names it."""

    @field_validator("edits", mode="before")
    @classmethod
    def _weigh_edits(cls, given: Any) -> Any:
        return axes.weighted({"edits": given})["edits"]

    @field_validator("axes", mode="before")
    @classmethod
    def _weigh_axes(cls, given: Any) -> Any:
        return axes.canonical(axes.weighted(given))

    @model_validator(mode="after")
    def _known(self) -> DragsRecipe:
        unknown = sorted(set(self.edits) - set(KINDS))
        if unknown:
            raise ValueError(f"edits: unknown {', '.join(unknown)}, permitted: {', '.join(KINDS)}")
        balance.combinations({"edits": self.edits}, 1, seeds.stream(0))
        axes.check("axes", self.axes, _refuse)
        return self

    def title(self) -> str:
        """One line for people."""
        return f"{self.pairs} pairs of rendered heads with true flow and drags"

    def rows(self) -> list[PlanRow]:
        """Plan every picture: of each pair the one before its edit, then the one after."""
        return [
            PlanRow(
                id=drags.picture_id(name, role),
                identity_id=name,
                variant=variant,
                seed=seeds.sample_seed(self.seed, drags.picture_id(name, role)),
                prompt="",
                requested=wanted,
                role=role,
            )
            for name, wanted in self._wanted().items()
            for variant, role in enumerate(drags.ROLES)
        ]

    def smaller(self, count: int) -> DragsRecipe:
        """Fewer pairs."""
        return self.model_copy(update={"pairs": max(1, count // 2)})

    def balanced(self) -> dict[str, tuple[list[dict[str, Any]], dict[str, dict[Any, float]]]]:
        """The pairs, over edits and axes jointly."""
        return {"pairs": (list(self._wanted().values()), {"edit": self.edits, **self.axes})}

    def cells(self) -> list[tuple[str, ...]]:
        """The edit, alone and with each axis."""
        return [("edit",), *(("edit", name) for name in self.axes)]

    def notes(self) -> str:
        """What the labels are, and how to score with them."""
        return drags.explained()

    def models(self) -> dict[str, str]:
        """Hash the assets of the heads."""
        return heads.fingerprint(self.makehuman)

    def maker(self, out: Path) -> DragMaker:
        """Load the renderer in a worker."""
        assets = json.dumps(self.models(), sort_keys=True).encode()
        return drags.DragMaker(
            self.heads(),
            self.thresholds,
            seed=self.seed,
            model_sha256=hashlib.sha256(assets).hexdigest(),
        )

    def heads(self) -> heads.Heads:
        """Open the renderer, one a process."""
        return heads.RenderedHeads(self.makehuman, self.seed, self.size)

    def _wanted(self) -> dict[str, dict[str, Any]]:
        """What each pair shows: its name -> edit and axes."""
        drawn = balance.combinations(
            {"edit": self.edits, **self.axes}, self.pairs, seeds.stream(self.seed, "pairs")
        )
        return {f"head{number:06d}": wanted for number, wanted in enumerate(drawn)}


def _refuse(name: str, value: Any) -> None:
    """Raise ValueError for axes that are drawn freely, and for values that no head has."""
    if name not in HEAD_AXES:
        raise ValueError(f"axes: '{name}' is drawn freely, permitted: {', '.join(HEAD_AXES)}")
    if value not in HEAD_AXES[name]:
        captions.prompt(**{name: value})  # refuses minors by name
        raise ValueError(f"{name} is {value!r}, permitted: {', '.join(map(str, HEAD_AXES[name]))}")
