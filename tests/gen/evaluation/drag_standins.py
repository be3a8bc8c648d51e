"""A drag pipeline that knows the exam by heart, and an exam of drawings whose every motion is a formula.

Pictures are 128 px as in `standins`: cells of 8 px, rows 0 to 3 of them the identity. Below is a head: a rectangle of
waves that bends inside its edges, which stay.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from faces.flow import encode_flow
from gen.evaluation.drag_exam import DragExam, partner
from gen.evaluation.flow_baselines import baseline_flow
from pipelines.drag.denoising import as_pictures
from pipelines.drag.drags import Drags
from pipelines.drag.warping import resize_flow, splat
from tests.gen.evaluation.standins import StandInJudge

SIZE = 128
TOP, BOTTOM, LEFT, RIGHT = 40, 120, 16, 112
"""Of the head."""
LENGTHS = (6.0, 1.0, 11.0, 4.0, 9.0, 2.0)
"""Pixels by which the middle of a head moves, one after another."""


def exam(people: int = 6) -> DragExam:
    """Draw a pair for each of some people."""
    images, flows, landmarks, labels = [], [], [], []
    grid = np.stack(np.meshgrid(np.linspace(20, 108, 17), np.linspace(46, 114, 4)), axis=-1).reshape(-1, 2)
    for person in range(people):
        forward = moves(person, centres())
        backward = -forward
        for _ in range(60):
            backward = -moves(person, centres() + backward)
        for state, flow in enumerate((forward, backward)):
            places = centres() + (backward if state else 0)
            images.append(_picture(person, places))
            flows.append(flow.astype(np.float32))
            landmarks.append(grid + (moves(person, grid) if state else 0))
            name = f"7-{person}"
            labels.append(
                {"identity_id": name, "state": state, "file": f"{name}-{state}.webp", "edit": "pose"}
            )
    heads = np.repeat(head()[None], len(images), axis=0)
    return DragExam(
        images=np.stack(images), flows=np.stack(flows), seen=heads, heads=heads,
        landmarks=np.stack(landmarks).astype(np.float32), labels=labels,
    )  # fmt: skip


def centres() -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5), axis=-1)


def head() -> np.ndarray:
    inside = np.zeros((SIZE, SIZE), bool)
    inside[TOP:BOTTOM, LEFT:RIGHT] = True
    return inside


def moves(person: int, places: np.ndarray) -> np.ndarray:
    """Where a person's surface goes from places (..., 2): most in the middle, its ends swing apart."""
    u = np.clip((places[..., 0] - LEFT) / (RIGHT - LEFT), 0, 1)
    v = np.clip((places[..., 1] - TOP) / (BOTTOM - TOP), 0, 1)
    window = np.sin(np.pi * u) * np.sin(np.pi * v)
    turn = 2 * np.pi * person / 6 + 0.5 * np.sin(2 * np.pi * u)
    length = LENGTHS[person % len(LENGTHS)] * window
    return np.stack([length * np.cos(turn), length * np.sin(turn)], axis=-1)


def _picture(person: int, places: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(person)
    image = np.full((SIZE, SIZE, 3), rng.uniform(60, 200, 3))
    image[:32] = np.kron(rng.uniform(0, 255, (4, 16)), np.ones((8, 8)))[..., None]
    angle, length = rng.uniform(0, 2 * np.pi, 40), rng.uniform(9, 30, 40)
    across = 2 * np.pi / length * np.stack([np.cos(angle), np.sin(angle)])
    waves = np.sin(places @ across + rng.uniform(0, 2 * np.pi, 40)) @ rng.normal(size=(40, 3))
    image[head()] = (127.5 + 10 * waves)[head()]
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def write(drawn: DragExam, folder) -> None:
    """Write the exam as the package reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, row in enumerate(drawn.labels):
        stem = row["file"].removesuffix(".webp")
        Image.fromarray(drawn.images[number]).save(folder / row["file"], lossless=True, quality=100)
        Image.fromarray(drawn.heads[number].astype(np.uint8) * 3).save(folder / f"{stem}.parsing.png")
        (folder / f"{stem}.flow.png").write_bytes(encode_flow(drawn.flows[number], drawn.seen[number]))
        rows.append(row | {"landmarks": drawn.landmarks[number].ravel().tolist()})
    pq.write_table(pa.Table.from_pylist(rows[::-1]), folder / "labels.parquet")


class StandInDrag:
    """A nearly perfect drag pipeline, the better the more drags there are, or one with a planted fault.

    Faults of the flow: "plate" bends a thin plate; "short" falls short whatever is dragged; "loose" takes the
    background along. Faults of pictures: "idle" gives the source back; "deaf" draws the true target by any flow;
    "noisy" adds noise; "open" ignores the mask; "stranger" draws somebody else. "leaky" holds the judge.
    """

    def __init__(self, drawn: DragExam, fault: str = "") -> None:
        self.exam, self.fault = drawn, fault
        self.frame_size, self.device = drawn.size, torch.device("cpu")
        self.components = {"unet": StandInJudge() if fault == "leaky" else torch.nn.Linear(9, 9)}
        self.rows = {image.tobytes(): row for row, image in enumerate(drawn.images)}
        self.calls: list[tuple[str, int]] = []

    def predict_flow(self, frames: torch.Tensor, drags: list[Drags]) -> torch.Tensor:
        made = [self._flow(row, one) for row, one in zip(self._rows(frames), drags, strict=True)]
        return torch.from_numpy(np.stack(made)).movedim(-1, 1)

    def edit_with_flow(self, frames: torch.Tensor, flow: torch.Tensor, generator: list) -> torch.Tensor:
        assert len(generator) == len(frames)
        self.calls.append(("edit_with_flow", len(frames)))
        return self._draw(frames, flow)

    def __call__(
        self,
        image,
        drags=None,
        flow=None,
        mask=None,
        *,
        aligned,
        output_type,
        generator,
        callback_on_step_end,
    ):
        assert aligned and output_type == "np" and len(generator) == len(image)
        self.calls.append(("mask" if mask else "drags" if drags else "flow", len(image)))
        frames = torch.from_numpy(np.stack(image)).movedim(-1, 1) / 127.5 - 1
        if flow is None:
            asked = [Drags.of(one, size=(self.frame_size,) * 2) for one in drags]
            flow = resize_flow(self.predict_flow(frames, asked), (self.frame_size,) * 2)
        drawn = self._draw(frames, flow)
        given = callback_on_step_end(self, 0, 0, {"latents": drawn})
        pictures = self.decode_latents(given["latents"])
        if mask and self.fault != "open":
            pictures = [
                np.where(where[..., None], one, source / 255)
                for one, source, where in zip(pictures, image, mask, strict=True)
            ]
        return SimpleNamespace(images=pictures)

    def decode_latents(self, latents: torch.Tensor) -> np.ndarray:
        return as_pictures(latents)

    def _rows(self, frames: torch.Tensor) -> list[int]:
        pictures = (as_pictures(frames) * 255).round().astype(np.uint8)
        return [self.rows[picture.tobytes()] for picture in pictures]

    def _flow(self, row: int, drags: Drags) -> np.ndarray:
        truth, where = self.exam.flows[row], self.exam.heads[row]
        if self.fault == "plate":
            return baseline_flow("thin plate", drags.sources, drags.targets, where.shape, where)
        if self.fault == "short":
            return 0.9 * truth
        flow = (1 - 0.1 / len(drags.sources)) * truth
        return np.where(where[..., None], flow, np.float32(self.fault == "loose"))

    def _draw(self, frames: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        rows = self._rows(frames)
        if self.fault in ("idle", "deaf", "stranger"):
            other = {
                "idle": lambda row: row,
                "deaf": partner,
                "stranger": lambda row: (row + 5) % len(self.rows),
            }
            pictures = self.exam.images[[other[self.fault](row) for row in rows]]
            return torch.from_numpy(pictures).movedim(-1, 1) / 127.5 - 1
        moved, holes = splat(frames, flow.float())
        drawn = torch.where(holes < 1, moved, frames)
        if self.fault == "noisy":
            drawn = drawn + 0.15 * torch.randn(drawn.shape, generator=torch.Generator().manual_seed(0))
        return drawn
