"""Heads with completed textures, seen from other sides than the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from faces import alignment
from gen.evaluation.bars import RENDERS, Bar, Settings
from gen.evaluation.intervals import mean_interval
from gen.evaluation.texture_guesses import GUESSES
from gen.evaluation.texture_measures import MODEL
from pipelines.texture.camera import HeadCamera
from pipelines.texture.rasterizer import render

if TYPE_CHECKING:
    from gen.evaluation.judge import Judge
    from gen.evaluation.texture import Read

TURNS = (-30.0, 30.0)
"""Degrees of yaw that views are away from the picture."""
SIZE = 128
_STEEPEST = 80.0
_BACKGROUND = (0.5, 0.5, 0.5)
_LIGHT = (0.2, 0.4, 1.0)
_RIVALS = ("mirror", "pca")


def bars(
    pipe: Any,
    judge: Judge,
    read: Read,
    made: Mapping[str, torch.Tensor],
    seen: np.ndarray,
    truth: torch.Tensor,
    settings: Settings,
) -> list[Bar]:
    """PSNR and identity of views of completed heads, against the same views with the true textures.

    Args:
        pipe: whose template.
        judge: shares no weights with the pipeline.
        read: meshes and cameras of n heads.
        made: (n, 3, s, s) in [-1, 1] of the pipeline (`MODEL`) and of guesses.
        seen: (n, s, s) bool, texels that every guess takes from the picture.
        truth: (n, 3, s, s).
        settings: tells the progress.
    """  # fmt: skip
    settings.progress("views", 0.0)
    pasted = torch.from_numpy(seen)[:, None]
    textures = {
        name: torch.where(pasted, read.known, made[name]) if name != MODEL else made[name]
        for name in (MODEL, *_RIVALS)
    }
    true = _views(read, truth)
    found = {name: _views(read, texture) for name, texture in textures.items()}
    settings.progress("views", 0.7)
    owner = np.repeat(np.arange(len(read.meshes)), len(TURNS))
    own = judge.measure(_frames(true, pipe, read)).embedding
    psnr = {
        name: np.array([_psnr(*pair) for pair in zip(one, true, strict=True)]) for name, one in found.items()
    }
    alike = {
        name: (judge.measure(_frames(one, pipe, read)).embedding * own).sum(axis=1)
        for name, one in found.items()
    }
    lines = [
        _gain("PSNR of views 30 degrees away, dB", psnr, owner),
        _gain("identity cosine of views 30 degrees away", alike, owner),
    ]
    for name in (MODEL, *_RIVALS):
        title = "completed" if name == MODEL else GUESSES[name]
        for what, values in (("PSNR, dB", psnr[name]), ("identity cosine", alike[name])):
            lines.append(
                Bar(
                    name=f"views 30 degrees away, {title}: {what}", value=float(values.mean()), bar=float("inf"),
                    direction="<=", n=len(read.meshes), ci95=mean_interval(values, owner),
                )
            )  # fmt: skip
    settings.progress("views", 1.0)
    return lines


def _gain(what: str, found: Mapping[str, np.ndarray], owner: np.ndarray) -> Bar:
    gain = found[MODEL] - found["mirror"]
    return Bar(
        name=f"{what}: gain over the mirror image", value=float(gain.mean()), bar=0.0, direction=">=",
        n=len(np.unique(owner)), ci95=mean_interval(gain, owner), domain=RENDERS,
    )  # fmt: skip


def _views(read: Read, textures: torch.Tensor) -> list[np.ndarray]:
    """Two views of every head, (SIZE, SIZE, 3) uint8 each."""
    pictures = []
    for number, texture in enumerate(textures):
        colours = (texture.clamp(-1, 1) / 2 + 0.5).movedim(0, -1).numpy()
        for camera in cameras(read, number):
            drawn = render(
                read.meshes[number].vertices, read.meshes[number].triangles, read.meshes[number].uv, colours, camera,
                light=_LIGHT, background=_BACKGROUND,
            )  # fmt: skip
            pictures.append(np.rint(drawn.picture.clip(0, 1) * 255).astype(np.uint8))
    return pictures


def cameras(read: Read, number: int) -> list[HeadCamera]:
    """The cameras of both views of a head."""
    yaw, pitch, _ = read.cameras[number].angles
    turned = [float(np.clip(yaw + turn, -_STEEPEST, _STEEPEST)) for turn in TURNS]
    return [HeadCamera.portrait(read.meshes[number].vertices, SIZE, yaw=one, pitch=pitch) for one in turned]


def _frames(pictures: Sequence[np.ndarray], pipe: Any, read: Read) -> np.ndarray:
    """Views in the canonical frame, which the judge reads."""
    frames = []
    for number in range(len(read.meshes)):
        vertices = torch.from_numpy(read.meshes[number].vertices)[None]
        points = pipe.template.cpu().landmarks_of(vertices)[0].numpy()
        for place, camera in enumerate(cameras(read, number)):
            landmarks, _ = camera.project(points)
            frames.append(alignment.align(pictures[number * len(TURNS) + place], landmarks, 128)[0])
    pipe.template.to(pipe.device)
    return np.stack(frames)


def _psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """PSNR in dB over the pixels that show the head."""
    head = (truth != np.rint(np.array(_BACKGROUND) * 255)).any(axis=-1)
    error = np.square((picture.astype(np.float64) - truth)[head] / 255).mean()
    return float(-10 * np.log10(max(error, 1e-10)))
