"""How fast the machine could be (measured matmul peak) and how much work a sample is (counted FLOPs)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def matmul_peak(device: torch.device, dtype: torch.dtype, seconds: float = 0.4) -> float:
    """Return the best rate, in FLOP/s, at which this process multiplies large square matrices of `dtype`."""
    side = 1024 if device.type == "cpu" else 8192
    left = torch.ones(side, side, device=device, dtype=dtype)
    right = torch.ones(side, side, device=device, dtype=dtype)
    repeats = 1 if device.type == "cpu" else 8
    best, end = 0.0, time.perf_counter() + seconds
    _timed(lambda: left @ right, 1, device)  # the first call pays for set-up
    while time.perf_counter() < end or best == 0.0:
        best = max(best, repeats * 2 * side**3 / _timed(lambda: left @ right, repeats, device))
    return best


def flops(module: nn.Module, forward: Callable[[], torch.Tensor]) -> float:
    """Return the FLOPs of one forward and backward pass; leaves gradients empty and buffers as they were.

    Attention runs as plain matrix products while counting: torch does not count the fused CPU kernels.
    Activation checkpointing counts what is really computed, the second forward included.
    """
    buffers = {name: buffer.detach().clone() for name, buffer in module.named_buffers()}
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        forward().backward()
    module.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            buffer.copy_(buffers[name])
    return float(counter.get_total_flops())


def _timed(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - start


@dataclass(frozen=True, kw_only=True)
class Speed:
    """The matmul peak of one process and the work of one sample."""

    peak: float
    "FLOP/s."
    flops_per_sample: float
    "Forward and backward, one sample."

    def share(self, samples_per_second: float) -> float:
        """Return the share of the peak that a process uses at a rate of its own samples."""
        return samples_per_second * self.flops_per_sample / self.peak

    def __str__(self) -> str:
        work, peak = self.flops_per_sample / 1e9, self.peak / 1e9
        return f"{work:.3g} GFLOP a sample, matmul peak {peak:.4g} GFLOP/s a process"
