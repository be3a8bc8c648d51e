"""Textures of a dataset: people drawn from nothing, each in several styles, as views of a head show them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor

from faces import vocabulary
from faces.provenance import GENERATED
from gen import seeds
from gen.plan import PlanRow
from gen.portraits import NOT_FINITE, made_by, rounded
from gen.sample import Sample
from gen.texture_checks import TextureThresholds, asymmetry, clipped_share, verdict
from pipelines.texture.camera import HeadCamera, as_array
from pipelines.texture.layout import UVLayout
from pipelines.texture.styles import PHOTOREAL, stylise
from pipelines.texture.turntable import turntable
from pipelines.texture.unwrapping import visibility

if TYPE_CHECKING:
    from pipelines.texture.pipeline import TexturePipeline
    from pipelines.texture.template import HeadTemplate

YAW, PITCH = 60.0, 25.0
"""Degrees to each side that the heads of views are turned by."""
PREVIEW = 128
"""Pixels of a side of a preview."""
_PICTURE = 256
"""Pixels of a side of the pictures that views are of, and of those in which faces are looked for."""
_LIGHT = (0.3, 0.5, 1.0)
"""Direction of the light of previews."""
_EXPLAINED = """## Textures and views

Each row holds the texture of a head, aligned to the layout below, in a style (`style_id`): {styles}. The rows of one
`identity_id` show one person in all of them, texel by texel, so they are pairs for stylisation; `split` keeps them
together, and checks turn down a person whole. Nobody is depicted: a person is a draw from the model's prior, a
function of `seed`, and stands after no reference. The skins come from a model trained on rendered heads; no demographic
label is claimed. Styles other than `photoreal` are filters of that texture.

| | what it holds |
| --- | --- |
| the picture | the texture, sRGB; beyond the layout each texel repeats the nearest one of it |
| `visibility` | how well a view of a head shows each texel, 0 hidden to 255 wholly. The head has a random shape and \
expression, turned by `view_yaw_deg` (up to {yaw:g} to each side, positive to the right of the image) and \
`view_pitch_deg` (up to {pitch:g}, positive upwards) |
| `partial` | the texture where `visibility` is above 0, else black: what a completion is given |
| `preview` | the mean head with the texture, from the front, lit |
| `mesh_id` | the mesh whose layout it is |
| `measured_visible_share` | of the layout's texels, those above 0 |
| `measured_clipped_share`, `measured_asymmetry`, `measured_nearest_texture`, `measured_faces_found`, \
`measured_face_score` | what the checks read off the photoreal texture of the person |

Files beside the picture are `KEY.visibility.png` and so on in a WebDataset, `NAME-00000.visibility/` and so on beside a
folder, columns in Parquet."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Person:
    """The photoreal texture of a person, and the verdict of the checks on it."""

    seed: int
    texture: np.ndarray | None
    """(s, s, 3) uint8; None where numbers came out that are not finite."""
    measured: dict[str, Any]
    rejected_by: str | None
    reason: str


class TextureMaker:
    """Makes the planned textures.

    Args:
        pipe: draws textures.
        limits: of the checks.
        seed: of the dataset: a person is a function of it, of its number and of the attempt.
        people: of the dataset.
        attempts: that a person may take.
        steps: of the scheduler.
        strength: of the refinement.
    """

    def __init__(
        self,
        pipe: TexturePipeline,
        limits: TextureThresholds,
        *,
        seed: int,
        people: int,
        attempts: int,
        steps: int,
        strength: float,
    ) -> None:
        self.pipe = pipe
        self.limits = limits
        self.seed = seed
        self.people = people
        self.attempts = attempts
        self.steps = steps
        self.strength = strength
        self.head = as_array(pipe.template.mean)
        self.facts: dict[str, Any] = {
            **made_by(pipe, steps), "digital_source_type": GENERATED,
            "minimum_age": vocabulary.MINIMUM_AGE, "mesh_id": pipe.layout.mesh_id,
        }  # fmt: skip
        pipe.set_progress_bar_config(disable=True)

    def make(self, rows: Sequence[PlanRow]) -> list[Sample]:
        """Make one batch and check it; the rows of a person share its texture and its verdict."""
        wanted = list(dict.fromkeys((row.identity_id, row.attempt) for row in rows))
        people = dict(zip(wanted, self._people(wanted), strict=True))
        return [self._sample(row, people[row.identity_id, row.attempt]) for row in rows]

    def draw(self, noise: Sequence[int]) -> list[np.ndarray]:
        """Draw a texture (s, s, 3) from each seed, floats in 0..1, or not finite."""
        side = self.pipe.layout.size
        made = self.pipe(
            texture=[np.zeros((side, side, 3), np.float32)] * len(noise),
            visibility=[np.zeros((side, side), np.float32)] * len(noise),
            num_inference_steps=self.steps,
            temperature=1.0,
            use_manifold=False,  # a draw from the manifold lies on it; fitted again it would come nearer to the mean
            strength=self.strength,
            generator=[seeds.noise_generator(seed) for seed in noise],
            output_type="np",
        )
        return made.texture

    def measure(self, texture: np.ndarray) -> dict[str, Any]:
        """Measure a photoreal texture (s, s, 3) uint8, without whom it is like.

        Returns:
            clipped_share and asymmetry; where there is a check of faces, faces_found on a head, and face_score.
        """
        layout = self.pipe.layout
        found = {"clipped_share": clipped_share(texture, layout), "asymmetry": asymmetry(texture, layout)}
        if self.limits.face_score is not None:
            # Unlit: a lit head without any features looks like a face to the analysis.
            front = self._front(texture, _PICTURE, background=(0.5, 0.5, 0.5))
            faces = self.pipe.analyzer(front)
            found |= {"faces_found": len(faces), "face_score": float(faces[0].score) if faces else 0.0}
        return rounded(found)

    def nearest(self, number: int, attempt: int) -> float | None:
        """Least difference of what the manifold makes of a person to what it makes of an earlier one, at any attempt.

        Which attempt of an earlier one is kept need not be known, so that shards do not wait for one another.

        Returns:
            The root mean square over a texture, of the range of its values; None for the first person.
        """
        if number == 0:
            return None
        away = self.prior_draws[:number] - self.prior_draws[number, attempt]
        return float(np.linalg.norm(away, axis=2).min())

    @functools.cached_property
    def prior_draws(self) -> np.ndarray:
        """What the manifold is told to make of everybody, (people, attempts, K) float32, in the unit of `nearest`.

        They are the first numbers that the generator of a texture gives (see `TextureDenoisingMixin.base`). Components
        are orthonormal, so that distances of coordinates are those of textures.
        """
        manifold = self.pipe.manifold
        drawn = [
            randn_tensor(
                (1, manifold.config.component_count),
                generator=seeds.noise_generator(self._seed(person_id(number), attempt)),
            )
            for number in range(self.people)
            for attempt in range(self.attempts)
        ]
        values = 3 * manifold.config.size**2
        scaled = (
            torch.cat(drawn).numpy() * as_array(manifold.stds.float()) / np.sqrt(values) / 2
        )  # from -1 to 1
        return scaled.astype(np.float32).reshape(self.people, self.attempts, -1)

    def _seed(self, person: str, attempt: int) -> int:
        return seeds.sample_seed(self.seed, person, attempt)

    def _people(self, wanted: Sequence[tuple[str, int]]) -> list[Person]:
        noise = [self._seed(*one) for one in wanted]
        return [
            self._person(*one, seed, texture)
            for one, seed, texture in zip(wanted, noise, self.draw(noise), strict=True)
        ]

    def _person(self, name: str, attempt: int, seed: int, drawn: np.ndarray) -> Person:
        if not np.isfinite(drawn).all():
            return Person(seed=seed, texture=None, measured={}, rejected_by="error", reason=NOT_FINITE)
        texture = np.rint(drawn * 255).astype(np.uint8)
        measured = self.measure(texture)
        nearest = self.nearest(person_number(name), attempt)
        measured |= {} if nearest is None else rounded({"nearest_texture": nearest})
        rejected_by, reason = verdict(measured, self.limits)
        return Person(seed=seed, texture=texture, measured=measured, rejected_by=rejected_by, reason=reason)

    def _sample(self, row: PlanRow, person: Person) -> Sample:
        if person.texture is None:
            return Sample(row=row, rejected_by=person.rejected_by, reason=person.reason, failed=True)
        style = row.requested["style_id"]
        texture = stylise(person.texture, style, seeds.sample_seed(person.seed, style))
        if person.rejected_by:
            return Sample(
                row=row, image=texture, measured=person.measured, rejected_by=person.rejected_by, reason=person.reason
            )  # fmt: skip
        seen, angles = random_view(
            self.pipe.template, self.pipe.layout, seeds.stream(person.seed, style, "view")
        )
        return Sample(
            row=row,
            image=texture,
            measured=person.measured
            | rounded({"visible_share": float((seen > 0)[self.pipe.layout.valid].mean())}),
            facts={"seed": person.seed} | angles,
            caption=f"UV texture of a synthetic face, {style}",
            visibility=seen,
            partial=np.where(seen[..., None] > 0, texture, 0).astype(np.uint8),
            preview=self._front(texture, PREVIEW, light=_LIGHT),
        )

    def _front(self, texture: np.ndarray, size: int, **options: Any) -> np.ndarray:
        return turntable(self.head, self.pipe.template, texture, yaws=(0.0,), size=size, **options)[0]


def load_pipeline(model: str) -> TexturePipeline:
    """Load "mini", a folder or a hub id as a pipeline of textures."""
    from pipelines.device import best_device
    from pipelines.texture.pipeline import TexturePipeline

    return TexturePipeline.from_pretrained(model).to(best_device())


def person_id(number: int) -> str:
    """Name a person."""
    return f"person{number:06d}"


def person_number(name: str) -> int:
    """The inverse of `person_id`."""
    return int(name.removeprefix("person"))


def picture_id(person: str, style: str) -> str:
    """Id of the texture of a person in a style."""
    return f"{person}_{style}"


def random_view(
    template: HeadTemplate, layout: UVLayout, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, float]]:
    """Show a random head from a random side.

    Returns:
        How well each texel is seen, (s, s) uint8 up to 255, and the angles by the names of their columns.
    """
    vertices = template.random_head(rng)
    angles = rounded({"view_yaw_deg": rng.uniform(-YAW, YAW), "view_pitch_deg": rng.uniform(-PITCH, PITCH)})
    yaw, pitch = angles.values()
    camera = HeadCamera.portrait(vertices, _PICTURE, yaw=yaw, pitch=pitch)
    weight = visibility(vertices, template, camera, layout)
    return np.rint(weight * 255).astype(np.uint8), angles


def explained(styles: Sequence[str]) -> str:
    """What a datasheet says of textures and views, in Markdown."""
    return _EXPLAINED.format(styles=", ".join(f"`{style}`" for style in styles), yaw=YAW, pitch=PITCH)


def role(style: str) -> str:
    """What a texture is to the others of its person."""
    return "texture" if style == PHOTOREAL else "stylised"
