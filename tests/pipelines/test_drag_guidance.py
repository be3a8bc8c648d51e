"""Guidance by picture and flow: the formula, and no more forward passes than it needs."""

from __future__ import annotations

import itertools

import pytest
import torch

from pipelines.drag.guidance import branch_weights, combine

SCALES = (0.0, 0.3, 1.0, 1.5, 1.75, 4.0)
DRAWN = torch.Generator().manual_seed(0)
ANSWERS = {branch: torch.randn(2, 4, 3, 3, generator=DRAWN) for branch in ("none", "image", "flow")}


@pytest.mark.parametrize(("image", "flow"), itertools.product(SCALES, SCALES))
def test_the_sum_is_that_of_the_formula(image, flow):
    none, picture, both = ANSWERS.values()
    expected = none + image * (picture - none) + flow * (both - picture)
    weights = branch_weights(image, flow)
    found = combine({branch: ANSWERS[branch] for branch in weights}, weights)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("image", "flow", "branches"),
    [
        (1, 1, {"flow"}),
        (0, 0, {"none"}),
        (1, 0, {"image"}),
        (0, 1, {"none", "image", "flow"}),
        (1, 1.5, {"image", "flow"}),
        (1.5, 1, {"none", "image", "flow"}),
        (1.5, 1.5, {"none", "flow"}),
        (0.5, 0.5, {"none", "flow"}),
        (1.5, 0, {"none", "image"}),
        (0, 1.5, {"none", "image", "flow"}),
        (1.75, 1.5, {"none", "image", "flow"}),
    ],
)
def test_branches_that_do_not_count_are_left_out(image, flow, branches):
    assert set(branch_weights(image, flow)) == branches


def test_the_flow_alone_is_given_back_as_it_is():
    assert torch.equal(combine({"flow": ANSWERS["flow"]}, branch_weights(1, 1)), ANSWERS["flow"])


def test_a_branch_that_counts_has_to_be_there():
    with pytest.raises(KeyError, match="image"):
        combine({"none": ANSWERS["none"], "flow": ANSWERS["flow"]}, branch_weights(1.75, 1.5))


@pytest.mark.parametrize("wrong", [-0.5, float("nan"), float("inf")])
def test_scales_are_numbers_from_zero_on(wrong):
    with pytest.raises(ValueError, match="image_scale .*: expected a number from 0 on"):
        branch_weights(wrong, 1)
    with pytest.raises(ValueError, match="flow_scale .*: expected a number from 0 on"):
        branch_weights(1, wrong)
