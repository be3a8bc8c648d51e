"""Find faces in photographs with nothing to download: the Haar cascades that OpenCV ships.

Several cascades look at the picture and their overlapping hits are votes: a face gathers dozens, a chance
pattern a few. When a look finds nothing convincing, the next rung of a ladder looks harder: padded, larger,
tilted, turned.

Viola and Jones, "Rapid object detection using a boosted cascade of simple features", CVPR 2001.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

MIN_FACE = 32
"""Smallest side of a face's box in pixels of the picture."""

_FRONTAL = ("frontalface_default", "frontalface_alt", "frontalface_alt2")
_PROFILE = "profileface"
_Hit = tuple[float, float, float, float]
"""Centre x, centre y, side and votes of a square."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """A face that a detector found."""

    box: np.ndarray
    """Left, top, right, bottom in pixels of the picture, (4,): a square from forehead to chin."""
    score: float
    """0..1."""
    tilt: float = 0.0
    """Degrees by which the face is turned clockwise in the picture; the box is that of the upright face."""
    landmarks: np.ndarray | None = None
    """68 points (68, 2) in pixels, from detectors that give them."""

    @property
    def side(self) -> float:
        """Longer side of the box in pixels."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """One rung of the ladder."""

    longest: int
    """The picture is resized to this longer side before cascades see it."""
    smallest: int = 24
    """Side of the smallest face that is looked for there; cascades know none below 24 px, and time goes into
    the smallest ones."""
    padding: float = 0.0
    """Border added on every side, as a share of the picture: a face that fills the picture has room again."""
    tilts: tuple[float, ...] = (0.0,)
    votes: float = 12
    """Votes that make a face; a look that turns the picture asks for more."""
    convincing: float = 0.63
    """Score from which no further rung is tried."""


_LADDER = (
    _Look(longest=480),
    _Look(longest=240, smallest=48, padding=0.35),
    _Look(longest=1200),
    _Look(longest=320, smallest=48, padding=0.2, tilts=(-30.0, 30.0), votes=20, convincing=0.8),
    _Look(longest=320, smallest=48, padding=0.1, tilts=(90.0, -90.0, 180.0), votes=30, convincing=0.8),
)


class FaceDetector:
    """Haar cascades as one detector; deterministic, and safe to share between threads.

    Args:
        min_face: smallest side of a face in pixels of the picture.
        cascades: folder of OpenCV's `haarcascade_*.xml`; by default the one of the installed package.
    """

    def __init__(self, min_face: int = MIN_FACE, cascades: str | Path | None = None) -> None:
        """Load the cascades; raises FileNotFoundError naming one that is missing."""
        self.min_face = min_face
        folder = Path(cascades or Path(cv2.__file__).parent / "data")
        self._cascades = {name: _load(folder / f"haarcascade_{name}.xml") for name in (*_FRONTAL, _PROFILE)}
        self._lock = threading.Lock()  # a cascade keeps scratch memory while it looks

    def __call__(self, image: np.ndarray) -> list[Detection]:
        """Find the faces of a picture (h, w, 3) uint8, largest first; an empty list when there is none."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        seen: list[Detection] = []
        for look in self._ladder(max(grey.shape)):
            found = [face for tilt in look.tilts for face in self._look(grey, look, tilt)]
            if any(face.score >= look.convincing for face in found):
                return _without_overlaps(found)
            seen += found
        upright = [face for face in seen if not face.tilt]
        return _without_overlaps(upright or seen)

    def _ladder(self, longest: int) -> Iterator[_Look]:
        """Leave out the enlarged look where the first one shows the smallest face already."""
        for look in _LADDER:
            useful = longest * 1.25 * look.smallest / self.min_face
            if look.longest <= 480 or useful > 480:
                yield replace(look, longest=round(min(look.longest, max(480, useful))))

    def _look(self, picture: np.ndarray, look: _Look, tilt: float) -> list[Detection]:
        grey, back = _prepared(picture, look, tilt)
        scale = math.hypot(*back[:, 0])
        smallest = max(look.smallest, round(self.min_face / scale))
        if min(grey.shape) < smallest:
            return []
        with self._lock:
            hits = self._frontal_hits(grey, smallest)
            if tilt == 0 and all(_score(group[3]) < look.convincing for group in _grouped(hits)):
                hits += self._profile_hits(grey, smallest)
        faces = []
        for x, y, side, votes in _grouped(hits):
            centre = back[:, :2] @ (x, y) + back[:, 2]
            half = side * scale / 2
            inside = (centre >= 0).all() and (centre <= picture.shape[::-1]).all()
            if votes >= look.votes and 2 * half >= self.min_face and inside:
                box = np.array([*(centre - half), *(centre + half)], np.float32)
                faces.append(Detection(box=box, score=_score(votes), tilt=tilt))
        return faces

    def _frontal_hits(self, grey: np.ndarray, smallest: int) -> list[_Hit]:
        seen = (hit for name in _FRONTAL for hit in self._detect(name, grey, smallest))
        return [(x + side / 2, y + side / 2, side, votes) for x, y, side, votes in seen]

    def _profile_hits(self, grey: np.ndarray, smallest: int) -> list[_Hit]:
        """Hits of the cascade that knows one profile, on the picture and on its mirror image.

        Its box holds less than a frontal one, so it grows; it has no second opinion, so its votes count more.
        """
        left = self._detect(_PROFILE, grey, smallest)
        right = self._detect(_PROFILE, np.ascontiguousarray(grey[:, ::-1]), smallest)
        hits = [(x + side * 0.45, y + side / 2, side * 1.2, votes * 1.5) for x, y, side, votes in left]
        width = grey.shape[1]
        return hits + [(width - x - s * 0.45, y + s / 2, s * 1.2, votes * 1.5) for x, y, s, votes in right]

    def _detect(self, name: str, grey: np.ndarray, smallest: int) -> list[_Hit]:
        """Left, top, side, votes of one cascade."""
        boxes, votes = self._cascades[name].detectMultiScale2(
            grey, scaleFactor=1.1, minNeighbors=2, minSize=(smallest, smallest)
        )
        return sorted(
            (float(x), float(y), float(w), float(n)) for (x, y, w, _), n in zip(boxes, votes, strict=True)
        )


def _score(votes: float) -> float:
    """Map votes to 0..1: chance patterns stay below 0.5, a clear face exceeds 0.9."""
    return 1 - math.exp(-votes / 25)


def _load(path: Path) -> cv2.CascadeClassifier:
    cascade = cv2.CascadeClassifier(str(path))
    if cascade.empty():
        raise FileNotFoundError(f"{path}: no Haar cascade, reinstall opencv-python-headless 4")
    return cascade


def _prepared(grey: np.ndarray, look: _Look, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Resize, pad and turn a picture; returns it and the matrix (2, 3) back to the picture's pixels."""
    height, width = grey.shape
    scale = look.longest / max(height, width)
    inner = np.array([max(1, round(width * scale)), max(1, round(height * scale))])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(grey, tuple(map(int, inner)), interpolation=method)
    border = round(look.padding * look.longest)
    padded = cv2.copyMakeBorder(small, border, border, border, border, cv2.BORDER_REPLICATE)
    angle = math.radians(tilt)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    size = np.array(padded.shape[::-1])
    turned = np.abs(turn) @ size  # the box that holds the turned picture
    forward = np.concatenate([turn.T, (turned / 2 - turn.T @ (size / 2))[:, None]], axis=1)
    if tilt:
        shifted = forward.copy()
        shifted[:, 2] += shifted[:, :2] @ (0.5, 0.5) - 0.5
        padded = cv2.warpAffine(padded, shifted, tuple(np.ceil(turned).astype(int).tolist()), borderMode=1)
    per_pixel = np.array([width, height]) / inner
    back = np.concatenate([turn, (size / 2 - turn @ (turned / 2) - border)[:, None]], axis=1)
    return padded, back * per_pixel[:, None]


def _grouped(hits: list[_Hit]) -> list[_Hit]:
    """Merge hits of several cascades on one face: mean box weighted by votes, and the sum of votes."""
    groups: list[list[_Hit]] = []
    for hit in sorted(hits, key=lambda hit: (-hit[3], hit)):
        group = next((group for group in groups if _same_face(group[0], hit)), None)
        if group is None:
            groups.append([hit])
        else:
            group.append(hit)
    merged = []
    for group in groups:
        values = np.array(group)
        x, y, side = np.average(values[:, :3], axis=0, weights=values[:, 3])
        merged.append((float(x), float(y), float(side), float(values[:, 3].sum())))
    return merged


def _same_face(one: _Hit, other: _Hit) -> bool:
    apart = math.hypot(one[0] - other[0], one[1] - other[1])
    return apart < 0.35 * max(one[2], other[2]) and 0.5 < one[2] / other[2] < 2


def _without_overlaps(faces: list[Detection]) -> list[Detection]:
    """Sort by size, keeping the better scored of two boxes that share a good part of the smaller one."""
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: (-face.score, *face.box)):
        if all(overlap(face.box, other.box) < 0.4 for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: (-face.side, *face.box))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Shared area as a share of the smaller box."""
    width, height = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    areas = [float((box[2] - box[0]) * (box[3] - box[1])) for box in (one, other)]
    return max(0.0, float(width)) * max(0.0, float(height)) / min(areas)
