"""Speed and exactness of the head renderer.

    python -m bench.heads --makehuman DIR [--seconds 20]

Prints pictures a second with all ground truth at 128 px, a process a core, and the renderer's bars measured on
people that no test uses.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time

import cv2
import numpy as np

from faces.head.dataset import HeadCollection, HeadsConfig
from faces.head.scene import Shading
from faces.head.spec import HeadSpec, Lights

FLAT = Lights(key=(0, 0, 0), fill=(0, 0, 0), rim=(0, 0, 0), sky=(0.9, 0.9, 0.9), ground=(0.9, 0.9, 0.9))
DIFFUSE = Shading(diffuse_only=True, shadows=False)


def rendered(job: tuple[str, int, float]) -> int:
    """Render for some seconds; returns the pictures made after a warm-up."""
    makehuman, seed, seconds = job
    collection = HeadCollection(HeadsConfig(count=10_000, seed=seed), makehuman)
    for index in range(16):
        collection.sample(index)
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        collection.sample(16 + count)
        count += 1
    return count


def pictures_a_second(makehuman: str, seconds: float) -> float:
    """Pictures a second of all cores together."""
    cores = os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        counts = pool.map(rendered, [(makehuman, 900 + core, seconds) for core in range(cores)])
    return sum(counts) / seconds


def flow_errors(collection: HeadCollection, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance of flow there and back in pixels, and squared error of warping, on co-visible pixels."""
    cycle, squared = [], []
    for number in range(people):
        first = collection.sampler.spec(number, 0).model_copy(update={"lights": FLAT})
        second: HeadSpec = first.model_copy(update={"state": collection.sampler.state(number, 1)})
        forward = collection.renderer.render(first, 128, DIFFUSE, other=second)
        backward = collection.renderer.render(second, 128, DIFFUSE, other=first)
        grid = np.stack(np.meshgrid(np.arange(128), np.arange(128)), axis=-1)
        place = (grid + forward.flow).astype(np.float32)
        seen = forward.co_visible
        back = cv2.remap(backward.flow, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
        cycle.append(np.linalg.norm(forward.flow + back, axis=-1)[seen])
        warped = cv2.remap(backward.rgb, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
        squared.append(((warped.astype(np.float32) - forward.rgb) ** 2)[seen].ravel())
    return np.concatenate(cycle), np.concatenate(squared)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--makehuman")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--people", type=int, default=40)
    arguments = parser.parse_args()
    speed = pictures_a_second(arguments.makehuman, arguments.seconds)
    cycle, squared = flow_errors(
        HeadCollection(HeadsConfig(count=1, seed=77), arguments.makehuman), arguments.people
    )
    rows = [
        ("pictures a second, 128 px, 2x supersampling, ground truth, all cores", speed, ">= 25"),
        ("flow there and back within 0.5 px, share of co-visible pixels", (cycle <= 0.5).mean(), ">= 0.99"),
        (
            "warp by flow onto the other state, dB on co-visible pixels",
            10 * np.log10(255**2 / squared.mean()),
            ">= 30",
        ),
    ]
    lines = [f"{name:72s} {value:8.3f}  bar {bar}" for name, value, bar in rows]
    parser.exit(0, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
