"""Contact sheets of rendered heads: many people, the eight expressions, and the ground truth of one picture.

python -m faces.head.preview --makehuman DIR --out docs/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from faces import vocabulary
from faces.head.dataset import HeadCollection, HeadsConfig
from faces.head.expression import PROTOTYPES
from faces.head.renderer import HeadImage
from faces.head.scene import Shading
from faces.head.spec import HeadSpec, Lights, State
from faces.provenance import RENDERED, Provenance, save_image

_PALETTE = np.random.default_rng(5).integers(50, 250, (len(vocabulary.PARSING), 3), dtype=np.uint8)
_PALETTE[0] = 24


def people(collection: HeadCollection, rows: int = 4, columns: int = 8, size: int = 160) -> np.ndarray:
    """One picture each of many people."""
    pictures = [
        collection.renderer.render(collection.sampler.spec(n), size).rgb for n in range(rows * columns)
    ]
    return _tile(pictures, columns)


def states(collection: HeadCollection, numbers: tuple[int, ...] = (5, 20, 26), size: int = 160) -> np.ndarray:
    """The eight expressions of a few people, each at full strength under one light."""
    pictures = []
    for number in numbers:
        spec = collection.sampler.spec(number)
        look = spec.look.model_copy(
            update={"hair_style": "ponytail", "glasses": 0.0, "makeup": (), "beard": 0.0}
        )
        for expression in vocabulary.EXPRESSIONS:
            state = State(expression=expression, action_units=PROTOTYPES[expression])
            shown = spec.model_copy(update={"look": look, "lights": Lights(), "state": state})
            pictures.append(collection.renderer.render(shown, size).rgb)
    return _tile(pictures, len(vocabulary.EXPRESSIONS))


def one_person(collection: HeadCollection, number: int = 14, columns: int = 8, size: int = 160) -> np.ndarray:
    """One identity in many states and looks."""
    pictures = [
        collection.renderer.render(collection.sampler.spec(number, v), size).rgb for v in range(2 * columns)
    ]
    return _tile(pictures, columns)


def truth(collection: HeadCollection, number: int = 21, size: int = 256) -> np.ndarray:
    """Picture with landmarks, parsing, normals, texture coordinates, flow and what flow brings back."""
    first: HeadSpec = collection.sampler.spec(number)
    second = first.model_copy(update={"state": collection.sampler.state(number, 1)})
    image = collection.renderer.render(first, size, Shading(), other=second)
    other = collection.renderer.render(second, size, Shading())
    panels = [_marked(image), _PALETTE[image.parsing], ((image.normals + 1) * 127.5).astype(np.uint8)]
    panels.append(np.dstack([image.uv * 255, image.body * 128]).astype(np.uint8))
    panels += [_flow_colours(image), other.rgb]
    return _tile(panels, 6)


def _marked(image: HeadImage) -> np.ndarray:
    picture = image.rgb.copy()
    for points, colour in ((image.landmarks, (60, 255, 90)), (image.outline_landmarks[:17], (255, 60, 60))):
        for x, y in points.astype(int):
            picture[max(y - 1, 0) : y + 1, max(x - 1, 0) : x + 1] = colour
    return picture


def _flow_colours(image: HeadImage) -> np.ndarray:
    """Direction as hue, length as brightness; black where the point is hidden in the other picture."""
    from matplotlib.colors import hsv_to_rgb

    flow = np.asarray(image.flow)
    angle = np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) + 0.5
    length = np.linalg.norm(flow, axis=-1)
    value = np.clip(length / max(np.percentile(length[image.co_visible], 95), 1e-6), 0, 1) * image.co_visible
    return (hsv_to_rgb(np.dstack([angle, np.ones_like(angle), value])) * 255).astype(np.uint8)


def _tile(pictures: list[np.ndarray], columns: int) -> np.ndarray:
    rows = [np.hstack(pictures[start : start + columns]) for start in range(0, len(pictures), columns)]
    return np.vstack(rows)


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description="Draw contact sheets of rendered heads.")
    parser.add_argument("--makehuman", help="MakeHuman's data folder; MIEN_MAKEHUMAN otherwise")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    collection = HeadCollection(HeadsConfig(count=1, seed=1), arguments.makehuman)
    record = Provenance(pipeline="faces.head", model="makehuman-cc0", seed=1, digital_source_type=RENDERED)
    sheets = {"heads": people, "expressions": states, "one-person": one_person, "ground-truth": truth}
    for name, make in sheets.items():
        save_image(Image.fromarray(make(collection)), arguments.out / f"{name}.webp", record, quality=85)


if __name__ == "__main__":
    main()
