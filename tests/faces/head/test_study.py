from __future__ import annotations

import numpy as np
import pytest

from faces import captions, vocabulary
from faces.head import study
from faces.head.dataset import HeadsConfig
from faces.head.sampler import HeadSampler
from faces.head.spec import full_action_units

SLIDERS = ["nose/nose-a|incr", "head/head-round"]


@pytest.fixture(scope="module")
def sampler():
    return HeadSampler(4, SLIDERS, np.arange(1000, 1400))


def test_free_units_show_few_and_never_two_that_exclude_each_other():
    for seed in range(500):
        units = study.free_units(np.random.default_rng(seed))
        full = full_action_units(units)
        shown = {name for name in vocabulary.ACTION_UNITS if full[name] > 0}
        assert 1 <= len(shown) <= 5 and not study.is_compound(full)
        for group in study._EXCLUSIVE:
            assert len(shown & group) <= 1


def test_a_first_unit_is_always_shown_and_excludes_what_it_must(sampler):
    for seed in range(200):
        full = full_action_units(study.free_units(np.random.default_rng(seed), "AU18"))
        assert full["AU18"] > 0 and full["AU22"] == full["AU24"] == full["AU25"] == 0
    plain = sampler.state(1, 0)
    drawn = [study.study_state(plain, "subtle", np.random.default_rng(seed)) for seed in range(300)]
    assert all(state.expression == vocabulary.MIXED for state in drawn)
    shown = [full_action_units(state.action_units) for state in drawn]
    for unit in set(study._SUBTLE):
        assert np.mean([full[unit] > 0 for full in shown]) > 0.04


def test_some_units_are_shown_on_one_side():
    drawn = [full_action_units(study.free_units(np.random.default_rng(seed))) for seed in range(300)]
    sided = [abs(full["AU12L"] - full["AU12R"]) for full in drawn if full["AU12"] > 0]
    assert 0.15 < np.mean([value > 0 for value in sided]) < 0.55


def test_compounds_are_told_from_all_else():
    for seed in range(200):
        assert study.is_compound(full_action_units(study.compound_units(np.random.default_rng(seed))))
    for units in study.PROTOTYPES.values():
        assert not study.is_compound(full_action_units(units))


def test_states_of_a_study_are_balanced_and_wide(sampler):
    plain = sampler.state(1, 0)
    assert study.study_state(plain, "portraits", np.random.default_rng(0)) is plain
    drawn = [study.study_state(plain, "exam", np.random.default_rng(seed)) for seed in range(800)]
    mixed = [state for state in drawn if state.expression == vocabulary.MIXED]
    assert 0.42 < len(mixed) / len(drawn) < 0.58
    compounds = [state for state in mixed if study.is_compound(full_action_units(state.action_units))]
    assert 0.4 < len(compounds) / len(mixed) < 0.6
    assert max(abs(state.yaw) for state in drawn) > 35
    units = [study.study_state(plain, "units", np.random.default_rng(seed)) for seed in range(300)]
    assert not any(study.is_compound(full_action_units(state.action_units)) for state in units)


@pytest.mark.parametrize("training", ["seen", "varied"])
def test_seen_and_unseen_materials_share_nothing_but_dark_skin(sampler, training):
    sides = {}
    for materials in (training, "unseen"):
        specs = [study.use_materials(sampler.spec(n, 0), materials, 4, n, 0) for n in range(120)]
        sides[materials] = (
            {spec.identity.skin_variant for spec in specs},
            {spec.identity.brow_style for spec in specs},
            {("man" if spec.identity.gender > 0.5 else "woman", spec.look.hair_style) for spec in specs},
        )
    for seen, unseen in zip(*sides.values(), strict=True):
        assert seen and unseen and not seen & unseen


def test_one_person_keeps_skin_and_brows(sampler):
    pictures = [study.use_materials(sampler.spec(3, v), "unseen", 4, 3, v) for v in range(4)]
    assert len({spec.identity.brow_style for spec in pictures}) == 1
    assert len({spec.lights.key_direction for spec in pictures}) == 4


def test_all_materials_and_portraits_are_what_older_collections_have():
    assert HeadsConfig(count=8, seed=1).hash() != HeadsConfig(count=8, seed=1, states="units").hash()
    assert HeadsConfig(count=8, seed=1).hash() == "7b1ceaa64885798d"


def test_captions_do_not_word_a_mixed_expression():
    labels = {"expression": vocabulary.MIXED, "gender": "woman"}
    for seed in range(20):
        assert "mixed" not in captions.caption(labels, np.random.default_rng(seed))
