"""Loss weights, schedules and draws against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from train.draws import Draws
from train.losses import contrastive_loss, covariance_penalty, min_snr_weight, snr, target, weighted_mse
from train.moved import moved
from train.schedule import factor


def test_snr_is_signal_over_noise():
    assert snr(torch.tensor([0.9, 0.5, 0.1]), torch.tensor([0, 1, 2])).tolist() == pytest.approx(
        [9.0, 1.0, 1 / 9]
    )


@pytest.mark.parametrize(
    ("prediction", "weights"),
    [
        ("epsilon", [1.0, 1.0, 1.0, 0.5, 0.05]),
        ("v_prediction", [0.0, 1 / 3, 0.5, 5 / 11, 5 / 101]),
        ("sample", [0.0, 0.5, 1.0, 5.0, 5.0]),
    ],
)
def test_min_snr_weights(prediction, weights):
    ratio = torch.tensor([0.0, 0.5, 1.0, 10.0, 100.0])
    assert min_snr_weight(ratio, prediction, gamma=5.0).tolist() == pytest.approx(weights)


def test_weights_of_epsilon_and_v_agree_on_the_error_of_x0():
    # An error e of x0 is one of e sqrt(snr) in epsilon and e sqrt(snr + 1) in v; the weighted losses agree.
    ratio = torch.tensor([0.1, 2.0, 40.0])
    by_epsilon = min_snr_weight(ratio, "epsilon") * ratio
    by_v = min_snr_weight(ratio, "v_prediction") * (ratio + 1)
    torch.testing.assert_close(by_epsilon, min_snr_weight(ratio, "sample"))
    torch.testing.assert_close(by_v, min_snr_weight(ratio, "sample"))


def test_target_of_v_prediction():
    value = target("v_prediction", torch.full((1, 2), 3.0), torch.full((1, 2), 2.0), torch.tensor([0.64]))
    assert value.tolist() == [pytest.approx([0.8 * 2 - 0.6 * 3] * 2)]


def test_weighted_mse_with_and_without_mask():
    predicted = torch.tensor([[1.0, 2.0], [0.0, 4.0]])
    wanted = torch.zeros(2, 2)
    weight = torch.tensor([1.0, 0.5])
    assert weighted_mse(predicted, wanted, weight).item() == pytest.approx((2.5 + 0.5 * 8) / 2)
    mask = torch.tensor([[3.0, 1.0], [1.0, 0.0]])
    assert weighted_mse(predicted, wanted, weight, mask).item() == pytest.approx(((3 + 4) / 4 + 0.5 * 0) / 2)


def test_unknown_prediction_is_refused():
    with pytest.raises(ValueError, match="prediction='x0': must be epsilon"):
        min_snr_weight(torch.ones(1), "x0")


def test_cosine_schedule():
    values = [factor(step, 100, "cosine", warmup=10, final=0.1) for step in (0, 9, 10, 55, 100)]
    assert values == pytest.approx([0.1, 1.0, 1.0, 0.55, 0.1])


def test_constant_schedule_cools_down_and_can_be_extended():
    assert [factor(step, 100, "constant", cooldown=20) for step in (50, 80, 90, 99)] == [1.0, 1.0, 0.5, 0.05]
    assert factor(99, 200, "constant", cooldown=20) == 1.0


def test_draws_belong_to_the_sample_and_not_to_the_batch():
    whole = Draws(3, [10, 11, 12, 13], step=2)
    half = Draws(3, [12, 13], step=2)
    for name, arguments in (("normal", (2, 3)), ("uniform", ()), ("integers", (0, 1000))):
        full = getattr(whole, name)(*arguments)
        assert torch.equal(full[2:], getattr(half, name)(*arguments))
        assert len(set(full.flatten().tolist())) == full.numel()


def test_draws_have_the_right_distribution():
    draws = Draws(0, range(20_000), step=0)
    assert draws.normal(2).mean().item() == pytest.approx(0, abs=0.03)
    assert draws.normal(2).std().item() == pytest.approx(1, abs=0.03)
    uniform = draws.uniform(low=-1, high=3)
    assert uniform.min() >= -1 and uniform.max() < 3 and uniform.mean().item() == pytest.approx(1, abs=0.05)
    assert draws.bernoulli(0.25).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert sorted(set(draws.integers(2, 5).tolist())) == [2, 3, 4]
    assert math.isclose(Draws.fixed(1, 3).normal(1)[2, 0], Draws.fixed(1, 5).normal(1)[2, 0])


def test_contrast_wants_codes_of_one_label_together():
    label = torch.tensor([0, 0, 1, 1])
    together = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    apart = together[[0, 2, 1, 3]]
    # Each code finds its one fellow among three at cosines of 1, 0, 0: -log(e / (e + 2)).
    expected = -math.log(math.e / (math.e + 2))
    assert contrastive_loss(together, label, 1.0).item() == pytest.approx(expected, rel=1e-5)
    assert contrastive_loss(apart, label, 1.0) > contrastive_loss(together, label, 1.0)


def test_a_picture_that_is_not_moved_stays_and_a_mirrored_one_is_mirrored():
    pictures = torch.rand(2, 3, 8, 8)
    seen = moved(pictures, torch.tensor([False, True]), shift=0, scale=0, rotation=0)
    assert torch.allclose(seen[0], pictures[0], atol=1e-5)
    assert torch.allclose(seen[1], pictures[1].flip(-1), atol=1e-5)
    assert not torch.allclose(
        moved(pictures, torch.tensor([False, True]), shift=0.1, scale=0, rotation=0), seen, atol=1e-2
    )


def test_codes_that_tell_a_fact_are_penalised_by_how_much():
    facts = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(4000, 2, generator=torch.Generator().manual_seed(1))
    telling = torch.cat([0.5 * facts, noise[:, :1]], dim=1)
    assert covariance_penalty(telling, 7 * facts + 3).item() == pytest.approx(0.25, abs=0.02)
    assert covariance_penalty(noise, facts).item() < 0.01
