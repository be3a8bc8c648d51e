"""Seconds of a drag edit beside its preview and beside guidance, each as a ratio to the plain edit.

    python -m bench.drag [--model mini] [--repeats 7] [--threads 2]

Every round times all of them in turn, so that a busy machine slows them alike; the median over rounds counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from gen.evaluation import drag_exam
from gen.worker import cpu_threads
from pipelines.drag.pipeline import DragPipeline

SCALES = {
    "edit": (1.0, 1.0),
    "edit, guided by the flow": (1.0, 2.0),
    "edit, guided by the picture": (2.0, 1.0),
    "edit, guided by both": (2.0, 2.0),
}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mini")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    pipe = DragPipeline.from_pretrained(given.model)
    pipe.set_progress_bar_config(disable=True)
    exam = drag_exam.load().resized(pipe.frame_size)
    asked = exam.drags(0, 5)
    photo, drags = exam.images[0], list(np.stack([asked.sources, asked.targets], axis=1))

    def edit(image_scale: float, flow_scale: float) -> None:
        pipe(
            photo, drags, aligned=True, generator=torch.Generator().manual_seed(0),
            image_guidance_scale=image_scale, flow_guidance_scale=flow_scale,
        )  # fmt: skip

    calls: dict[str, Callable[[], object]] = {"preview": lambda: pipe.preview(photo, drags, aligned=True)}
    calls |= {name: lambda scales=scales: edit(*scales) for name, scales in SCALES.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    with cpu_threads(given.threads):
        for turn in range(given.repeats + 1):
            for name, call in calls.items():
                started = time.perf_counter()
                call()
                if turn:  # the first one loads and compiles
                    taken[name].append(time.perf_counter() - started)
    seconds = {name: float(np.median(values)) for name, values in taken.items()}
    print(f"{given.threads} threads, {pipe.frame_size} px, 5 drags, {given.repeats} rounds")
    print(f"{'':<30} {'seconds':>8} {'ratio':>6}")
    for name, value in seconds.items():
        print(f"{name:<30} {value:8.3f} {value / seconds['edit']:6.2f}")


if __name__ == "__main__":
    main()
