"""Portraits of planned people: the one place where datasets touch the pipeline and the face analysis."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from faces import alignment, provenance, vocabulary
from faces.provenance import GENERATED
from gen import checks, models, recognition, seeds
from gen.plan import PlanRow
from gen.sample import Sample
from pipelines.portrait.conditioning import IdentityConditioning
from pipelines.portrait.references import Reference

if TYPE_CHECKING:
    from faces.analysis import FaceAnalysis, FaceAnalyzer
    from gen.anchors import Anchor
    from pipelines.face_pipeline import FacePipeline
    from pipelines.portrait.pipeline import PortraitPipeline

DIGITS = 6
"""Decimals of measurements: the last bits of a float are no measurement."""
NOT_FINITE = "the model gave numbers that are not finite, its weights are damaged"
_LEAST_SCORE = 0.5
"""Share of the face's outline that must parse as face where the detector sees none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """A picture and what is seen on it."""

    image: np.ndarray
    """(h, w, 3) uint8."""
    measured: dict[str, Any] = field(default_factory=dict)
    landmarks: np.ndarray | None = None
    parsing: np.ndarray | None = None
    embedding: np.ndarray | None = None
    """(E,) of length 1; None unless exactly one face is found."""
    face: FaceAnalysis | None = None
    """All that is known of the largest face; None where none is found."""


class Studio:
    """A loaded pipeline with its settings, and the analysis of what it makes."""

    def __init__(
        self,
        pipe: PortraitPipeline,
        analyzer: FaceAnalyzer,
        *,
        steps: int,
        guidance: float,
        guidance_rescale: float = 0.0,
        identity_scale: float,
        recognizer: torch.nn.Module | None = None,
    ):
        self.pipe = pipe
        self.recognizer = recognizer
        self.analyzer = analyzer
        self.steps = steps
        self.guidance = guidance
        self.guidance_rescale = guidance_rescale
        self.identity_scale = identity_scale
        pipe.set_progress_bar_config(disable=True)

    @classmethod
    @functools.lru_cache(maxsize=1)
    def load(cls, model: str, **settings: Any) -> Studio:
        """Load "mini", a folder or a hub id; the last one loaded is kept."""
        from faces.analysis import FaceAnalyzer
        from pipelines.device import best_device
        from pipelines.portrait.pipeline import PortraitPipeline

        pipe = PortraitPipeline.from_pretrained(model).to(best_device())
        recognizer = recognition.load(models.folder(model))
        if recognizer is not None:
            recognizer.to(best_device())
        return cls(pipe, FaceAnalyzer.from_pretrained("mini", embed=False), recognizer=recognizer, **settings)

    def twin(self) -> Studio:
        """Return a studio with the same networks that may work beside this one: schedulers keep a state."""
        twin = copy.copy(self)
        twin.pipe = copy.copy(self.pipe)
        twin.pipe.scheduler = copy.deepcopy(self.pipe.scheduler)
        return twin

    def condition_on_embedding(self, embedding: np.ndarray) -> IdentityConditioning:
        """Condition on an identity that nobody has seen yet, an embedding (E,)."""
        return self.pipe.identity_from_embedding(torch.from_numpy(embedding)[None])

    def condition_on_picture(self, image: np.ndarray) -> IdentityConditioning:
        """Condition on a picture (h, w, 3) uint8; raises ValueError when it shows no face."""
        faces = self._faces(image)
        if not faces:
            raise ValueError("the portrait of an identity shows no face any more: its file was changed")
        return self.pipe.encode_references([_reference(image, faces[0])])

    def condition_on_look(self, look: Look) -> IdentityConditioning:
        """Condition on a picture that was measured already; raises ValueError when it shows no face."""
        if look.face is None:
            raise ValueError("the picture of an identity shows no face")
        return self.pipe.encode_references([_reference(look.image, look.face)])

    def make(
        self,
        prompts: Sequence[str],
        negative: str | Sequence[str],
        conditions: Sequence[IdentityConditioning],
        noise: Sequence[int],
        **more: Any,
    ) -> np.ndarray:
        """Generate one picture per prompt, each from its own seed.

        Args:
            prompts: n of them.
            negative: for all, or one each.
            conditions: one each.
            noise: seeds.
            **more: further arguments of the pipeline's call.

        Returns:
            (n, h, w, 3) float in [0, 1], or not finite where the model is broken.
        """
        output = self.pipe(
            prompt=list(prompts),
            negative_prompt=[negative] * len(prompts) if isinstance(negative, str) else list(negative),
            conditioning=IdentityConditioning.cat(conditions),
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            guidance_rescale=self.guidance_rescale,
            identity_scale=self.identity_scale,
            generator=[seeds.noise_generator(seed) for seed in noise],
            output_type="np",
            return_dict=False,
            **more,
        )
        return np.asarray(output[0])

    def look(self, image: np.ndarray, embed: bool = True) -> Look:
        """Measure a picture.

        Args:
            image: (h, w, 3) float in [0, 1], or uint8.
            embed: tell who it shows.

        Raises:
            ValueError: it holds numbers that are not finite.
        """
        if not np.isfinite(image).all():
            raise ValueError(NOT_FINITE)
        pixels = image if image.dtype == np.uint8 else np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
        faces = self._faces(pixels)
        measured: dict[str, Any] = {"contrast": checks.contrast(pixels), "faces_found": len(faces)}
        if not faces:
            return Look(image=pixels, measured=rounded(measured))
        face, side = faces[0], min(pixels.shape[:2])
        measured |= checks.geometry(face.landmarks)
        measured |= {
            "box_xyxy": [float(value) for value in face.box],
            "face_score": float(face.score),
            "face_size": float((face.box[2:] - face.box[:2]).min()) / side,
            "sharpness": checks.sharpness(pixels, face.box),
        }
        return Look(
            image=pixels,
            measured=rounded(measured),
            landmarks=face.landmarks,
            parsing=alignment.unalign_labels(face.parsing, face.matrix, pixels.shape[:2]),
            embedding=self._embed(pixels, face) if embed and len(faces) == 1 else None,
            face=face,
        )

    def _faces(self, pixels: np.ndarray) -> list[FaceAnalysis]:
        """Find faces; the model paints aligned frames, so where the detector sees none the frame is tried."""
        faces = self.analyzer(pixels)
        if faces or pixels.shape[0] != pixels.shape[1]:
            return faces
        return [face for face in self.analyzer.analyze_aligned(pixels[None]) if face.score >= _LEAST_SCORE]

    @torch.no_grad()
    def _embed(self, image: np.ndarray, face: FaceAnalysis) -> np.ndarray:
        """Identity embedding of length 1: the recognizer's, else that of the pipeline's own encoder."""
        pipe = self.pipe
        aligned = pipe.face_embedder is None and pipe.conditioner.config["framing"] == "aligned"
        if self.recognizer is not None or aligned:
            encoder = self.recognizer or pipe.image_encoder
            return recognition.compare(encoder, pipe.feature_extractor, face.aligned[None])[0]
        vector = pipe.encode_references([_reference(image, face)]).id_embeds[0].float().cpu().numpy()
        return vector / np.linalg.norm(vector)


class Gallery:
    """The references of all identities of a dataset, to compare pictures with."""

    def __init__(self, anchors: Mapping[str, Anchor]):
        self.positions = {name: index for index, name in enumerate(anchors)}
        self.embeddings = np.stack([anchor.embedding for anchor in anchors.values()])

    def compare(
        self, identity_id: str, embedding: np.ndarray | None, own: np.ndarray | None = None
    ) -> dict[str, float]:
        """Measure how like its own reference and how like the nearest other one a picture is.

        Args:
            identity_id: who it shall show.
            embedding: of the picture, of length 1; None where it has none, and nothing is measured.
            own: another reference of the identity, of length 1, than that of the gallery.
        """
        if embedding is None:
            return {}
        cosines, place = self.embeddings @ embedding, self.positions[identity_id]
        likeness = cosines[place] if own is None else own @ embedding
        found = {"id_sim_to_ref": float(likeness)}
        if len(cosines) > 1:
            found["id_sim_to_other"] = float(np.delete(cosines, place).max())
        return rounded(found)


class PortraitMaker:
    """Makes the planned pictures of known identities."""

    def __init__(self, studio: Studio, anchors: Mapping[str, Anchor], limits: checks.Thresholds):
        self.studio = studio
        self.anchors = anchors
        self.limits = limits
        self.gallery = Gallery(anchors)
        self.condition = functools.lru_cache(maxsize=256)(self._condition)
        self.facts = facts(studio)

    def make(self, rows: Sequence[PlanRow]) -> list[Sample]:
        """Make one batch and check it."""
        images = self.studio.make(
            [row.prompt for row in rows],
            [row.negative_prompt for row in rows],
            [self.condition(row.identity_id) for row in rows],
            [row.seed for row in rows],
        )
        return [self._sample(row, image) for row, image in zip(rows, images, strict=True)]

    def _condition(self, identity_id: str) -> IdentityConditioning:
        """Encode the source of an identity, alone: the same numbers whoever shares its batch."""
        return self.studio.condition_on_picture(self.anchors[identity_id].source)

    def _sample(self, row: PlanRow, image: np.ndarray) -> Sample:
        if not np.isfinite(image).all():
            return Sample(row=row, rejected_by="error", reason=NOT_FINITE, failed=True)
        look = self.studio.look(image)
        measured = look.measured | self.gallery.compare(row.identity_id, look.embedding)
        rejected_by, reason = checks.verdict(measured, self.limits)
        return Sample(
            row=row,
            image=look.image,
            measured=measured,
            landmarks=look.landmarks,
            parsing=look.parsing,
            rejected_by=rejected_by,
            reason=reason,
        )


def _reference(image: np.ndarray, face: FaceAnalysis) -> Reference:
    parsing = alignment.unalign_labels(face.parsing, face.matrix, image.shape[:2])
    return Reference(frame=face.aligned, frame_parsing=face.parsing, photo=image, photo_parsing=parsing)


def facts(studio: Studio) -> dict[str, Any]:
    """What every row says about how it was made."""
    return {
        **made_by(studio.pipe, studio.steps),
        "guidance_scale": studio.guidance,
        "guidance_rescale": studio.guidance_rescale,
        "identity_scale": studio.identity_scale,
        "digital_source_type": GENERATED,
        "minimum_age": vocabulary.MINIMUM_AGE,
    }


def made_by(pipe: FacePipeline, steps: int) -> dict[str, Any]:
    """What a row says about the pipeline that made it."""
    return {
        "generator": f"Mien {provenance.tool_version()} {type(pipe).__name__}",
        "model": Path(str(pipe.config.get("_name_or_path") or "unnamed")).name,
        "model_sha256": pipe.weights_sha256(),
        "scheduler": type(pipe.scheduler).__name__,
        "steps": steps,
    }


def rounded(measured: dict[str, Any]) -> dict[str, Any]:
    """The same with floats, and lists of floats, of `DIGITS` decimals."""
    return {
        key: [round(item, DIGITS) for item in value] if isinstance(value, list)
        else round(value, DIGITS) if isinstance(value, float) else value
        for key, value in measured.items()
    }  # fmt: skip
