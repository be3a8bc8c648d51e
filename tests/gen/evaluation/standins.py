"""Stand-ins of the judge and the pipeline in a world where a picture spells out what it shows.

A picture is a 16 x 16 grid of cells of 8 px. Rows 0 to 3 hold the identity, row 5 the state, row 6 the action
units; the rest is texture. The judge reads the cells back without error, so every metric of the evaluation
has a known value for a perfect pipeline and for pipelines with one planted fault.
"""

from __future__ import annotations

import re
import zlib
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from faces import captions, vocabulary
from faces.images import ImageError
from gen.evaluation.heldout import HeldOut

CELLS, SIDE = 16, 8
IDENTITY, STATE, UNITS = slice(0, 4), 5, 6
BANDS = list(vocabulary.AGE_BANDS)


def picture(identity: np.ndarray, labels: dict, rng: np.random.Generator) -> np.ndarray:
    """Draw identity (64,) in -1..1 and labels: (128, 128, 3) uint8."""
    cells = rng.uniform(0.3, 0.7, (CELLS, CELLS))
    cells[IDENTITY] = (identity.reshape(4, 16) + 1) / 2
    write_state(cells, labels)
    return (
        np.repeat(np.kron(cells, np.ones((SIDE, SIDE)))[..., None] * 255, 3, axis=2).round().astype(np.uint8)
    )


def write_state(cells: np.ndarray, labels: dict) -> None:
    """Write those labels that are given into the cells."""
    expression = labels.get("expression")
    if expression is not None:
        index = vocabulary.EXPRESSIONS.index(expression)
        cells[STATE, 0] = (index + 0.5) / 8
        cells[UNITS, :8] = np.arange(8) == index
    if "yaw" in labels:
        cells[STATE, 1] = labels["yaw"] / 100 + 0.5
    if "hair_colour" in labels:
        cells[STATE, 2] = (vocabulary.HAIR_COLOURS.index(labels["hair_colour"]) + 0.5) / 5
    if "age_years" in labels:
        cells[STATE, 3] = labels["age_years"] / 100


class StandInJudge(torch.nn.Module):
    """Reads the cells; has the forward contract of JudgeNet."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.weight = torch.nn.Parameter(torch.randn(10, 10))

    def forward(self, images: torch.Tensor, read: bool = True) -> dict[str, torch.Tensor]:
        cells = torch.nn.functional.avg_pool2d((images[:, 0] + 1) / 2, SIDE)
        identity = cells[:, IDENTITY].flatten(1) * 2 - 1
        state = cells[:, STATE]
        classes = {"expression": (0, 8), "hair_colour": (2, 5)}
        logits = {
            name: -((state[:, [cell]] * count - torch.arange(count) - 0.5) ** 2)
            for name, (cell, count) in classes.items()
        }
        yaw = (state[:, 1] - 0.5) * 100
        return {
            "embedding": torch.nn.functional.normalize(identity, dim=1),
            "pose": torch.stack([yaw, yaw * 0, yaw * 0], dim=1),
            "age": state[:, 3] * 100,
            "au": cells[:, UNITS, :8],
            "features": torch.cat([identity[:, :3], state[:, :4]], dim=1),
            **logits,
        }


def spoken(prompt: str) -> dict:
    """Understand a canonical prompt: the labels it asks for."""
    labels = {}
    wordings = captions._EXPRESSIONS.items()
    found = [name for name, words in wordings if f", {words[0]}" in prompt]
    if found:
        labels["expression"] = found[0]
    poses = [
        name
        for name, words in captions._POSES.items()
        if prompt.endswith(words[0]) or words[0] + "," in prompt
    ]
    if poses:
        labels["yaw"] = vocabulary.POSES[poses[0]]
    colours = [
        colour for colour in vocabulary.HAIR_COLOURS if re.search(rf"\b{colour}\b.*hair|\b{colour}\b", prompt)
    ]
    if colours:
        labels["hair_colour"] = colours[0]
    bands = [band for band in BANDS if band in prompt]
    if bands:
        labels["age_years"] = sum(vocabulary.AGE_BANDS[bands[0]]) / 2
    return labels


class StandInAutoencoder(torch.nn.Module):
    """Rebuilds pictures with a slight error."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(0.99))

    def encode(self, pixels: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: pixels))

    def decode(self, latents: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(sample=latents * self.gain)


class Person(list):
    """Stands in for the conditioning on one or more people."""

    @staticmethod
    def cat(people):
        return Person(sum(people, []))


class StandInPipe:
    """A perfect portrait pipeline, or one with a planted fault.

    Faults: "deaf" ignores the prompt and returns the reference; "blind" ignores the reference; "collapsed"
    makes the same person for everybody; "leaky" holds the judge; "choosy" finds no face in every fourth picture.
    """

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.vae = StandInAutoencoder()
        self.components = {
            "vae": self.vae,
            "unet": StandInJudge() if fault == "leaky" else torch.nn.Linear(9, 9),
        }
        self.batches: list[int] = []

    def encode_identity(self, image):
        if self.fault == "choosy" and np.asarray(image)[0, 0, 0] % 4 == 0:
            raise ImageError("picture: no face of at least 32 px")
        return Person([np.asarray(image)])

    def __call__(
        self,
        image=None,
        prompt="",
        conditioning=None,
        num_inference_steps=20,
        generator=None,
        output_type="pil",
    ):
        if conditioning is None:
            conditioning = [people[0] for people in image] if isinstance(image, list) else [image]
        references = list(conditioning)
        prompts = [prompt] if isinstance(prompt, str) else prompt
        self.batches.append(len(prompts))
        made = [self._one(*pair, i) for i, pair in enumerate(zip(references, prompts, strict=True))]
        return SimpleNamespace(images=np.stack(made) / 255.0)

    def _one(self, reference: Image.Image, prompt: str, seed: int) -> np.ndarray:
        if self.fault == "deaf":
            return np.asarray(reference)
        cells = np.asarray(reference)[SIDE // 2 :: SIDE, SIDE // 2 :: SIDE, 0] / 255
        cells = cells.copy()
        rng = np.random.default_rng(zlib.crc32(prompt.encode()) + seed)
        asked = spoken(prompt)
        neutral = {"expression": "neutral", "yaw": 0.0}
        write_state(cells, neutral | asked)
        if self.fault == "blind":
            cells[IDENTITY] = rng.uniform(0, 1, (4, 16))
        if self.fault == "collapsed":
            cells[IDENTITY] = 0.25
        return np.repeat(np.kron(cells, np.ones((SIDE, SIDE)))[..., None] * 255, 3, axis=2).round()


def held_out(heads: int, seed: int = 0) -> HeldOut:
    """Make heads of which every state differs from the reference in expression and pose."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    poses = list(vocabulary.POSES.values())
    for head in range(heads):
        identity = rng.uniform(-1, 1, 64)
        expressions, yaws = rng.permutation(vocabulary.EXPRESSIONS), rng.permutation(poses)
        for state in range(3):
            row = {
                "identity_id": f"h{head:04d}",
                "state": state,
                "file": f"h{head:04d}-{state}.webp",
                "expression": str(expressions[state]),
                "yaw": float(yaws[state]),
                "pose": vocabulary.pose_name(yaws[state]),
                "hair_style": "bald" if head % 10 == 9 else "short",
                "hair_colour": str(rng.choice(vocabulary.HAIR_COLOURS)),
                "age_years": float(rng.integers(18, 86)),
                "gender": str(rng.choice(["woman", "man"])),
                "light": str(rng.choice(vocabulary.LIGHTS)),
            }
            shown = np.clip(identity + rng.normal(size=64) * 0.1, -1, 1)
            images.append(picture(shown, row, rng))
            labels.append(row)
    return HeldOut(images=np.stack(images), labels=labels)


def write(heldout: HeldOut, folder) -> None:
    """Write a held-out set as the package reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    for image, row in zip(heldout.images, heldout.labels, strict=True):
        Image.fromarray(image).save(folder / row["file"], lossless=True)
    pq.write_table(pa.Table.from_pylist(heldout.labels), folder / "labels.parquet")
