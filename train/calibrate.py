"""Fits the probabilities of face analysis on people that its training did not show, into the config of its network.

The temperature of the expressions (Guo et al. 2017, section 4.2), at what distance from the basic expressions a face is
as likely one of them as none, and by how much a part's label has to be ahead of others for maps to overlap best.

python -m train.calibrate weights/perception data/dev-units data/dev-varied
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar

from faces import vocabulary
from faces.networks import network_input
from faces.openset import basic_distance
from faces.perception import PerceptionNet
from train.brows import paint_brows
from train.data.heads import IGNORED, HeadArrays
from train.degrade import degrade
from train.tasks.perception import look, study_labels

_BATCH = 32
_PARSING_STEPS = (0.5, 0.25)
_LEAST_GAIN = 1e-4
"""Of mean IoU, for a step to be worth it."""


def calibration(net: PerceptionNet, heads: HeadArrays) -> dict[str, Any]:
    """Fit on heads with basic and mixed expressions.

    Returns:
        temperature; open_set_centre, the distance of equal odds, and open_set_width of the logistic curve about it.
    """
    out, wanted = look(net, heads.image), study_labels(heads.labels)["expression"]
    basic = wanted != IGNORED
    logits, truth = out["expression"][basic].astype(np.float64), wanted[basic]

    def surprise(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        return float(-(scaled[np.arange(len(truth)), truth] - np.log(np.exp(scaled).sum(axis=1))).mean())

    temperature = float(np.exp(minimize_scalar(surprise, bounds=(-2, 2), method="bounded").x))
    distance = basic_distance(out["action_units"])

    def odds(values: np.ndarray) -> float:
        signed = (distance - values[0]) / np.exp(values[1]) * np.where(basic, -1, 1)
        return float(np.logaddexp(0, -signed).mean())

    centre, log_width = minimize(odds, [float(np.median(distance)), -1.0], method="Nelder-Mead").x
    return {
        "temperature": round(temperature, 4),
        "open_set_centre": round(float(centre), 4),
        "open_set_width": round(float(np.exp(log_width)), 4),
    }


@torch.no_grad()
def parsing_shifts(net: PerceptionNet, heads: HeadArrays, every: int = 4) -> dict[str, float]:
    """What to add to the logits of parsing for the best mean overlap, the same for both sides of a part.

    Coordinate ascent over every `every`-th head, as it is and once more damaged, since damage is what makes thin parts
    uncertain. Half of them get painted brows: shifts for the few styles that are rendered would be wrong for others.

    Returns:
        Name of `vocabulary.PARSING` -> shift, those that are not 0.
    """
    pictures, labels, damaged = [], [], []
    for number, row in enumerate(range(0, len(heads), every)):
        image, parsing, rng = heads.image[row], heads.parsing[row], np.random.default_rng([0, row])
        if number % 2:
            image, parsing = paint_brows(image, parsing, heads.landmarks[row], rng)
        pictures.append(image)
        labels.append(parsing)
        damaged.append(degrade(image, rng, "full")[0])
    truth = torch.from_numpy(np.stack(labels)).long()
    sets = [torch.cat([_parsing_logits(net, part) for part in _batches(x)]) for x in (pictures, damaged)]
    stride = truth.shape[-1] // sets[0].shape[-1]
    truth, shifts = truth[:, ::stride, ::stride], torch.zeros(len(vocabulary.PARSING))
    best = _overlap(sets, truth, shifts)
    for step in _PARSING_STEPS:
        for part, sign in product(_sided_parts(), (1, -1)):
            while True:
                changed = shifts.clone()
                changed[part] += sign * step
                score = _overlap(sets, truth, changed)
                if score <= best + _LEAST_GAIN:
                    break
                shifts, best = changed, score
    return {
        name: value for name, value in zip(vocabulary.PARSING, shifts.tolist(), strict=True) if value != 0
    }


def _batches(images: list[np.ndarray]) -> Iterator[np.ndarray]:
    for start in range(0, len(images), _BATCH):
        yield np.stack(images[start : start + _BATCH])


def _parsing_logits(net: PerceptionNet, images: np.ndarray) -> torch.Tensor:
    return net(network_input(torch.from_numpy(images)), ("parsing",))["parsing"]


def _sided_parts() -> list[list[int]]:
    """Ids of labels that get one shift: left and right together; not the background, against which others move."""
    names = vocabulary.PARSING
    sides = [[names.index(f"{side}_{part}") for side in "lr"] for part in ("brow", "eye", "ear")]
    sided = {number for pair in sides for number in pair}
    return sides + [[number] for number in range(1, len(names)) if number not in sided]


def _overlap(sets: list[torch.Tensor], truth: torch.Tensor, shifts: torch.Tensor) -> float:
    """Mean IoU of the labels that occur, over sets of logits (n, k, h, w) of the same heads."""
    count = len(shifts)
    scores = []
    for logits in sets:
        found = (logits + shifts[:, None, None]).argmax(dim=1)
        table = torch.bincount((truth * count + found).flatten(), minlength=count**2).view(count, count)
        both, either = table.diag(), table.sum(dim=0) + table.sum(dim=1) - table.diag()
        occurs = table.sum(dim=1) > 0
        scores.append(float((both[occurs] / either[occurs]).mean()))
    return float(np.mean(scores))


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description="Calibrate the network of face analysis on rendered heads.")
    parser.add_argument("network", type=Path, help="folder of the network; its config is written anew")
    parser.add_argument(
        "shards", type=Path, nargs="+", help="heads with states `exam` that training does not show"
    )
    arguments = parser.parse_args()
    net = PerceptionNet.load(arguments.network)
    heads = HeadArrays(tuple(arguments.shards))
    net.config["calibration"] = calibration(net, heads) | {"parsing": parsing_shifts(net, heads)}
    net.save(arguments.network)


if __name__ == "__main__":
    main()
