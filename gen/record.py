"""The row that every format stores for a sample: what was requested and what was measured, kept apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from faces import provenance, vocabulary
from faces.makeup import LAYERS
from gen.plan import PlanItem
from gen.sample import Sample

VERSION = "5"
"""Of the schema below; stands in every row."""

AXES: dict[str, pa.DataType] = {
    "gender": pa.string(), "age_band": pa.string(), "expression": pa.string(), "pose": pa.string(),
    "hair_style": pa.string(), "hair_colour": pa.string(), "eye_colour": pa.string(), "skin_tone": pa.int64(),
    "beard": pa.string(), "glasses": pa.bool_(), "cloth_colour": pa.string(), "light": pa.string(),
    "background": pa.string(),
}  # fmt: skip
"""What a prompt can ask for (see `faces.captions.prompt`): rendered looks, never what a person is."""

MEASURED: dict[str, pa.DataType] = {
    "box_xyxy": pa.list_(pa.float64()),
    "faces_found": pa.int64(),
    **dict.fromkeys(
        ("face_score", "face_size", "contrast", "sharpness", "yaw_deg", "roll_deg", "mouth_open", "eyes_open",
         "id_sim_to_ref", "id_sim_to_other", "valence", "arousal", "age_years", "quality", "open_set",
         "makeup", "landmark_drift", "outside_difference", "inside_difference",
         "longest_motion", "moving_share", "co_visible_share", "clipped_share", "asymmetry", "nearest_texture",
         "visible_share"),
        pa.float64(),
    ),
    "landmarks_seen": pa.int64(), "landmarks_outside": pa.int64(),
}  # fmt: skip

UNITS = pa.list_(pa.float64())
"""Intensities in the order of `vocabulary.UNIT_COLUMNS`."""

LABELS: dict[str, pa.DataType] = {
    "label": pa.string(), "label_intended": pa.string(), "label_pseudo": pa.string(),
    "label_calibrator": pa.string(), "label_analyzer": pa.string(), "label_soft": pa.list_(pa.float64()),
    "label_agreement": pa.float64(), "label_entropy": pa.float64(), "label_decision": pa.string(),
}  # fmt: skip
"""The label of a picture and all that it was decided from: see `gen.labels`."""

MAKEUP: dict[str, pa.DataType] = {
    "pair_id": pa.string(), "style_id": pa.string(), "makeup_strength": pa.float64(),
    **{f"{layer}_{part}": kind for layer in LAYERS for part, kind in
       (("colour", pa.string()), ("opacity", pa.float64()), ("spread", pa.float64()))},
    "source_seed": pa.int64(), "source_model_sha256": pa.string(),
}  # fmt: skip
"""What a face wears, and what it was painted on: see `gen.looks`."""

DRAG_COUNTS = (1, 3, 5, 10, 68)
"""Numbers of drags, each with a column of its own: the last one drags every landmark that both pictures show."""
_POINTS = pa.list_(pa.list_(pa.float64()))
MOTION: dict[str, pa.DataType] = {
    "edit": pa.string(), "target_id": pa.string(), "head_pose_deg": pa.list_(pa.float64()),
    "gaze_deg": pa.list_(pa.float64()), "target_landmarks68": pa.list_(pa.float32()), "drag_places": pa.string(),
    **{f"drags_{count}": pa.list_(_POINTS) for count in DRAG_COUNTS},
    "drag_landmarks": pa.list_(pa.int64()), "pins": _POINTS,
}  # fmt: skip
"""What happens between the two pictures of a pair, and the drags that ask for it: see `gen.drags`."""

TEXTURE: dict[str, pa.DataType] = {
    "mesh_id": pa.string(), "view_yaw_deg": pa.float64(), "view_pitch_deg": pa.float64(),
}  # fmt: skip
"""Whose texture a picture is, and the view that shows a part of it: see `gen.textures`."""

SCHEMA = pa.schema(
    [
        ("id", pa.string()), ("identity_id", pa.string()), ("variant", pa.int64()), ("split", pa.string()),
        ("role", pa.string()), ("seed", pa.int64()), ("attempt", pa.int64()), ("caption", pa.string()),
        ("prompt", pa.string()), ("negative_prompt", pa.string()),
        *((f"requested_{name}", kind) for name, kind in AXES.items()), ("au_requested", UNITS),
        *((f"measured_{name}", kind) for name, kind in MEASURED.items()), ("au_measured", UNITS),
        *LABELS.items(), *MAKEUP.items(), *MOTION.items(), *TEXTURE.items(),
        ("landmarks68", pa.list_(pa.float32())), ("phash", pa.string()), ("pixels_sha256", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int64()), ("height", pa.int64()),
        ("recipe", pa.string()), ("plan", pa.string()), ("generator", pa.string()), ("model", pa.string()),
        ("model_sha256", pa.string()), ("scheduler", pa.string()), ("steps", pa.int64()),
        ("guidance_scale", pa.float64()), ("guidance_rescale", pa.float64()), ("identity_scale", pa.float64()),
        ("unit_scale", pa.float64()), ("semantic_scale", pa.float64()), ("semantic_start", pa.float64()),
        ("licence", pa.string()), ("digital_source_type", pa.string()), ("synthetic", pa.bool_()),
        ("minimum_age", pa.int64()), ("schema_version", pa.string()),
    ]
)  # fmt: skip
"""Columns of the metadata tables, the same for every recipe; what a recipe does not have is null."""

SPLITS = (("train", 0.8), ("validation", 0.1), ("test", 0.1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One kept sample as the writers store it and the readers give it back."""

    record: dict[str, Any]
    """A value for every column of `SCHEMA`, JSON types."""
    png: bytes
    landmarks: np.ndarray | None = None
    """(68, 2) float32."""
    parsing: np.ndarray | None = None
    """(h, w) uint8."""
    masks: np.ndarray | None = None
    """(h, w, 3) uint8."""
    flow: np.ndarray | None = None
    """(h, w, 3) float32."""
    target: bytes | None = None
    """The PNG file of the other picture of a pair: the same bytes as `png` of the entry `target_id`."""
    target_parsing: np.ndarray | None = None
    """(h, w) uint8."""
    visibility: np.ndarray | None = None
    """(h, w) uint8."""
    partial: bytes | None = None
    """The PNG file of what is seen of a texture."""
    preview: bytes | None = None
    """The PNG file of a head that wears it."""

    @property
    def key(self) -> str:
        """The id of the sample."""
        return self.record["id"]


def entry(sample: Sample, item: PlanItem, facts: dict[str, Any]) -> Entry:
    """Turn a kept sample into its row and its PNG files, which carry their provenance."""
    if sample.image is None:
        raise ValueError(f"{sample.row.id}: a kept sample has no image")
    record = fields(sample, item, facts)
    png = provenance.to_png_bytes(sample.image, _provenance(record))
    record["sha256"] = hashlib.sha256(png).hexdigest()
    target = None
    if sample.target is not None:
        target = provenance.to_png_bytes(sample.target, _provenance({**record, "id": record["target_id"]}))
    partial, preview = (
        None if picture is None else provenance.to_png_bytes(picture, _provenance(record))
        for picture in (sample.partial, sample.preview)
    )
    return Entry(
        record=record, png=png, landmarks=sample.landmarks, parsing=sample.parsing, masks=sample.masks,
        flow=sample.flow, target=target, target_parsing=sample.target_parsing, visibility=sample.visibility,
        partial=partial, preview=preview,
    )  # fmt: skip


def fields(sample: Sample, item: PlanItem, facts: dict[str, Any]) -> dict[str, Any]:
    """Fill every column of `SCHEMA` except `sha256`, which needs the file."""
    row, image = sample.row, sample.image
    record: dict[str, Any] = dict.fromkeys(SCHEMA.names)
    record |= {
        "id": row.id, "identity_id": row.identity_id, "variant": row.variant, "split": split(row.identity_id),
        "role": row.role, "seed": row.seed, "attempt": row.attempt, "caption": sample.caption or row.prompt,
        "prompt": row.prompt, "negative_prompt": row.negative_prompt, "recipe": item.recipe.kind, "plan": item.digest,
        "licence": item.recipe.licence, "synthetic": True, "schema_version": VERSION,
    }  # fmt: skip
    record |= {**facts, **sample.facts}
    record |= {column(name): value for name, value in row.requested.items()}
    record |= {f"measured_{name}": value for name, value in sample.measured.items() if name != "action_units"}
    record |= {"au_measured": sample.measured.get("action_units"), **sample.labels}
    if row.action_units:
        record["au_requested"] = [row.action_units[name] for name in vocabulary.UNIT_COLUMNS]
    if image is not None:
        record |= {"phash": phash(image), "pixels_sha256": hashlib.sha256(image.tobytes()).hexdigest()}
        record |= {"width": image.shape[1], "height": image.shape[0]}
    if sample.landmarks is not None:
        record["landmarks68"] = [float(value) for value in np.float32(sample.landmarks).ravel()]
    unknown = sorted(set(record) - set(SCHEMA.names))
    if unknown:
        raise ValueError(
            f"recipe {item.recipe.kind}: record fields {', '.join(unknown)} are not in the schema"
        )
    return record


def column(axis: str) -> str:
    """Name the column of what a plan asks for: styles and edits have their own, looks are `requested_`."""
    return axis if axis in MAKEUP or axis in MOTION else f"requested_{axis}"


def complete(row: dict[str, Any]) -> dict[str, Any]:
    """Bring a stored row to the columns of `SCHEMA`: null where it was written before there was a column."""
    return {name: row.get(name) for name in SCHEMA.names}


def split(identity_id: str) -> str:
    """Assign an identity to a split by a salted hash, so that a growing set keeps it where it was."""
    share = int.from_bytes(hashlib.sha256(f"mien split {identity_id}".encode()).digest()[:4], "big") / 2**32
    for name, width in SPLITS:
        if share < width:
            return name
        share -= width
    return SPLITS[-1][0]


def phash(image: np.ndarray) -> str:
    """Perceptual hash, 256 bits as hexadecimal: signs of the low 16x16 DCT coefficients against their median.

    Args:
        image: (h, w, 3) uint8.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low = cv2.dct(cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA))[:16, :16].ravel()
    return np.packbits(low > np.median(low)).tobytes().hex()


def _provenance(record: dict[str, Any]) -> provenance.Provenance:
    """What the image itself says about its origin."""
    return provenance.Provenance(
        digital_source_type=record["digital_source_type"],
        pipeline=record["generator"],
        model=record["model"],
        model_sha256=record["model_sha256"],
        seed=record["seed"],
        steps=record["steps"],
        prompt_sha256=provenance.prompt_hash(record["prompt"]) if record["prompt"] else None,
        extra={key: record[key] for key in ("recipe", "plan", "id", "identity_id", "licence")}
        | {key: record[key] for key in ("pair_id", "style_id", "edit") if record[key] is not None},
    )
