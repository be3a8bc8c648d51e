"""Traits are exact labels of a person; their shapes need the head assets and skip without them."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest

from faces.head.assets import ENVIRONMENT, load_assets
from faces.head.morph import MorphModel
from faces.head.sampler import HeadSampler
from train.data.traits import identity_traits


def _heads(sampler: HeadSampler, people: int, pictures: int) -> SimpleNamespace:
    identities = [sampler.identity(number).model_dump(mode="json") for number in range(people)]
    order = np.repeat(np.arange(people), pictures)
    return SimpleNamespace(identity=order, spec=lambda index: {"identity": identities[order[index]]})


def test_sliders_are_standardised_a_row_a_person():
    sampler = HeadSampler(0, [f"nose/nose-{name}|incr" for name in "abc"], np.arange(9))
    traits = identity_traits(_heads(sampler, 50, 2), "sliders")
    assert traits.shape[0] == 50
    assert np.abs(traits.mean(axis=0)).max() < 1e-4
    varying = traits.std(axis=0) > 0
    assert np.allclose(traits.std(axis=0)[varying], 1, atol=1e-3)


def test_shape_components_shrink_and_tell_people_apart():
    if not os.environ.get(ENVIRONMENT):
        pytest.skip(f"head assets: set {ENVIRONMENT} to MakeHuman's data folder")
    sliders = list(MorphModel(load_assets()).sliders)
    sampler = HeadSampler(0, sliders, np.arange(9))
    traits = identity_traits(_heads(sampler, 80, 1), "shape")
    shape = traits[:, -48:]
    deviations = shape.std(axis=0)
    assert deviations[0] == pytest.approx(1, abs=0.05)
    assert (np.diff(deviations) < 1e-3).all()
    distances = np.linalg.norm(shape[:, None] - shape[None], axis=-1)[np.triu_indices(80, 1)]
    assert distances.min() > 0.2
