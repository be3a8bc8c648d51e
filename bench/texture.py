"""Seconds of what a photograph goes through until it is a textured head, each as a ratio to the whole call.

    python -m bench.texture [--model mini] [--repeats 7] [--threads 2]

Every round times all of them in turn, so that a busy machine slows them alike; the median over rounds counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from faces.images import open_image
from gen.worker import cpu_threads
from mien.demo import REFERENCES
from pipelines.texture.pipeline import TexturePipeline

_WHOLE = "whole call"
_PHOTO = "head-25.webp"
"""Of the demo's references."""
_BATCH = 4


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mini")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    pipe = TexturePipeline.from_pretrained(given.model)
    pipe.set_progress_bar_config(disable=True)
    photo = open_image(REFERENCES / _PHOTO)
    with cpu_threads(given.threads), TemporaryDirectory() as folder:
        taken = measure(stages(pipe, photo, Path(folder)), given.repeats)
    print(
        f"{given.threads} threads, a photograph of {photo.shape[1]} x {photo.shape[0]} px, "
        f"a texture of {pipe.layout.size} x {pipe.layout.size}, {given.repeats} rounds"
    )
    print(f"{'':<42} {'seconds':>8} {'ratio':>6}")
    for name, value in taken.items():
        print(f"{name:<42} {value:8.3f} {value / taken[_WHOLE]:6.2f}")


def stages(pipe: TexturePipeline, photo: np.ndarray, folder: Path) -> dict[str, Callable[[], object]]:
    """What is timed, on what the stages before it made."""
    fitted = pipe.fit(photo)
    partial = pipe.unwrap(fitted)
    made = pipe(photo, generator=_noise())
    photos = [photo] * _BATCH
    return {
        _WHOLE: lambda: pipe(photo, generator=_noise()),
        "fit": lambda: pipe.fit(photo),
        "unwrap": lambda: pipe.unwrap(fitted),
        "completion, projection and refinement": lambda: pipe(
            texture=partial.texture, visibility=partial.weight, generator=_noise()
        ),
        "export_glb": lambda: pipe.export_glb(folder / "head.glb", made),
        "one view of the turntable": lambda: pipe.turntable(made, yaws=[30.0]),
        f"a batch of {_BATCH}": lambda: pipe(photos, generator=[_noise() for _ in photos]),
        f"{_BATCH} calls": lambda: [pipe(one, generator=_noise()) for one in photos],
    }


def measure(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each call; the first round, which loads and compiles, does not count."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn:
                taken[name].append(time.perf_counter() - started)
    return {name: float(np.median(values)) for name, values in taken.items()}


def _noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


if __name__ == "__main__":
    main()
