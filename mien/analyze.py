"""What `mien analyze` does: everything that is read off the faces of a picture, as plain numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from faces.analysis import FaceAnalysis, FaceAnalyzer

if TYPE_CHECKING:
    from rich.table import Table

_SHOWN = 6
"""Action units that the table names, the strongest ones."""


def analyze(picture: Path, backend: str = "bundled") -> list[dict[str, Any]]:
    """Describe every face of a picture, the largest first; JSON types only.

    Pixels, parsing and the identity embedding stay out: a face in a log is biometric data.

    Raises:
        ImageError: the picture cannot be used; ImportError: the backend is not installed.
    """
    analyzer = FaceAnalyzer.from_pretrained("mini", backend=backend, embed=False)
    return [describe(face) for face in analyzer(picture, name=picture.name)]


def describe(face: FaceAnalysis) -> dict[str, Any]:
    """One face as JSON types."""
    years = face.age_years
    return {
        "box": [round(float(value), 1) for value in face.box],
        "score": round(face.score, 3),
        "landmarks": [[round(float(x), 1), round(float(y), 1)] for x, y in face.landmarks],
        "landmark_sigma": [round(float(value), 2) for value in face.landmark_sigma],
        "pose": dict(zip(("yaw", "pitch", "roll"), (round(float(v), 1) for v in face.pose), strict=True)),
        "expression": face.top_expression,
        "expression_probabilities": _rounded(face.expression),
        "open_set": round(face.open_set, 3),
        "action_units": _rounded(face.action_units),
        "valence": round(face.valence, 3),
        "arousal": round(face.arousal, 3),
        "looks_like_years": None if years is None else round(years, 1),
        "hair_colour": max(face.hair_colour, key=lambda name: face.hair_colour[name]),
        "attributes": _rounded(face.attributes),
        "quality": round(face.quality, 3),
    }


def as_table(faces: list[dict[str, Any]], title: str) -> Table:
    """Lay the readings of faces out for a terminal; landmarks are left to JSON."""
    from rich.table import Table

    table = Table(title=f"{title}: what the faces show, not what anybody is or feels")
    for heading in ("", *(f"face {number}" for number in range(1, len(faces) + 1))):
        table.add_column(heading)
    for name, read in _LINES.items():
        table.add_row(name, *(read(face) for face in faces))
    return table


def _units(face: dict[str, Any]) -> str:
    strongest = sorted(face["action_units"].items(), key=lambda item: -item[1])[:_SHOWN]
    return ", ".join(f"{name} {value:.2f}" for name, value in strongest)


def _expression(face: dict[str, Any]) -> str:
    best = max(face["expression_probabilities"].items(), key=lambda item: item[1])
    return (
        f"{face['expression']} (of the eight: {best[0]} {best[1]:.2f}; none of them {face['open_set']:.2f})"
    )


_LINES = {
    "box": lambda face: " ".join(f"{value:.0f}" for value in face["box"]),
    "score": lambda face: f"{face['score']:.2f}",
    "pose, degrees": lambda face: ", ".join(f"{name} {value:.0f}" for name, value in face["pose"].items()),
    "expression": _expression,
    "action units": _units,
    "valence, arousal": lambda face: f"{face['valence']:+.2f}, {face['arousal']:+.2f}",
    "looks like years": lambda face: str(face["looks_like_years"] or "cannot tell"),
    "hair colour": lambda face: face["hair_colour"],
    "worn and grown": lambda face: ", ".join(f"{name} {p:.2f}" for name, p in face["attributes"].items()),
    "picture quality": lambda face: f"{face['quality']:.2f}",
}
"""Row of the table -> how it reads a described face."""


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}
