from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from faces import vocabulary
from faces.head.expression import PROTOTYPES, morph_weights
from faces.head.sampler import HeadSampler
from faces.head.spec import HeadSpec, Look, full_action_units

SLIDERS = [f"nose/nose-{name}|incr" for name in "abcdefgh"] + [
    "ears/l-ear-scale|incr",
    "ears/r-ear-scale|incr",
    "asym/asym-jaw-1|r",
    "head/head-round",
]


@pytest.fixture(scope="module")
def sampler():
    return HeadSampler(4, SLIDERS, np.arange(1000, 1400))


def test_same_seed_same_spec_and_other_seed_another(sampler):
    again = HeadSampler(4, SLIDERS, np.arange(1000, 1400))
    assert sampler.spec(3, 2) == again.spec(3, 2)
    assert sampler.spec(3, 2) != HeadSampler(5, SLIDERS, np.arange(1000, 1400)).spec(3, 2)


def test_identity_does_not_depend_on_the_picture(sampler):
    assert sampler.spec(7, 0).identity == sampler.spec(7, 5).identity
    assert sampler.spec(7, 0).state != sampler.spec(7, 5).state


def test_two_people_share_no_marks(sampler):
    marks = [{(mark.vertex, mark.radius) for mark in sampler.identity(n).marks} for n in range(60)]
    assert sum(map(len, marks)) > 20
    for index, own in enumerate(marks):
        assert all(own.isdisjoint(other) for other in marks[index + 1 :])


def test_only_adults():
    sampler = HeadSampler(0, SLIDERS, np.arange(1000, 1400))
    ages = [sampler.spec(n, v).look.age_years for n in range(60) for v in range(3)]
    assert min(ages) >= 18
    with pytest.raises(ValidationError):
        Look(age_years=17.9, hair_style="short", hair_colour="black", cloth_colour="white")
    with pytest.raises(ValueError, match="only adults"):
        vocabulary.age_band(17)


def test_ears_of_one_person_are_alike(sampler):
    for number in range(20):
        details = sampler.identity(number).details
        left, right = (details.get(f"ears/{side}-ear-scale|incr", 0.0) for side in "lr")
        assert abs(left - right) < 0.15


def test_looks_carry_no_identity(sampler):
    """Hair style and clothes of two pictures of one person agree no more often than those of two people."""
    specs = [[sampler.spec(n, v).look for v in (0, 1)] for n in range(150)]
    same = np.mean([a.cloth_colour == b.cloth_colour for a, b in specs])
    other = np.mean([specs[n][0].cloth_colour == specs[(n + 1) % 150][1].cloth_colour for n in range(150)])
    assert abs(same - other) < 0.15


def test_labels_are_complete_and_json(sampler):
    import json

    labels = sampler.spec(2, 1).labels()
    assert json.loads(json.dumps(labels)) == labels
    assert labels["expression"] in vocabulary.EXPRESSIONS
    assert set(vocabulary.ACTION_UNITS) <= set(labels["au"])
    assert labels["gender"] in {"man", "woman"}


def test_spec_round_trips_through_json(sampler):
    spec = sampler.spec(1, 3)
    assert HeadSpec.model_validate_json(spec.model_dump_json()) == spec


def test_action_units_are_spelled_out():
    full = full_action_units({"AU12L": 0.8, "AU4": 1.0})
    assert full["AU12L"] == 0.8
    assert full["AU12R"] == 0.0
    assert full["AU12"] == pytest.approx(0.4)
    assert full["AU4L"] == full["AU4R"] == 1.0
    with pytest.raises(ValueError, match="AU99"):
        full_action_units({"AU99": 1})


def test_one_sided_smile_moves_one_half():
    right, left = morph_weights({"AU12L": 1.0})["mouth-corner-puller"]
    assert (right, left) == (0.0, 1.0)


def test_jaw_is_limited():
    assert morph_weights({"AU26": 1.4})["mouth-open"] == (0.75, 0.75)


def test_expressions_have_distinct_prototypes():
    assert tuple(PROTOTYPES) == vocabulary.EXPRESSIONS
    table = np.array(
        [
            [full_action_units(units)[unit] for unit in vocabulary.ACTION_UNITS]
            for units in PROTOTYPES.values()
        ]
    )
    distances = np.linalg.norm(table[:, None] - table[None], axis=2)
    assert distances[~np.eye(8, dtype=bool)].min() > 0.5
