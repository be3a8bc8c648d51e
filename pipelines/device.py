"""Where models run. The only module that names accelerators."""

from __future__ import annotations

import torch

ACCELERATORS = ("cuda", "xpu", "mps")
"""In order of preference."""


def best_device() -> torch.device:
    """Return the first accelerator that is there, else the CPU."""
    for name in ACCELERATORS:
        backend = getattr(torch, name, None)
        if backend is not None and backend.is_available():
            return torch.device(name)
    return torch.device("cpu")


def is_accelerator(device: torch.device | str) -> bool:
    """Whether a device is anything but the CPU."""
    return torch.device(device).type in ACCELERATORS


def supports_xformers(device: torch.device | str) -> bool:
    """Whether xformers' kernels are made for such a device."""
    return torch.device(device).type == ACCELERATORS[0]
