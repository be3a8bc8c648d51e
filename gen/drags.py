"""Pairs of a dataset: a head before and after an edit, drags that ask for it, and checks that they can be scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from faces import captions, vocabulary
from faces.flow import decode_flow, encode_flow
from gen import handles, seeds
from gen.heads import MODEL, Heads, View
from gen.plan import PlanRow
from gen.record import AXES
from gen.sample import Sample

ROLES = ("before", "after")
"""Of the pictures of a pair; each is the target of the other."""
_DIGITS = 6

_EXPLAINED = """## Pairs, flow and drags

Each pair shows one rendered head before and after an edit, with one camera and the same lights. Both directions are
rows, of role `before` and `after` and of one `pair_id`: a row holds its picture, the other one as `target` (the picture
of the row `target_id`), and the true flow between them. `edit` says what differs: the expression, the pose of the head,
the gaze, the shape of a nose, jaw or other part, or all of it.

| | what it holds |
| --- | --- |
| `flow` | (dx, dy) from each pixel to the place of its point in `target`, a PNG of 16 bits as in KITTI: its first two \
channels are 64 times the pixels plus 32768, the third is 1 where `target` shows the point. The flow is true on the \
whole head, also where the third channel is 0, and 0 on the background |
| `drags_1`, `drags_3`, `drags_5`, `drags_10` | ((x0, y0), (x1, y1)) in pixels, each list the beginning of the next. \
They start where `drag_places` says, at pixels that move by 1/256 of the width or more |
| `drags_68` | the same for every landmark that both pictures show, moved or not, from a pixel that shows it, at most \
1/60 of the width away; `drag_landmarks` says which |
| `pins` | up to five points of the head that stay |
| `masks` | red: seen in both pictures; green: the head moves; blue: the same in both pictures, which an edit has to \
leave alone |
| `parsing`, `target_parsing` | label maps of both pictures |
| `landmarks68`, `target_landmarks68` | points of the mesh as they are projected, hidden ones too |
| `head_pose_deg`, `gaze_deg` | yaw, pitch, roll of the head; right and up of the eyes |
| `measured_longest_motion`, `measured_moving_share`, `measured_co_visible_share` | of what both pictures show: in \
pixels, of the picture, of the head |

The centre of the first pixel is at 0.5. Drags start at centres of pixels, and the true flow misses none of them. Files
beside the picture are `KEY.flow.png` and so on in a WebDataset, `NAME-00000.flow/` and so on beside a folder, columns
in Parquet. Programs that show pictures cut a flow to 8 bits: read its bytes with `faces.flow.decode_flow`, or with
OpenCV's `IMREAD_UNCHANGED`, which gives the channels backwards.

What counts as seen is seen for certain: pixels beside an edge, many of them in hair and brows, do not count. Lights
stand still, so a face that turns changes its shading: the source warped by the true flow is near the target, not equal
to it. Lashes have no flow of their own. Mien's own models learned from heads of the same assets, drawn with other
seeds: here they are at home, other methods are not.

## Scoring

A method is given the picture and `drags_1` to `drags_68`, with or without `pins`. A flow is scored by its end-point
error on the head; an edit by the mean distance of its drags, how far from its target each dragged point is found.

```python
{snippet}```

`drag_distances` has a floor, what the true target scores, and a ceiling, what doing nothing scores: give both beside a
score, or `share_left`, which is 0 for the one and 1 for the other. What `target` does not show is not scored. Beyond
drags, an edit should leave the blue mask as it is. Average over pairs and take intervals over pairs: both directions
show one head."""

SNIPPET = """from faces.flow import decode_flow
from gen.evaluation.drag_distance import drag_distances, share_left
from gen.evaluation.flow_errors import end_point_error

true_flow, seen = decode_flow(row["flow"])  # the bytes of the PNG
sources, targets = np.array(row["drags_5"]).swapaxes(0, 1)
error = end_point_error(predicted_flow, true_flow, seen)  # pixels
found, floor, ceiling = (
    drag_distances(picture, source, true_flow, seen, sources, targets) for picture in (edit, target, source)
)  # pixels, nan for points on plain skin
left = share_left(found, floor, ceiling)
"""
"""How a row is scored; it is run as a test."""


class DragThresholds(BaseModel):
    """Limits of the checks. A pair is kept when both directions pass."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    moving_share: float = Field(default=7e-4, ge=7e-4, le=1)
    """Least share of the picture that moves and that the target shows: ten drags need ten pixels at 128 px."""
    landmarks_seen: int = Field(default=10, ge=1, le=68)
    """Least number of landmarks that both pictures show."""


Check = Callable[[Mapping[str, Any], DragThresholds], str | None]


def _frame(measured: Mapping[str, Any], limits: DragThresholds) -> str | None:
    outside = measured["landmarks_outside"]
    return f"{outside} of the 68 landmarks outside the picture, none permitted" if outside else None


def _motion(measured: Mapping[str, Any], limits: DragThresholds) -> str | None:
    value = measured["moving_share"]
    if value >= limits.moving_share:
        return None
    return f"{value:.3%} of the picture move, at least {limits.moving_share:.3g} of 1 wanted"


def _co_visible(measured: Mapping[str, Any], limits: DragThresholds) -> str | None:
    value = measured["landmarks_seen"]
    if value >= limits.landmarks_seen:
        return None
    return f"{value} landmarks seen in both pictures, at least {limits.landmarks_seen} wanted"


CASCADE: dict[str, Check] = {"frame": _frame, "motion": _motion, "co-visible": _co_visible}
"""Checks in their order."""


def verdict(measured: Sequence[Mapping[str, Any]], limits: DragThresholds) -> tuple[str | None, str]:
    """Send the measurements of both directions through the cascade.

    Returns:
        The first check that turns the pair down and its reason in words; (None, "") when the pair is kept.
    """
    for name, check in CASCADE.items():
        for role, one in zip(ROLES, measured, strict=True):
            reason = check(one, limits)
            if reason:
                return name, f"{role}: {reason}"
    return None, ""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pair:
    """Both pictures and the verdict of the checks."""

    views: tuple[View, View]
    flows: tuple[np.ndarray, np.ndarray]
    """(s, s, 3) float32 as `Sample.flow`."""
    measured: tuple[dict[str, Any], dict[str, Any]]
    seed: int
    rejected_by: str | None
    reason: str


class DragMaker:
    """Makes the planned pictures.

    Args:
        heads: makes pairs.
        limits: of the checks.
        seed: of the dataset: a pair is a function of it, of its name and of the attempt.
        model_sha256: hash of the assets of the heads.
    """

    def __init__(self, heads: Heads, limits: DragThresholds, *, seed: int, model_sha256: str) -> None:
        self.heads = heads
        self.limits = limits
        self.seed = seed
        self.facts: dict[str, Any] = {
            "generator": "faces.head", "model": MODEL, "model_sha256": model_sha256,
            "digital_source_type": "algorithmicMedia", "minimum_age": vocabulary.MINIMUM_AGE,
        }  # fmt: skip

    def make(self, rows: Sequence[PlanRow]) -> list[Sample]:
        """Make one batch and check it; the two rows of a pair share its pictures and its verdict."""
        made: dict[tuple[str, int], Pair] = {}
        samples = []
        for row in rows:
            key = row.identity_id, row.attempt
            if key not in made:
                made[key] = self._pair(row)
            samples.append(self._sample(row, made[key]))
        return samples

    def _pair(self, row: PlanRow) -> Pair:
        seed = seeds.sample_seed(self.seed, row.identity_id, row.attempt)
        wanted = {name: value for name, value in row.requested.items() if name in AXES}
        views = self.heads.pair(wanted, row.requested["edit"], seeds.stream(seed, "pair"))
        flows = _stored(views[0]), _stored(views[1])
        measured = measure(views[0], flows[0], views[1]), measure(views[1], flows[1], views[0])
        rejected_by, reason = verdict(measured, self.limits)
        return Pair(
            views=views, flows=flows, measured=measured, seed=seed, rejected_by=rejected_by, reason=reason
        )

    def _sample(self, row: PlanRow, pair: Pair) -> Sample:
        side = ROLES.index(row.role)
        view, other, flow = pair.views[side], pair.views[1 - side], pair.flows[side]
        if pair.rejected_by:
            return Sample(
                row=row, image=view.image, measured=pair.measured[side], rejected_by=pair.rejected_by,
                reason=pair.reason,
            )  # fmt: skip
        drawn = handles.draw(flow, view.shown, seeds.stream(pair.seed, row.role, "handles"))
        return Sample(
            row=row,
            image=view.image,
            measured=pair.measured[side],
            facts=_looks(view.labels) | {"seed": pair.seed, "pair_id": row.identity_id},
            labels=drawn.columns() | _target(row, other),
            caption=captions.caption(view.labels, seeds.stream(pair.seed, row.role, "caption")),
            landmarks=view.landmarks,
            parsing=view.parsing,
            masks=handles.masks(flow, view.parsing > 0, other.parsing > 0),
            flow=flow,
            target=other.image,
            target_parsing=other.parsing,
        )


def explained() -> str:
    """What a datasheet says of pairs and drags, in Markdown."""
    return _EXPLAINED.format(snippet=SNIPPET)


def picture_id(pair_id: str, role: str) -> str:
    """Id of a picture of a pair."""
    return f"{pair_id}_{role}"


def measure(view: View, flow: np.ndarray, other: View) -> dict[str, Any]:
    """Measure one direction of a pair.

    Args:
        view: the picture.
        flow: (s, s, 3) as `Sample.flow`.
        other: the other picture.

    Returns:
        longest_motion in pixels and moving_share of the picture, of points that the other picture shows;
        co_visible_share of the head; landmarks_seen in both pictures; landmarks_outside of either.
    """
    size, head = flow.shape[1], view.parsing > 0
    points = np.concatenate([view.landmarks, other.landmarks])
    outside = ((points < 0) | (points > size)).any(axis=1)
    return {
        "longest_motion": round(float(handles.lengths(flow)[view.seen].max(initial=0)), _DIGITS),
        "moving_share": round(float(handles.moving(flow).mean()), _DIGITS),
        "co_visible_share": round(float(view.seen.sum() / max(1, head.sum())), _DIGITS),
        "landmarks_seen": int((view.shown >= 0).all(axis=1).sum()),
        "landmarks_outside": int(outside.reshape(2, 68).any(axis=0).sum()),
    }


def _stored(view: View) -> np.ndarray:
    """The flow as files keep it, so that drags agree with what is read from them."""
    flow, seen = decode_flow(encode_flow(view.flow, view.seen))
    return np.dstack([flow, seen.astype(np.float32)])


def _looks(labels: Mapping[str, Any]) -> dict[str, Any]:
    """What the renderer was told to show. A beard's density has no column."""
    looks = {f"requested_{name}": labels[name] for name in AXES if name != "beard"}
    return looks | {
        "au_requested": [labels["au"][name] for name in vocabulary.UNIT_COLUMNS],
        "head_pose_deg": [labels[name] for name in ("yaw", "pitch", "roll")],
        "gaze_deg": list(labels["gaze"]),
    }


def _target(row: PlanRow, other: View) -> dict[str, Any]:
    """What the record says of the other picture."""
    role = ROLES[1 - ROLES.index(row.role)]
    return {
        "target_id": picture_id(row.identity_id, role),
        "target_landmarks68": [float(value) for value in np.float32(other.landmarks).ravel()],
    }
