from __future__ import annotations

import numpy as np

from faces import vocabulary


def test_every_unit_has_its_columns():
    assert len(vocabulary.UNIT_COLUMNS) == len(vocabulary.ACTION_UNITS) + len(vocabulary.SIDED_ACTION_UNITS)
    assert "AU12L" in vocabulary.UNIT_COLUMNS and "AU12" not in vocabulary.UNIT_COLUMNS


def test_mirroring_units_swaps_sides_and_twice_is_nothing():
    values = np.arange(len(vocabulary.UNIT_COLUMNS), dtype=float)[None]
    mirrored = vocabulary.flip_units(values)
    left, right = (vocabulary.UNIT_COLUMNS.index(name) for name in ("AU5L", "AU5R"))
    assert mirrored[0, left] == values[0, right] and mirrored[0, right] == values[0, left]
    np.testing.assert_array_equal(vocabulary.flip_units(mirrored), values)
    middle = vocabulary.UNIT_COLUMNS.index("AU26")
    assert mirrored[0, middle] == values[0, middle]
