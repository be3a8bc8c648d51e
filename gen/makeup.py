"""Pairs of a dataset: bare portraits, and the same made up."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from faces import captions, vocabulary
from faces.makeup import BARE, LAYERS, REGIONS, MakeupLook
from faces.metrics import landmark_error
from faces.provenance import COMPOSITE
from gen import checks, looks, seeds
from gen.plan import PlanRow
from gen.portraits import NOT_FINITE, Gallery, Look, Studio, facts, made_by, rounded
from gen.record import AXES
from gen.sample import Sample
from pipelines.makeup.regions import region_masks

if TYPE_CHECKING:
    from gen.anchors import Anchor
    from pipelines.makeup.pipeline import MakeupPipeline


def load_painter(model: str, studio: Studio) -> MakeupPipeline:
    """Load "mini", a folder or a hub id as a pipeline of makeup that sees faces as the studio does."""
    from pipelines.device import best_device
    from pipelines.makeup.pipeline import MakeupPipeline

    painter = MakeupPipeline.from_pretrained(model).to(best_device())
    painter.analyzer = studio.analyzer
    return painter


@dataclass(frozen=True, kw_only=True, slots=True)
class BarePicture:
    """What all pictures of an identity are painted on, and the verdict of the checks on it."""

    look: Look
    measured: dict[str, Any]
    landmarks: np.ndarray
    """(68, 2), see `MakeupMaker.landmarks`."""
    masks: np.ndarray
    """(h, w, 3) uint8: weights of the regions in the order of `REGIONS`."""
    facts: dict[str, Any] = field(default_factory=dict)
    rejected_by: str | None = None
    reason: str = ""


class MakeupMaker:
    """Makes the planned pictures.

    Args:
        studio: that painted the portraits of the identities.
        painter: puts makeup on and takes it off.
        anchors: the identities; their references become bare pictures.
        styles: name -> look.
        limits: of the checks.
        seed: of the dataset: a bare picture is a function of it and of its identity.
        steps: of the painter's scheduler.
        strength: of the looks.
        removals: times that removing makeup from a portrait is tried.
    """

    def __init__(
        self,
        studio: Studio,
        painter: MakeupPipeline,
        anchors: Mapping[str, Anchor],
        styles: Mapping[str, MakeupLook],
        limits: checks.MakeupThresholds,
        *,
        seed: int,
        steps: int,
        strength: float,
        removals: int,
    ) -> None:
        side = next(iter(anchors.values())).image.shape[0]
        if painter.frame_size != side:
            raise ValueError(
                f"makeup_model paints frames of {painter.frame_size} px, model draws portraits of {side} px; "
                "choose two of one size"
            )
        self.studio = studio
        self.painter = painter
        self.anchors = anchors
        self.gallery = Gallery(anchors)
        self.styles = styles
        self.bare_limits = limits
        self.limits = limits.model_copy(update={"makeup": 1.0})
        self.seed = seed
        self.steps = steps
        self.strength = strength
        self.removals = removals
        self.bare = functools.lru_cache(maxsize=64)(self._bare)
        self.facts = facts(studio)
        self.painted = {
            **made_by(painter, steps), "guidance_scale": None, "guidance_rescale": None, "identity_scale": None,
            "makeup_strength": strength, "digital_source_type": COMPOSITE,
        }  # fmt: skip
        painter.set_progress_bar_config(disable=True)

    def make(self, rows: Sequence[PlanRow]) -> list[Sample]:
        """Make one batch and check it."""
        bare = {row.identity_id: self.bare(row.identity_id) for row in rows}
        wanted = [row for row in rows if row.role == "makeup" and not bare[row.identity_id].rejected_by]
        made = self.paint(
            [bare[row.identity_id].look.image for row in wanted],
            [self.styles[row.requested["style_id"]] for row in wanted],
            [row.seed for row in wanted],
            self.strength,
        )
        pictures = {row.id: picture for row, picture in zip(wanted, made, strict=True)}
        return [
            self._bare_sample(row, bare[row.identity_id]) if row.role == "bare"
            else self._sample(row, bare[row.identity_id], pictures.get(row.id))
            for row in rows
        ]  # fmt: skip

    def paint(
        self,
        frames: Sequence[np.ndarray],
        wanted: Sequence[MakeupLook],
        noise: Sequence[int],
        strength: float = 1.0,
    ) -> list[np.ndarray]:
        """Put looks on frames (h, w, 3) uint8, each from its own seed; floats in 0..1, or not finite."""
        if not frames:
            return []
        output = self.painter(
            image=list(frames),
            makeup=list(wanted),
            strength=strength,
            num_inference_steps=self.steps,
            generator=[seeds.noise_generator(seed) for seed in noise],
            aligned=True,
            output_type="np",
            return_dict=False,
        )
        return output[0]

    def landmarks(self, image: np.ndarray) -> np.ndarray:
        """Read 68 landmarks of a frame, the mean over it and its mirror image: half of a reader's whims cancel out."""
        both = np.stack([image, image[:, ::-1]])
        straight, mirrored = (face.landmarks for face in self.studio.analyzer.analyze_aligned(both))
        return (straight + vocabulary.flip_landmarks(mirrored, image.shape[1])) / 2

    def _bare(self, identity_id: str) -> BarePicture:
        """Make the bare picture of an identity, alone: its portrait, without what makeup it wears."""
        anchor = self.anchors[identity_id]
        found = self._checked(anchor, anchor.image, {"seed": anchor.facts["seed"]})
        if found.rejected_by != "bare":
            return found
        for number in range(self.removals):
            seed = seeds.sample_seed(self.seed, identity_id, "bare", number)
            (image,) = self.paint([anchor.image], [BARE], [seed])
            found = self._checked(anchor, image, {**self.painted, "makeup_strength": 1.0, "seed": seed})
            if not found.rejected_by:
                break
        return found

    def _checked(self, anchor: Anchor, image: np.ndarray, made: dict[str, Any]) -> BarePicture:
        look = self.studio.look(image)
        measured = _measured(look) | self.gallery.compare(anchor.id, look.embedding)
        rejected_by, reason = checks.verdict(measured, self.bare_limits)
        source = {
            "pair_id": looks.picture_id(anchor.id, looks.BARE_STYLE), "source_seed": anchor.facts["seed"],
            "source_model_sha256": self.facts["model_sha256"],
        }  # fmt: skip
        (face,) = self.studio.analyzer.analyze_aligned(look.image[None])
        return BarePicture(
            look=look,
            measured=measured,
            landmarks=self.landmarks(look.image),
            masks=_stored(region_masks(face.parsing, face.landmarks)),
            facts={**made, **source},
            rejected_by=rejected_by,
            reason=reason,
        )

    def _bare_sample(self, row: PlanRow, bare: BarePicture) -> Sample:
        return Sample(
            row=row,
            image=bare.look.image,
            measured=bare.measured,
            facts=bare.facts,
            caption=describe(row, BARE),
            landmarks=bare.look.landmarks,
            parsing=bare.look.parsing,
            rejected_by=bare.rejected_by,
            reason=bare.reason,
        )

    def _sample(self, row: PlanRow, bare: BarePicture, picture: np.ndarray | None) -> Sample:
        if picture is None:
            reason = f"its bare picture was turned down by '{bare.rejected_by}': {bare.reason}"
            return Sample(row=row, rejected_by=checks.PAIR, reason=reason)
        if not np.isfinite(picture).all():
            return Sample(row=row, rejected_by="error", reason=NOT_FINITE, failed=True)
        look, style = self.studio.look(picture), self.styles[row.requested["style_id"]]
        measured = (
            _measured(look)
            | self.gallery.compare(row.identity_id, look.embedding, bare.look.embedding)
            | self._differences(look.image, bare)
        )
        rejected_by, reason = checks.verdict(measured, self.limits)
        source = {name: bare.facts[name] for name in ("pair_id", "source_seed", "source_model_sha256")}
        return Sample(
            row=row,
            image=look.image,
            measured=measured,
            facts={**self.painted, **source, **looks.columns(style)},
            caption=describe(row, style),
            landmarks=look.landmarks,
            parsing=look.parsing,
            masks=bare.masks,
            rejected_by=rejected_by,
            reason=reason,
        )

    def _differences(self, image: np.ndarray, bare: BarePicture) -> dict[str, Any]:
        """Measure what differs between the pictures of a pair."""
        change = np.abs(image.astype(np.float64) - bare.look.image) / 255
        inside = bare.masks.any(axis=2)
        drift = landmark_error(self.landmarks(image)[None], bare.landmarks[None])[0]
        return rounded(
            {
                "landmark_drift": float(drift),
                "outside_difference": float(change[~inside].max(initial=0)),
                "inside_difference": float(change[inside].mean()) if inside.any() else 0.0,
            }
        )


def describe(row: PlanRow, look: MakeupLook) -> str:
    """Caption a picture by what was asked for and what it wears."""
    shown = {name: value for name, value in row.requested.items() if name in AXES}
    return captions.prompt(**shown, makeup=[name for name in LAYERS if name in look.layers])


def _measured(look: Look) -> dict[str, Any]:
    worn = {} if look.face is None else {"makeup": look.face.attributes["makeup"]}
    return look.measured | rounded(worn)


def _stored(masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Weights as bytes, rounded up: 0 is where nothing may change."""
    return np.stack([np.ceil(masks[name] * 255) for name in REGIONS], axis=2).astype(np.uint8)
