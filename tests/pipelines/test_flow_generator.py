"""The network from drags to flow: the published shape, sizes, limits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipelines.drag.flow_generator import FlowGenerator

TOY = {"block_out_channels": (4, 8, 8, 8), "norm_num_groups": 4, "sample_size": 16}


def toy(**config):
    torch.manual_seed(0)
    return FlowGenerator(**TOY | config).eval()


def parameters(**config):
    with torch.device("meta"):
        return FlowGenerator(**config).num_parameters()


def test_the_default_is_the_published_network():
    with torch.device("meta"):
        network = FlowGenerator().eval()
        assert network(torch.empty(1, 5, 256, 256)).shape == (1, 2, 256, 256)
        assert network(torch.empty(1, 5, 512, 512)).shape == (1, 2, 512, 512)
    assert len(network.state_dict()) == 58 and network.num_parameters() == 54_419_458
    norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
    assert len(norms) == 13 and {norm.num_groups for norm in norms} == {32}
    assert network.down_blocks[0].norm is None and network.down_blocks[-1].norm is None
    assert network.up_blocks[-1].norm is None
    dropped = [block.conv.in_channels for block in network.up_blocks if block.dropout.p]
    assert dropped == [1024, 1024, 1024] and {block.dropout.p for block in network.up_blocks} == {0.0, 0.5}


def test_sizes_for_smaller_pictures():
    for downs, millions in ((6, 7.32), (7, 10.5)):
        widths = (32, 64, 128, 256, 256, 256, 256)[:downs]
        found = parameters(block_out_channels=widths, sample_size=2**downs)
        assert found / 1e6 == pytest.approx(millions, abs=0.05)


def test_every_tensor_has_a_part_in_the_flow():
    network = toy(in_channels=6)
    network(torch.randn(2, 6, 32, 16)).square().sum().backward()
    assert [name for name, x in network.named_parameters() if x.grad is None or not x.grad.any()] == []


def test_residual_layers_stand_behind_every_step_but_the_last():
    network = toy(in_channels=6, layers_per_block=2)
    assert [len(block.resnets) for block in network.down_blocks] == [2, 2, 2, 2]
    assert [len(block.resnets) for block in network.up_blocks] == [2, 2, 2, 0]
    network(torch.randn(2, 6, 16, 16)).square().sum().backward()
    assert [name for name, x in network.named_parameters() if x.grad is None or not x.grad.any()] == []
    with pytest.raises(ValueError, match="block_out_channels: 6 is no multiple"):
        toy(block_out_channels=(4, 8, 6), layers_per_block=1)
    assert toy(block_out_channels=(4, 8, 6))(torch.zeros(1, 5, 8, 8)).shape == (1, 2, 8, 8)


def test_output_is_bounded_or_not():
    bounded, linear = toy(), toy(output="linear")
    sample = torch.randn(1, 5, 16, 16)
    with torch.no_grad():
        for network in (bounded, linear):
            network.up_blocks[-1].conv.weight.mul_(50)
        assert bounded(sample).abs().max() <= 1 < linear(sample).abs().max()
        assert torch.allclose(bounded(sample), linear(sample).tanh())
    with pytest.raises(ValueError, match="output 'sigmoid': expected tanh or linear"):
        toy(output="sigmoid")


def test_dropout_is_for_training_alone():
    network, sample = toy(), torch.randn(1, 5, 16, 16)
    assert torch.equal(network(sample), network(sample))
    network.train()
    assert not torch.equal(network(sample), network(sample))
    without = toy(dropout=0.0).train()
    assert torch.equal(without(sample), without(sample))


def test_a_batch_is_its_samples_one_by_one():
    network, samples = toy(), torch.randn(3, 5, 16, 32)
    together = network(samples)
    assert together.shape == (3, 2, 16, 32)
    assert torch.allclose(together, torch.cat([network(one[None]) for one in samples]), atol=1e-6)


@pytest.mark.parametrize(
    "shape",
    [(1, 5, 8, 16), (1, 5, 24, 16), (1, 5, 16, 20), (1, 4, 16, 16), (5, 16, 16), (1, 5, 0, 16)],
)
def test_samples_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(n, 5, h, w\) with h and w multiples of 16"):
        toy()(torch.zeros(shape))


def test_widths_have_to_fit_the_norms():
    with pytest.raises(ValueError, match="block_out_channels: 6 is no multiple of norm_num_groups=4"):
        toy(block_out_channels=(8, 6, 8))
    toy(block_out_channels=(4, 8, 6))  # the innermost has no norm


def test_saves_and_loads_whole(tmp_path):
    network, sample = toy(in_channels=6, output="linear"), torch.randn(1, 6, 16, 16)
    network.save_pretrained(tmp_path)
    again = FlowGenerator.from_pretrained(tmp_path)
    assert again.config.output == "linear" and again.config.sample_size == 16
    assert torch.equal(again(sample), network(sample))
