"""The one place that selects an attention kernel, and says what it really changed.

diffusers has two mechanisms: processors with an `_attention_backend` (its newer models, and our identity layers), and
the classes `AttnProcessor2_0` / `XFormersAttnProcessor` of a UNet. Its own `set_attention_backend` reports success on a
UNet and changes nothing there, so each layer is looked at here.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn
from diffusers.models.attention_processor import Attention, AttnProcessor2_0, XFormersAttnProcessor

from pipelines.device import supports_xformers

NATIVE = "native"
_STOCK = (AttnProcessor2_0, XFormersAttnProcessor)


def set_attention(pipe: DiffusionPipeline, name: str = NATIVE) -> dict[str, int]:
    """Let all attention layers of a pipeline's diffusers models use one kernel.

    Args:
        pipe: any pipeline; text and image encoders of transformers are not touched.
        name: "native" (PyTorch's scaled dot product, the default), "xformers", or another of diffusers' backends.

    Returns:
        Component -> number of layers that now use it.

    Raises:
        ValueError: the kernel is unknown, does not run on the pipeline's device, or some layer cannot use it. Nothing
            is changed then.
    """
    known = sorted(item.value for item in AttentionBackendName)
    if name not in known:
        raise ValueError(f"attention {name!r}: expected one of {', '.join(known)}")
    layers = {
        key: _layers(model) for key, model in pipe.components.items() if isinstance(model, torch.nn.Module)
    }
    layers = {key: found for key, found in layers.items() if found}
    if name != NATIVE:
        _check_layers(layers, name)
        _try_operator(name, pipe.device, pipe.dtype)
    for found in layers.values():
        for layer in found:
            _select(layer, name)
    return {key: len(found) for key, found in layers.items()}


def _layers(model: torch.nn.Module) -> list[Any]:
    return [item for item in model.modules() if getattr(item, "processor", None) is not None]


def _check_layers(layers: dict[str, list[Any]], name: str) -> None:
    for key, found in layers.items():
        for layer in found:
            processor = layer.processor
            is_stock = isinstance(processor, _STOCK) and name == "xformers"
            if not is_stock and not hasattr(processor, "_attention_backend"):
                kind = type(processor).__name__
                raise ValueError(f"attention {name!r}: {key} has layers of {kind}, which cannot use it")


def _try_operator(name: str, device: torch.device, dtype: torch.dtype) -> None:
    """Availability is what runs: an importable package may lack the kernel for this device or type."""
    if name == "xformers" and not supports_xformers(device):
        raise ValueError(f"attention 'xformers': does not run on {device.type}; use {NATIVE!r}")
    probe = torch.zeros(1, 8, 1, 16, device=device, dtype=dtype)
    try:
        dispatch_attention_fn(probe, probe, probe, backend=AttentionBackendName(name))
    except Exception as error:  # kernels fail in every way there is; the reason goes into the message
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"attention {name!r}: does not run on {device} in {dtype}: {reason}") from error


def _select(layer: Any, name: str) -> None:
    processor = layer.processor
    if hasattr(processor, "_attention_backend"):
        processor._attention_backend = None if name == NATIVE else AttentionBackendName(name)
    elif isinstance(layer, Attention) and isinstance(processor, _STOCK):
        layer.set_processor(AttnProcessor2_0() if name == NATIVE else XFormersAttnProcessor())
