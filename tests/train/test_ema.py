from __future__ import annotations

import torch
from torch import nn

from train.ema import Ema


def test_statistics_of_batch_norms_are_averaged_with_the_weights():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model.register_buffer("fixed", torch.ones(2))
    ema = Ema(model, 0.5)
    for step in range(20):
        model(torch.randn(64, 3) + 5)
        ema.update(step)
    newest = model[1].running_mean.clone()
    with ema.applied():
        averaged = model[1].running_mean.clone()
    assert not torch.equal(averaged, newest)
    assert (averaged - newest).abs().max() < (newest.abs().max())
    assert torch.equal(model[1].running_mean, newest)
    assert "fixed" not in ema.names and "1.num_batches_tracked" not in ema.names


def test_an_average_is_restored_whole():
    model = nn.BatchNorm1d(3)
    ema = Ema(model, 0.9)
    model(torch.randn(8, 3))
    ema.update(100)
    other = Ema(nn.BatchNorm1d(3), 0.9)
    other.load_state_dict(ema.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(other.average, ema.average, strict=True))
