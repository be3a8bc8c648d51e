"""Makes the pictures of docs/perception.md and docs/expressions.md with the bundled model.

python -m mien.pictures --out docs/images [--photo photo.jpg]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from faces import alignment, captions, vocabulary
from faces.analysis import FaceAnalysis, FaceAnalyzer
from faces.images import open_image
from faces.provenance import GENERATED, Provenance, save_image
from mien import demo
from mien.tiles import tiled, write
from pipelines.expression.pipeline import ExpressionPipeline
from pipelines.expression.units import at_rest, typical_units

SWEEP = ("AU1", "AU4", "AU5", "AU43", "AU9", "AU12", "AU12L", "AU15", "AU25", "AU26")
"""Action units of the sweep, one a row."""
INTENSITIES = (0.0, 0.3, 0.6, 0.9, 1.2)
_PEOPLE: dict[str, dict[str, Any]] = {
    "head-12": {"gender": "woman", "hair_style": "long", "hair_colour": "black"},
    "head-26": {"gender": "man", "hair_style": "bald"},
    "head-34": {"gender": "woman", "hair_style": "long", "hair_colour": "black"},
    "head-39": {"gender": "woman", "hair_style": "afro", "hair_colour": "black"},
}
"""Reference -> what its prompt says of the picture, in the terms of `captions.prompt`: hair that it leaves open
changes as it likes."""
_SEED = 7
_TALL = 320
_COLOURS = np.array(
    [
        (240, 240, 240), (244, 201, 160), (120, 72, 0), (160, 100, 20), (0, 120, 220), (60, 160, 240), (60, 60, 60),
        (240, 150, 130), (230, 130, 110), (200, 180, 0), (250, 170, 70), (120, 0, 60), (230, 60, 90), (200, 30, 80),
        (200, 160, 120), (160, 140, 60), (90, 160, 120), (90, 60, 140), (0, 0, 0),
    ],
    np.uint8,
)  # fmt: skip
"""Of the classes of `vocabulary.PARSING`."""


def eight_expressions(pipe: ExpressionPipeline) -> np.ndarray:
    """A row a person: the reference, then the eight expressions from the same noise."""
    rows = []
    for name, seen in _PEOPLE.items():
        reference = demo.REFERENCES / f"{name}.webp"
        units = typical_units(None, vocabulary.EXPRESSIONS, 1.0)
        drawn = _drawn(pipe, pipe.encode_identity(str(reference)), seen, units)
        rows.append([np.asarray(Image.open(reference).convert("RGB").resize((128, 128))), *drawn])
    return tiled(rows, ["reference", *vocabulary.EXPRESSIONS], None)


def unit_sweep(pipe: ExpressionPipeline) -> np.ndarray:
    """A row an action unit, its intensity growing to the right, all others at rest; one person, one noise."""
    name, seen = next(iter(_PEOPLE.items()))
    person = pipe.encode_identity(str(demo.REFERENCES / f"{name}.webp"))
    rows = []
    for unit in SWEEP:
        columns = [unit] if unit in vocabulary.UNIT_COLUMNS else [unit + side for side in "LR"]
        units = [at_rest() | dict.fromkeys(columns, intensity) for intensity in INTENSITIES]
        rows.append(_drawn(pipe, person, seen, units))
    return tiled(rows, [f"{intensity:g}" for intensity in INTENSITIES], list(SWEEP))


def overlay(photo: np.ndarray, face: FaceAnalysis) -> np.ndarray:
    """The surroundings of a face with its landmarks and their deviations; beside it frame, parsing and readings."""
    matrix = _surroundings(face, photo.shape[:2])
    marked = alignment.warp(photo, matrix, (_TALL, _TALL))
    scale = alignment.scale_of(matrix)
    points = alignment.transform_points(face.landmarks, matrix)
    for (x, y), sigma in zip(points, face.landmark_sigma * scale, strict=True):
        centre = (int(x * 16), int(y * 16))
        cv2.circle(marked, centre, int(max(sigma, 1.5) * 16), (255, 210, 0), 1, cv2.LINE_AA, 4)
        cv2.circle(marked, centre, 22, (0, 255, 120), -1, cv2.LINE_AA, 4)
    column = np.full((_TALL, 288, 3), 255, np.uint8)
    column[8:136, 8:136] = face.aligned
    column[8:136, 144:272] = _coloured(face.parsing, face.aligned)
    for line, text in enumerate(_described(face)):
        write(column, text, 8, 164 + 24 * line)
    return np.hstack([marked, column])


def _surroundings(face: FaceAnalysis, size: tuple[int, int]) -> np.ndarray:
    """Matrix (2, 3) from a picture of (height, width) px to a square of `_TALL` px around the face, inside it."""
    side = min(1.9 * float((face.box[2:] - face.box[:2]).max()), *size)
    centre = (face.box[:2] + face.box[2:]) / 2
    corner = np.clip(centre - side / 2, 0, np.array(size[::-1]) - side)
    scale = _TALL / side
    return np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])


def _described(face: FaceAnalysis) -> list[str]:
    """What was read, in a few lines."""
    strongest = sorted(face.action_units.items(), key=lambda item: -item[1])[:4]
    age = "abstains" if face.age_years is None else f"about {face.age_years:.0f}"
    worn = [name for name, share in face.attributes.items() if share > 0.5]
    return [
        f"yaw {face.pose[0]:.0f}, pitch {face.pose[1]:.0f}, roll {face.pose[2]:.0f}",
        f"{face.top_expression}, none of the eight {face.open_set:.2f}",
        f"valence {face.valence:+.2f}, arousal {face.arousal:+.2f}",
        " ".join(f"{name} {value:.1f}" for name, value in strongest),
        f"age {age}; {max(face.hair_colour, key=lambda name: face.hair_colour[name])} hair",
        f"{', '.join(worn) or 'nothing worn'}; quality {face.quality:.2f}",
    ]


def readings(analyzer: FaceAnalyzer) -> np.ndarray:
    """Some of the bundled references with what is read off them."""
    pictures = [open_image(demo.REFERENCES / f"{name}.webp") for name in _PEOPLE]
    tiles = [overlay(picture, analyzer(picture)[0]) for picture in pictures]
    return np.vstack([np.hstack(tiles[start : start + 2]) for start in range(0, len(tiles), 2)])


def _drawn(pipe: ExpressionPipeline, person: Any, seen: dict[str, Any], units: list[Any]) -> list[np.ndarray]:
    """One person with each table of units, all from the same noise."""
    output = pipe(
        prompt=captions.prompt(**seen, pose="frontal"),
        conditioning=person,
        action_units=units,
        generator=[torch.Generator().manual_seed(_SEED) for _ in units],
        output_type="np",
    )
    return list((np.asarray(output.images) * 255).round().astype(np.uint8))


def _coloured(parsing: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Label map over its frame, every class in a colour of its own."""
    return (0.3 * frame + 0.7 * _COLOURS[parsing]).astype(np.uint8)


def _save(picture: np.ndarray, path: Path, pipeline: str) -> None:
    origin = Provenance(pipeline=pipeline, model="mini", seed=_SEED, digital_source_type=GENERATED)
    save_image(Image.fromarray(picture), path, origin, quality=88)


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description="Make the pictures of the documentation.")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument(
        "--photo", type=Path, help="a photograph to read; scikit-image's astronaut by default"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    analyzer = FaceAnalyzer.from_pretrained("mini")
    _save(readings(analyzer), arguments.out / "readings.webp", "FaceAnalyzer")
    photo = open_image(arguments.photo) if arguments.photo else _astronaut()
    if photo is not None:
        # The photograph stays a photograph: only what was drawn over it is ours.
        face = analyzer.require_face(photo, "photograph")
        Image.fromarray(overlay(photo, face)).save(arguments.out / "photograph.webp", quality=88)
    pipe = ExpressionPipeline.from_pretrained("mini")
    pipe.set_progress_bar_config(disable=True)
    _save(eight_expressions(pipe), arguments.out / "eight-expressions.webp", "ExpressionPipeline")
    _save(unit_sweep(pipe), arguments.out / "unit-sweep.webp", "ExpressionPipeline")


def _astronaut() -> np.ndarray | None:
    """A portrait in the public domain (NASA), where scikit-image is installed."""
    try:
        from skimage import data
    except ImportError:
        return None
    return np.asarray(data.astronaut())


if __name__ == "__main__":
    main()
