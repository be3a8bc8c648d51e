"""From one convention of landmarks to another: what a benchmark's annotators drew is not what a renderer projects.

Wood et al. (2021, "Fake it till you make it", section 5.1) found that a small network on coordinates alone brings the
landmarks of a renderer to those of annotators. The bundled one goes from projected points of the head, some of which a
turned cheek hides, to points on the visible outline; a user with annotated pictures of their own fits another.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from faces.alignment import anchor_points, fit_similarity, invert, transform_points
from faces.networks import FaceNetwork

_CANONICAL = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, 1.1]])
"""Where eyes and mouth are brought to before the network looks: pose in the picture is no matter of convention."""
LEAST = 50
"""Annotated faces that a fit needs."""


class LandmarkAdapter(FaceNetwork):
    """Moves 68 landmarks to another convention: a residual MLP on coordinates in the face's own frame.

    Args:
        width: of the hidden layers.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__(width=width)
        last = nn.Linear(width, 136)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.body = nn.Sequential(nn.Linear(136, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), last)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Map (n, 68, 2) in the face's own frame to the same."""
        return points + self.body(points.flatten(1)).unflatten(1, (68, 2))

    @torch.no_grad()
    def convert(self, landmarks: np.ndarray) -> np.ndarray:
        """Convert landmarks (n, 68, 2) in pixels of any picture; returns the same shape, float32."""
        if not len(landmarks):
            return landmarks.astype(np.float32)
        matrices = [own_frame(points) for points in landmarks]
        own = np.stack([transform_points(p, m) for p, m in zip(landmarks, matrices, strict=True)])
        moved = self(torch.from_numpy(own.astype(np.float32))).numpy()
        back = [transform_points(p, invert(m)) for p, m in zip(moved, matrices, strict=True)]
        return np.stack(back).astype(np.float32)

    @classmethod
    def fit(
        cls, found: np.ndarray, wanted: np.ndarray, *, width: int = 96, steps: int = 800, seed: int = 0
    ) -> LandmarkAdapter:
        """Fit an adapter to faces that are known in both conventions.

        Args:
            found: (n, 68, 2) landmarks of the network, pixels.
            wanted: (n, 68, 2) landmarks of the other convention, pixels of the same pictures.
            width: of the hidden layers.
            steps: of Adam on all faces together.
            seed: of the start.

        Raises:
            ValueError: fewer than 50 faces, or shapes that do not agree.
        """
        if found.shape != wanted.shape or found.ndim != 3 or found.shape[1:] != (68, 2):
            raise ValueError(f"landmarks {found.shape} and {wanted.shape}: expected twice (n, 68, 2)")
        if len(found) < LEAST:
            raise ValueError(f"{len(found)} faces known in both conventions, at least {LEAST} are needed")
        matrices = [own_frame(points) for points in found]
        own, aim = (
            torch.from_numpy(
                np.stack([transform_points(p, m) for p, m in zip(side, matrices, strict=True)])
            ).float()
            for side in (found, wanted)
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            adapter = cls(width)
        optimizer = torch.optim.Adam(adapter.parameters(), lr=3e-3, weight_decay=1e-5)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            loss = (adapter(own) - aim).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        return adapter.eval()


def own_frame(landmarks: np.ndarray) -> np.ndarray:
    """Matrix (2, 3) that brings eyes and mouth of landmarks (68, 2) to fixed places one eyes' distance apart."""
    return fit_similarity(anchor_points(landmarks), _CANONICAL)
