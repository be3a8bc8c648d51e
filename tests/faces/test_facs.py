"""Action units in words, and the words read back."""

from __future__ import annotations

import numpy as np
import pytest

from faces import facs, vocabulary
from faces.head.expression import PROTOTYPES
from pipelines.expression.modules import STRONGEST


def drawn(seed: int) -> dict[str, float]:
    """Intensities of all columns, a third of them at rest, sides alike or not."""
    rng = np.random.default_rng(seed)
    units = {name: float(rng.uniform(0, facs.STRONGEST)) for name in vocabulary.UNIT_COLUMNS}
    units |= {name: 0.0 for name in vocabulary.UNIT_COLUMNS if rng.random() < 1 / 3}
    for unit in vocabulary.SIDED_ACTION_UNITS:
        if rng.random() < 0.5:
            units[unit + "R"] = units[unit + "L"]
    return units


def test_every_unit_has_a_name_of_its_own_and_the_steps_leave_no_gap():
    assert tuple(facs.NAMES) == vocabulary.ACTION_UNITS
    assert len(set(facs.NAMES.values())) == len(facs.NAMES)
    bounds = [facs.REST, *facs.INTENSITIES.values()]
    assert bounds[0][0] == 0 and bounds[-1][1] == facs.STRONGEST == STRONGEST
    assert [high for _, high in bounds[:-1]] == [low for low, _ in bounds[1:]]
    assert list(facs.INTENSITIES) == ["trace", "slight", "marked", "severe", "maximum"]


def test_the_words():
    units = {"AU12": 0.6, "AU4L": 0.3, "AU25": 0.04}
    assert facs.describe(units) == "AU12 lip corner puller marked, AU4 brow lowerer slight on the left"
    assert facs.describe({"AU7L": 0.9, "AU7R": 0.1}) == (
        "AU7 lid tightener severe on the left, AU7 lid tightener trace on the right"
    )
    assert facs.describe({"AU12": 0.6, "AU12R": 0.0}) == "AU12 lip corner puller marked on the left"
    assert facs.describe({}) == facs.describe(dict.fromkeys(vocabulary.UNIT_COLUMNS, 0.0)) == facs.AT_REST


def test_what_is_read_back_is_the_step_of_every_unit():
    for seed in range(300):
        units = drawn(seed)
        found = facs.parse(facs.describe(units))
        assert list(found) == list(vocabulary.UNIT_COLUMNS)
        for name, value in units.items():
            word = facs.intensity(value)
            assert found[name] == (facs.INTENSITIES[word] if word else facs.REST)
            assert facs.is_within(value, found[name])


def test_a_changed_unit_is_no_longer_what_the_words_say():
    units = facs.columns(PROTOTYPES["happy"])
    found = facs.parse(facs.describe(units))
    for name in vocabulary.UNIT_COLUMNS:
        changed = 1.3 if units[name] < 1 else 0.0
        assert facs.is_within(units[name], found[name]) and not facs.is_within(changed, found[name])


@pytest.mark.parametrize(
    "value", [0.0, 0.049, 0.05, 0.2, 0.45, 0.8, 1.15, np.nextafter(1.15, 0), facs.STRONGEST]
)
def test_the_edges_of_the_steps_belong_to_the_upper_one(value):
    assert facs.is_within(value, facs.parse(facs.describe({"AU9": value}))["AU9"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AU12 brow lowerer marked", "expected words like"),
        ("AU12 lip corner puller strong", "expected words like"),
        ("AU99 lip corner puller marked", "expected words like"),
        ("AU9 nose wrinkler marked on the left", "AU9 has no sides"),
        ("AU9 nose wrinkler marked, AU9 nose wrinkler slight", "AU9 is described twice"),
        (
            "AU12 lip corner puller marked, AU12 lip corner puller slight on the left",
            "AU12L is described twice",
        ),
        ("", "expected words like"),
        ("all action units at rest, AU9 nose wrinkler marked", "expected words like"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        facs.parse(text)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({"AU3": 1.0}, "AU3: unknown"),
        ({"AU9L": 1.0}, "AU9L: unknown"),
        ({"AU9": 1.6}, "intensity is 1.6"),
        ({"AU9": -0.1}, "intensity is -0.1"),
        ({"AU9": float("nan")}, "intensity is nan"),
    ],
)
def test_other_units_are_refused(units, message):
    with pytest.raises(ValueError, match=message):
        facs.describe(units)
