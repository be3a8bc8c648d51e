"""Fits the probabilities of face analysis on people that its training did not show, into the config of its network.

The temperature of the expressions (Guo et al. 2017, section 4.2), and at what distance from the basic expressions a
face is as likely one of them as none.

python -m train.calibrate weights/perception data/dev-units
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from faces.openset import basic_distance
from faces.perception import PerceptionNet
from train.data.heads import IGNORED, HeadArrays
from train.tasks.perception import look, study_labels


def calibration(net: PerceptionNet, heads: HeadArrays) -> dict[str, float]:
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


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description="Calibrate the network of face analysis on rendered heads.")
    parser.add_argument("network", type=Path, help="folder of the network; its config is written anew")
    parser.add_argument("shards", type=Path, help="heads with states `exam` that training does not show")
    arguments = parser.parse_args()
    net = PerceptionNet.load(arguments.network)
    net.config["calibration"] = calibration(net, HeadArrays(arguments.shards))
    net.save(arguments.network)


if __name__ == "__main__":
    main()
