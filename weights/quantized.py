"""Weights in a quarter of float32's space: int8 with one scale per row, as post-training quantization does it."""

from __future__ import annotations

from collections.abc import Mapping

import torch

FILE = "model.int8.safetensors"
"""What a packed state dict is called, in the place of the file that `save_pretrained` writes."""
SCALE = ".scale"
"""Ends the names of scales: `x.weight` is int8 where there is an `x.weight.scale`."""
SMALLEST = 4096
"""Values of the smallest tensor that is packed: what the others take is not worth an error."""


def pack(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Turn large tensors of 2 and more dimensions into int8, with float32 scales (rows,); the rest stays."""
    packed = dict(state)
    for name, tensor in state.items():
        if tensor.is_floating_point() and tensor.ndim > 1 and tensor.numel() >= SMALLEST:
            codes, packed[name + SCALE] = to_int8(tensor.float().flatten(1))
            packed[name] = codes.reshape(tensor.shape)
    return packed


def unpack(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Undo `pack`, up to half a scale: what was packed is float32. What was never packed comes back as it is."""
    whole = {name: tensor for name, tensor in state.items() if not name.endswith(SCALE)}
    for name in whole:
        if name + SCALE in state:
            codes, scales = state[name], state[name + SCALE]
            whole[name] = codes * scales.reshape(-1, *[1] * (codes.ndim - 1))
    return whole


def to_int8(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Round rows (n, m) to int8 codes (n, m) in -127..127 and scales (n,), whose product is the rows."""
    scales = (rows.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    return (rows / scales[:, None]).round().to(torch.int8), scales
