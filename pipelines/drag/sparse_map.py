"""Drags as pictures for a network: as InstantDrag (Shin et al. 2024, arXiv:2409.08857) draws them, and as splats.

InstantDrag draws single pixels and scales each axis by its largest drag, so directions and lengths come back only by
its factors, and a point that shall stay looks like no point. Splats keep both, and say where they know something.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from pipelines.drag.drags import Drags

VECTOR_SCALE = 10.0
"""A vector as long as a tenth of the frame's width has length 1 in a map of splats."""

_SIGMA = 1.5 / 128
"""Of a splat, as a share of the frame's width."""
_LEAST_SIGMA = 0.5
"""In pixels of the map: a narrower splat could fall between their centres."""
_REACH = 3
"""Sigmas from its centre at which a splat ends."""
_SHRINK = 2
"""Pixels of the frame that InstantDrag draws drags in to a pixel of its map."""
_LEAST_FACTOR = 1e-8
"""Of an axis in pixels; with less it counts as not dragged along."""


def published_map(drags: Sequence[Drags], size: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw drags as the published FlowGen reads them.

    Of several drags from one pixel the last one counts. A drag of length zero is not seen.

    Args:
        drags: of square frames.
        size: side of the map; the drags are drawn at twice of it, which is 512 px as published.

    Returns:
        Maps (n, 2, size, size) float32, and the largest |dx| and |dy| of each, (n, 2), in pixels of twice the size.

    Raises:
        ValueError: a frame that is not square, or pins, which such a map has none of.
    """
    impulses = torch.stack([_impulses(one, _SHRINK * size) for one in drags])
    factors = impulses.abs().amax(dim=(2, 3))
    impulses = impulses / torch.where(factors < _LEAST_FACTOR, 1.0, factors)[..., None, None]
    maps = functional.interpolate(impulses, size=(size, size), mode="bicubic", align_corners=False)
    return maps, factors


def published_flow(
    output: torch.Tensor, factors: torch.Tensor, multiplier: float | None = None
) -> torch.Tensor:
    """Turn what the published FlowGen answers into flow.

    A channel of zeros stays zero, and so does one along which nothing is dragged.

    Args:
        output: (n, 2, h, w) in [-1, 1].
        factors: (n, 2) of `published_map`.
        multiplier: of the output. None brings the largest value of each channel to 1, as published by default under
            the name -1; the paper's figures have 2.

    Returns:
        (n, 2, h, w), (dx, dy) in pixels of its own grid.

    Raises:
        ValueError: a multiplier that is not above 0.
    """
    if multiplier is None:
        peaks = output.abs().amax(dim=(2, 3), keepdim=True)
        # The published code divides 0 by 0 here.
        output = output / torch.where(peaks > 0, peaks, 1.0)
    elif multiplier > 0 and math.isfinite(multiplier):
        output = output * multiplier
    else:
        raise ValueError(
            f"multiplier {multiplier}: expected a number above 0, or None for a largest value of 1"
        )
    return output * (factors.to(output) / _SHRINK)[..., None, None]


def published_latent_flow(flow: torch.Tensor, size: int) -> torch.Tensor:
    """Bring flow to the grid of latents as the published denoiser reads it ("normalize_fixed").

    Args:
        flow: (n, 2, h, w), (dx, dy) in pixels of its own grid.
        size: side of the grid of latents.

    Returns:
        (n, 2, size, size), displacements as shares of the picture's width and height.
    """
    height, width = flow.shape[2:]
    resized = functional.interpolate(flow, size=(size, size), mode="bicubic", align_corners=False)
    return resized / resized.new_tensor([width, height])[:, None, None]


def splat_map(drags: Sequence[Drags], size: int) -> torch.Tensor:
    """Draw drags and pins as Gaussian splats.

    Args:
        drags: of square frames.
        size: side of the map.

    Returns:
        (n, 3, size, size) as of `draw_splats`.

    Raises:
        ValueError: a frame that is not square.
    """
    rows = [_square(one, size) for one in drags]
    most = max(len(one.sources) + len(one.pins) for one in rows)
    places, vectors = torch.zeros(len(rows), most, 2), torch.zeros(len(rows), most, 2)
    known = torch.zeros(len(rows), most, dtype=torch.bool)
    for row, one in enumerate(rows):
        count, all_of_them = len(one.sources), len(one.sources) + len(one.pins)
        places[row, :count], places[row, count:all_of_them] = map(torch.from_numpy, (one.sources, one.pins))
        vectors[row, :count] = torch.from_numpy(one.vectors)
        known[row, :all_of_them] = True
    return draw_splats(places / size, vectors / size, known, size)


def draw_splats(places: torch.Tensor, vectors: torch.Tensor, known: torch.Tensor, size: int) -> torch.Tensor:
    """Draw a batch of points with vectors as Gaussian splats.

    Where splats overlap, their vectors are averaged by weight (Knutsson and Westin 1993, normalised convolution).

    Args:
        places: (n, k, 2) as shares of the frame's width, x and y.
        vectors: (n, k, 2) likewise; 0 for pins.
        known: (n, k) bool, which of them there are.
        size: side of the map.

    Returns:
        (n, 3, size, size) float32: vectors in frame widths times `VECTOR_SCALE`, and confidence 0..1, which is 1 at a
        source or pin. All three are 0 away from them.
    """
    sigma = max(_SIGMA * size, _LEAST_SIGMA)
    centres = torch.arange(size, device=places.device) + 0.5
    columns, rows = torch.exp(-(((centres - places[..., None] * size) / sigma) ** 2) / 2).unbind(dim=2)
    weights = rows[..., :, None] * columns[..., None, :]  # (n, k, size, size)
    weights = torch.where(weights < math.exp(-(_REACH**2) / 2), 0.0, weights) * known[..., None, None]
    total = weights.sum(dim=1)
    summed = torch.einsum("nkyx,nkc->ncyx", weights, vectors * VECTOR_SCALE)
    mean = summed / torch.where(total > 0, total, 1.0)[:, None]
    confidence = weights.amax(dim=1) if weights.shape[1] else total
    return torch.cat([mean, confidence[:, None]], dim=1)


def _impulses(drags: Drags, size: int) -> torch.Tensor:  # (2, size, size), pixels of that size
    if len(drags.pins):
        raise ValueError(
            f"pins: {len(drags.pins)} given; to InstantDrag a point that stays is no point, give drags alone"
        )
    drags = _square(drags, size)
    impulses = torch.zeros(2, size, size)
    # One after another, because of equal pixels a tensor would not say which one it keeps.
    for (column, row), vector in zip(drags.source_pixels, torch.from_numpy(drags.vectors), strict=True):
        impulses[:, row, column] = vector
    return impulses


def _square(drags: Drags, size: int) -> Drags:
    width, height = drags.size
    if width != height:
        raise ValueError(f"drags of a picture of {width} x {height} px: expected a square frame")
    return drags.scaled((size, size))
