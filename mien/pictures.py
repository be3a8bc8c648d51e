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

from faces import vocabulary
from faces.analysis import FaceAnalysis, FaceAnalyzer
from faces.images import open_image
from faces.provenance import Provenance, save_image
from mien import demo
from pipelines.expression.pipeline import ExpressionPipeline
from pipelines.expression.units import at_rest, typical_units

SWEEP = ("AU1", "AU4", "AU5", "AU43", "AU9", "AU12", "AU12L", "AU15", "AU25", "AU26")
"""Action units of the sweep, one a row."""
INTENSITIES = (0.0, 0.3, 0.6, 0.9, 1.2)
_PEOPLE = ("head-12", "head-26", "head-34", "head-39")
_SEED = 7
_LABEL = 18
_CALM = "portrait of a person, facing the camera"


def eight_expressions(pipe: ExpressionPipeline) -> np.ndarray:
    """A row a person: the reference, then the eight expressions from the same noise."""
    rows = []
    for name in _PEOPLE:
        reference = demo.REFERENCES / f"{name}.webp"
        units = typical_units(None, vocabulary.EXPRESSIONS, 1.0)
        drawn = _drawn(pipe, pipe.encode_identity(str(reference)), units)
        rows.append([np.asarray(Image.open(reference).convert("RGB").resize((128, 128))), *drawn])
    return _sheet(rows, ["reference", *vocabulary.EXPRESSIONS], None)


def unit_sweep(pipe: ExpressionPipeline) -> np.ndarray:
    """A row an action unit, its intensity growing to the right, all others at rest; one person, one noise."""
    person = pipe.encode_identity(str(demo.REFERENCES / f"{_PEOPLE[0]}.webp"))
    rows = []
    for unit in SWEEP:
        columns = [unit] if unit in vocabulary.UNIT_COLUMNS else [unit + side for side in "LR"]
        units = [at_rest() | dict.fromkeys(columns, intensity) for intensity in INTENSITIES]
        rows.append(_drawn(pipe, person, units))
    return _sheet(rows, [f"{intensity:g}" for intensity in INTENSITIES], list(SWEEP))


def overlay(photo: np.ndarray, faces: list[FaceAnalysis]) -> np.ndarray:
    """A photograph beside its faces: landmarks with their deviations, and the parsing of the canonical frame."""
    scale = 512 / max(photo.shape[:2])
    marked = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tiles = []
    for face in faces:
        for (x, y), sigma in zip(face.landmarks * scale, face.landmark_sigma * scale, strict=True):
            centre = (int(x * 16), int(y * 16))
            cv2.circle(marked, centre, int(max(sigma, 1) * 16), (255, 210, 0), 1, cv2.LINE_AA, 4)
            cv2.circle(marked, centre, 20, (0, 255, 120), -1, cv2.LINE_AA, 4)
        tiles.append(np.hstack([face.aligned, _coloured(face.parsing, face.aligned)]))
    column = np.full((len(marked), 256, 3), 255, np.uint8)
    for number, tile in enumerate(tiles[: len(marked) // 230]):
        column[number * 230 : number * 230 + 128] = tile
        for line, text in enumerate(_described(faces[number])):
            place = (4, number * 230 + 142 + 13 * line)
            cv2.putText(column, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (30, 30, 30), 1, cv2.LINE_AA)
    return np.hstack([marked, column])


def _described(face: FaceAnalysis) -> list[str]:
    """What was read, in a few lines."""
    strongest = sorted(face.action_units.items(), key=lambda item: -item[1])[:4]
    age = "abstains" if face.age_years is None else f"about {face.age_years:.0f}"
    worn = [name for name, share in face.attributes.items() if share > 0.5]
    return [
        f"yaw {face.pose[0]:.0f}, pitch {face.pose[1]:.0f}, roll {face.pose[2]:.0f}",
        f"{face.top_expression} {max(face.expression.values()):.2f}, open set {face.open_set:.2f}",
        f"valence {face.valence:+.2f}, arousal {face.arousal:+.2f}",
        " ".join(f"{name} {value:.1f}" for name, value in strongest),
        f"age {age}; {max(face.hair_colour, key=lambda name: face.hair_colour[name])} hair",
        f"{', '.join(worn) or 'nothing worn'}; quality {face.quality:.2f}",
    ]


def readings(analyzer: FaceAnalyzer) -> np.ndarray:
    """The bundled references with what is read off them."""
    files = sorted(demo.REFERENCES.glob("*.webp"))
    pictures = [open_image(file) for file in files]
    tiles = [overlay(picture, analyzer(picture)[:1]) for picture in pictures[:6]]
    small = [cv2.resize(tile, (480, 320), interpolation=cv2.INTER_AREA) for tile in tiles]
    return np.vstack([np.hstack(small[start : start + 3]) for start in range(0, len(small), 3)])


def _drawn(pipe: ExpressionPipeline, person: Any, units: list[Any]) -> list[np.ndarray]:
    """One person with each table of units, all from the same noise."""
    output = pipe(
        prompt=_CALM,
        conditioning=person,
        action_units=units,
        generator=[torch.Generator().manual_seed(_SEED) for _ in units],
        output_type="np",
    )
    return list((np.asarray(output.images) * 255).round().astype(np.uint8))


def _sheet(rows: list[list[np.ndarray]], across: list[str], down: list[str] | None) -> np.ndarray:
    """Tile pictures under their headings, with a name before each row if given."""
    left = 64 if down else 0
    height, width = rows[0][0].shape[:2]
    sheet = np.full((_LABEL + height * len(rows), left + width * len(rows[0]), 3), 255, np.uint8)
    for column, text in enumerate(across):
        _write(sheet, text, left + width * column + 4, 13)
    for number, row in enumerate(rows):
        if down:
            _write(sheet, down[number], 4, _LABEL + height * number + height // 2)
        top = _LABEL + height * number
        sheet[top : top + height, left:] = np.hstack(row)
    return sheet


def _write(sheet: np.ndarray, text: str, x: int, y: int) -> None:
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA)


def _coloured(parsing: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Label map over its frame, every class in a colour of its own."""
    hues = (np.arange(len(vocabulary.PARSING)) * 67 % 180).astype(np.uint8)
    palette = cv2.cvtColor(
        np.stack([hues, hues * 0 + 200, hues * 0 + 230], axis=-1)[None], cv2.COLOR_HSV2RGB
    )[0]
    palette[0] = (235, 235, 235)
    return (0.35 * frame + 0.65 * palette[parsing]).astype(np.uint8)


def _save(picture: np.ndarray, path: Path, pipeline: str) -> None:
    origin = Provenance(
        pipeline=pipeline, model="mini", seed=_SEED, digital_source_type="trainedAlgorithmicMedia"
    )
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
        Image.fromarray(overlay(photo, analyzer(photo))).save(arguments.out / "photograph.webp", quality=88)
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
