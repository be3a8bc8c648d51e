"""How far a face is from every basic expression: open-set recognition in the space of action units.

A classifier of eight expressions has to name one of them. What a face shows is compared with the typical action units
of each, at the strength that fits best: a face that is near none of them shows none of them.
"""

from __future__ import annotations

import numpy as np

from faces import vocabulary
from faces.head.expression import PROTOTYPES
from faces.head.spec import unit_columns

_STRENGTHS = (0.5, 1.25)
"""Between which a display of a basic expression is still that expression."""


def basic_distance(units: np.ndarray) -> np.ndarray:
    """Distance of action units (n, 26), in the order of `UNIT_COLUMNS`, to the nearest basic expression, (n,).

    The root of the summed squared differences to the typical units times the best strength in 0.5..1.25; "neutral" has
    no strength.
    """
    units = np.maximum(np.asarray(units, np.float64), 0)
    distances = []
    for typical in _typical():
        energy = float(typical @ typical)
        strength = np.clip(units @ typical / energy, *_STRENGTHS) if energy > 0 else np.zeros(len(units))
        distances.append(np.linalg.norm(units - strength[:, None] * typical, axis=1))
    return np.min(distances, axis=0)


def _typical() -> np.ndarray:
    """Action units of each basic expression, (8, 26)."""
    return np.array([list(unit_columns(PROTOTYPES[name]).values()) for name in vocabulary.EXPRESSIONS])
