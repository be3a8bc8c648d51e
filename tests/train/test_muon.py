from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.utils import DistributedType
from torch import nn

from train.config import OptimizerConfig, TrainConfig
from train.launch import require_whole_matrices
from train.muon import Muon, orthogonalised
from train.optimizer import make_optimizer, parameter_groups
from train.tasks import Task
from train.tasks.perception import PerceptionConfig


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    before = torch.randn(shape) * torch.logspace(0, -1, shape[1])
    after = torch.linalg.svdvals(orthogonalised(before).float())
    assert torch.linalg.svdvals(before)[0] > 1.5
    assert (after > 0.5).all() and (after < 1.3).all()


def test_hardly_any_rank_does_not_blow_up():
    torch.manual_seed(0)
    for shape in ((64, 640), (64, 64)):
        flat = torch.randn(shape[0], 2) @ torch.randn(2, shape[1]) + 1e-5 * torch.randn(shape)
        assert torch.linalg.svdvals(orthogonalised(flat).float()).max() < 1.4


class _Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(5, 8)
        self.kernel = nn.Conv2d(8, 6, 3)
        self.map = nn.Linear(6, 4)


def _optimizer(net):
    groups = parameter_groups(_Whole(None), net, OptimizerConfig(kind="muon", lr=1e-2, weight_decay=0.0))
    return groups, make_optimizer(groups, "muon", fused=True)


class _Whole(Task):
    def build(self): ...
    def dataset(self): ...
    def loss(self, model, batch, draws): ...
    def validate(self, model, step, folder): ...
    def export(self, model, folder): ...


def test_kernels_and_maps_are_orthogonal_and_the_rest_is_adamw():
    net = _Net()
    groups, optimizer = _optimizer(net)
    assert isinstance(optimizer, Muon)
    orthogonal = {id(p) for group in groups if group["orthogonal"] for p in group["params"]}
    assert orthogonal == {id(net.kernel.weight), id(net.map.weight)}
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    for parameter in net.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    moved = {name: parameter - before[name] for name, parameter in net.named_parameters()}
    # AdamW's first step is the sign of the gradient; Muon's has singular values of about lr * 0.2 * sqrt(larger side).
    assert torch.allclose(moved["words.weight"].abs(), torch.full((5, 8), 1e-2), atol=1e-5)
    singular = torch.linalg.svdvals(moved["kernel.weight"].flatten(1)) / (1e-2 * 0.2 * 72**0.5)
    assert (singular > 0.5).all() and (singular < 1.3).all()


def test_state_is_restored_whole():
    torch.manual_seed(0)
    first, second = _Net(), _Net()
    second.load_state_dict(first.state_dict())
    one, other = _optimizer(first)[1], _optimizer(second)[1]
    for step in range(4):
        if step == 2:
            other.load_state_dict(copy.deepcopy(one.state_dict()))
            second.load_state_dict(first.state_dict())
        for a, b in zip(first.parameters(), second.parameters(), strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone() if step >= 2 else torch.randn_like(b)
        one.step()
        other.step()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def _launched(kind: DistributedType) -> Any:
    return SimpleNamespace(distributed_type=kind)


@pytest.mark.parametrize("sharded", [DistributedType.FSDP, DistributedType.DEEPSPEED])
def test_muon_refuses_sharded_runs(sharded):
    muon = TrainConfig(name="a", task=PerceptionConfig(), optimizer=OptimizerConfig(kind="muon"))
    require_whole_matrices(muon, _launched(DistributedType.MULTI_GPU))
    require_whole_matrices(replace(muon, optimizer=OptimizerConfig()), _launched(sharded))
    with pytest.raises(ValueError, match="optimizer.kind=adamw"):
        require_whole_matrices(muon, _launched(sharded))
