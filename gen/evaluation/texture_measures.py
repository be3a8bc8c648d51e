"""Measures of completed textures: gains in dB by region and yaw, seams, detail, marks on one side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from gen.evaluation.bars import NO_BAR, Bar, not_measured
from gen.evaluation.intervals import mean_interval
from gen.evaluation.texture_exam import BINS, TextureExam
from gen.evaluation.texture_guesses import GUESSES
from pipelines.texture.guesses import region_psnr, regions
from pipelines.texture.layout import UVLayout

MODEL = "model"
"""Name of the pipeline among the guesses."""
_ONE_SIDED = 0.08
"""Difference of a texel from its mirror image, of 1, from which on it belongs to a mark on one side."""
_FEWEST = 3
"""Textures below which a bin is not measured."""
_GAINS = (
    ("never", "never-seen", "fitted", 1.0),
    ("never", "never-seen", "pca", 0.0),
    ("mirrored", "mirror-seen", "mirror", 0.5),
    ("one-sided", "one-sided marks, mirror-seen", "mirror", 1.0),
)
"""Region, what it is called, the guess that is to be beaten there, and by how many dB."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Regions:
    """Where textures are measured, (n, 1, s, s) bool each by name, and what is true there."""

    truth: torch.Tensor
    """(n, 3, s, s) in [-1, 1]."""
    inside: Mapping[str, torch.Tensor]

    @classmethod
    def of(cls, truth: torch.Tensor, weight: torch.Tensor, layout: UVLayout) -> Regions:
        """Regions of textures whose texels are known with weights (n, 1, s, s)."""
        inside = regions(weight, layout)
        other = layout.mirrored(truth)
        differs = ((truth - other).abs() / 2).amax(dim=1, keepdim=True) > _ONE_SIDED
        return cls(truth=truth, inside=inside | {"one-sided": inside["mirrored"] & differs})

    def psnr(self, guess: torch.Tensor, region: str) -> np.ndarray:
        """(n,) dB; nan where a texture has too little of the region."""
        return region_psnr(guess, self.truth, self.inside[region]).numpy()


def gain_bars(
    made: Mapping[str, torch.Tensor], shuffled: torch.Tensor, where: Regions, exam: TextureExam
) -> list[Bar]:
    """How much better the pipeline is than the guess that counts in a region: over all heads and by their yaw.

    Args:
        made: (n, 3, s, s) of `MODEL` and of each of `GUESSES`.
        shuffled: (n, 3, s, s) made from what is seen of other heads, for the control.
        where: what is true.
        exam: of n heads.
    """
    found = []
    for region, title, rival, bar in _GAINS:
        theirs = where.psnr(made[rival], region)
        gain = where.psnr(made[MODEL], region) - theirs
        control = where.psnr(shuffled, region) - theirs
        for low, high in ((0, 90), *BINS):
            chosen = exam.within(low, high) & ~np.isnan(gain)
            turned = "" if high == 90 else f", yaw {low} to {high}"
            name = f"{title} texels: dB over {GUESSES[rival]}{turned}"
            if chosen.sum() < _FEWEST and high != 90:
                # Heads that are hardly turned show both sides: there is nothing to measure, and nothing is missed.
                continue
            if chosen.sum() < _FEWEST:
                found.append(not_measured(name, bar, ">=", f"fewer than {_FEWEST} heads have such texels"))
                continue
            found.append(
                Bar(
                    name=name, value=float(gain[chosen].mean()), bar=bar, direction=">=", n=int(chosen.sum()),
                    ci95=mean_interval(gain[chosen], np.flatnonzero(chosen)),
                    control=float(np.nanmean(control[chosen])),
                )
            )  # fmt: skip
    return found


def psnr_lines(made: Mapping[str, torch.Tensor], where: Regions, exam: TextureExam) -> list[Bar]:
    """PSNR of the pipeline and of every guess, without a limit: over all heads, and by their yaw for hidden texels."""
    lines = []
    titles = {MODEL: "completed"} | GUESSES
    for region, title in (
        ("never", "never-seen"),
        ("mirrored", "mirror-seen"),
        ("one-sided", "one-sided marks"),
    ):
        for name, guess in made.items():
            values = where.psnr(guess, region)
            lines.append(line(f"PSNR of {title} texels, {titles[name]}, dB", values))
    for low, high in BINS:
        if not exam.within(low, high).any():
            continue
        for name in (MODEL, "fitted", "mirror", "pca"):
            values = where.psnr(made[name], "unseen")[exam.within(low, high)]
            lines.append(line(f"PSNR of hidden texels, yaw {low} to {high}, {titles[name]}, dB", values))
    return lines


def wrong_subject_bar(own: torch.Tensor, shuffled: torch.Tensor, where: Regions) -> Bar:
    """What hidden texels lose when the seen ones are another head's."""
    lost = where.psnr(own, "unseen") - where.psnr(shuffled, "unseen")
    return Bar(
        name="dB lost in hidden texels when another subject's are shown", value=float(np.nanmean(lost)), bar=2.0,
        direction=">=", n=len(lost), ci95=mean_interval(lost, range(len(lost))), control=0.0,
    )  # fmt: skip


def seam_bar(
    pictures: np.ndarray, pasted: np.ndarray, truth: np.ndarray, seen: np.ndarray, layout: UVLayout
) -> Bar:
    """Mean gradient across the border of what is seen, relative to the true one at the same texels.

    Args:
        pictures: (n, s, s, 3) float 0..1, completed.
        pasted: (n, s, s, 3), what is seen in the mean texture: the control.
        truth: (n, s, s, 3).
        seen: (n, s, s) bool.
        layout: of s texels.
    """
    ratios, controls = [], []
    for picture, other, true, own in zip(pictures, pasted, truth, seen, strict=True):
        steps = [_across(one, own, layout.valid) for one in (picture, other, true)]
        if steps[2] > 0:
            ratios.append(steps[0] / steps[2])
            controls.append(steps[1] / steps[2])
    values = np.array(ratios)
    return Bar(
        name="gradient across the border of what is seen, relative to the true one", value=float(values.mean()),
        bar=1.25, direction="<=", n=len(values), ci95=mean_interval(values, range(len(values))),
        control=float(np.mean(controls)),
    )  # fmt: skip


def detail_lines(made: Mapping[str, torch.Tensor], where: Regions) -> list[Bar]:
    """Gradients of hidden texels relative to the true ones: below 1 is smoother than skin."""
    lines = []
    for name in (MODEL, "pca"):
        title = "completed" if name == MODEL else GUESSES[name]
        values = _sharpness(made[name], where.inside["unseen"]) / _sharpness(
            where.truth, where.inside["unseen"]
        )
        lines.append(line(f"gradient of hidden texels relative to the true one, {title}", values.numpy()))
    return lines


def symmetry_line(own: torch.Tensor, where: Regions, layout: UVLayout) -> Bar:
    """Brightness-symmetry error (FFHQ-UV, Bai et al. 2023) relative to that of the true textures."""
    ours, true = (_asymmetry(one, layout) for one in (own, where.truth))
    return line("brightness-symmetry error relative to the true one", ours / true)


def line(name: str, values: np.ndarray) -> Bar:
    """The mean of values (n,) that are not nan, without a limit."""
    kept = values[~np.isnan(values)]
    if not len(kept):
        return not_measured(name, NO_BAR, "<=", "no head has enough such texels")
    return Bar(
        name=name, value=float(kept.mean()), bar=NO_BAR, direction="<=", n=len(kept),
        ci95=mean_interval(kept, range(len(kept))),
    )  # fmt: skip


def _across(picture: np.ndarray, seen: np.ndarray, valid: np.ndarray) -> float:
    """Mean difference of neighbours of which one is seen and the other is not."""
    total, count = 0.0, 0
    for axis in (0, 1):
        first, second = (np.take(seen, range(*part), axis) for part in ((0, -1 + len(seen)), (1, len(seen))))
        both = np.take(valid, range(len(seen) - 1), axis) & np.take(valid, range(1, len(seen)), axis)
        border = (first != second) & both
        step = np.abs(np.diff(picture, axis=axis)).mean(axis=2)
        total, count = total + float(step[border].sum()), count + int(border.sum())
    return total / count if count else 0.0


def _sharpness(texture: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Mean gradient (n,) inside a region; nan where there is none."""
    across = (texture[..., :, 1:] - texture[..., :, :-1]).abs().mean(dim=1, keepdim=True)
    both = inside[..., :, 1:] & inside[..., :, :-1]
    return (across * both).sum(dim=(1, 2, 3)) / both.sum(dim=(1, 2, 3))


def _asymmetry(texture: torch.Tensor, layout: UVLayout) -> np.ndarray:
    """Mean difference (n,) of blurred brightness from its mirror image."""
    grey = texture.mean(dim=1).numpy()
    soft = np.stack([ndimage.gaussian_filter(one, texture.shape[-1] / 32) for one in grey])
    other = layout.mirrored(torch.from_numpy(soft)[:, None])[:, 0].numpy()
    return np.abs(soft - other)[:, layout.valid].mean(axis=1)
