"""The arguments of a portrait call, checked and brought to one row a portrait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import get_timestep_embedding

from pipelines.portrait.attention import is_installed
from pipelines.portrait.conditioning import IdentityConditioning


def check(pipe: Any, sources: Mapping[str, Any], callback_inputs: Sequence[str]) -> None:
    """Refuse a call that gives no identity or several, or asks for tensors that callbacks cannot get.

    Args:
        pipe: the portrait pipeline.
        sources: name -> what the caller gave as the identity, or None.
        callback_inputs: names of the tensors that the callback asks for.
    """
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"{' and '.join(given) or 'no identity'} given: pass one of {', '.join(sources)}")
    permitted = pipe._callback_tensor_inputs
    unknown = sorted(set(callback_inputs) - set(permitted))
    if unknown:
        raise ValueError(f"callback_on_step_end_tensor_inputs {unknown}: permitted are {permitted}")
    if not is_installed(pipe.unet, pipe.conditioner.attention):
        raise ValueError(
            "unet: its attention does not belong to this conditioner; "
            "call install_identity_attention(pipe.unet, pipe.conditioner.attention)"
        )


def picture_size(
    height: int | None, width: int | None, sample_size: int | Sequence[int], factor: int
) -> tuple[int, int]:
    """Height and width in pixels: what was asked for, else what the denoiser was trained for.

    Args:
        height: asked for, a multiple of `factor`.
        width: the same.
        sample_size: side, or height and width, of the denoiser's grid.
        factor: pixels to a cell of the grid.
    """
    rows, columns = (sample_size, sample_size) if isinstance(sample_size, int) else sample_size
    size = (rows * factor if height is None else height, columns * factor if width is None else width)
    for name, value in zip(("height", "width"), size, strict=True):
        if value <= 0 or value % factor:
            raise ValueError(f"{name}={value}: must be a multiple of {factor}")
    return size


def pair(prompt: str | Sequence[str], people: IdentityConditioning) -> tuple[list[str], IdentityConditioning]:
    """One prompt and one person for each portrait; a single one of either serves all of the other."""
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    count = max(len(prompts), len(people))
    if len(prompts) not in (1, count) or len(people) not in (1, count) or not prompts:
        raise ValueError(
            f"{len(prompts)} prompts for {len(people)} people: as many, or one of either, are needed"
        )
    people = people if len(people) == count else people.select([0] * count)
    return prompts if len(prompts) == count else prompts * count, people


def as_many(name: str, value: Any, count: int) -> list[Any]:
    """Take one value for all of `count` prompts, or one for each."""
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value] * count
    if len(values) != count:
        raise ValueError(f"{name}: {len(values)} given for {count} prompts")
    return values


def check_noise(latents: torch.Tensor | None, generator: Any, shape: tuple[int, ...]) -> None:
    """Refuse noise, or generators of noise, for another number or size of portraits."""
    if latents is not None and tuple(latents.shape) != shape:
        raise ValueError(f"latents {tuple(latents.shape)}: expected {shape}")
    if isinstance(generator, list) and len(generator) != shape[0]:
        raise ValueError(f"generator: a list of {len(generator)} for {shape[0]} portraits")


def last_rows(value: Any, rows: slice) -> Any:
    """Take rows of a tensor, or of each tensor of a dict."""
    if isinstance(value, dict):
        return {name: x[rows] for name, x in value.items()}
    return value[rows]


def identity_scales(
    identity_scale: float | Sequence[float], prompts: int, copies: int, device: torch.device
) -> torch.Tensor:
    """Strengths for all rows of a call with guidance, (2 * portraits,); one without takes the last of them."""
    values = as_many("identity_scale", identity_scale, prompts)
    return torch.tensor(values, dtype=torch.float32, device=device).repeat_interleave(copies).repeat(2)


def added_conditions(
    unet: UNet2DConditionModel,
    pooled: torch.Tensor | None,
    size: tuple[int, int],
    count: int,
    guidance_scale: float,
    device: torch.device,
) -> dict[str, Any]:
    """What some denoisers take beside text: sizes and pooled text (SDXL), the guidance scale (distilled)."""
    added: dict[str, Any] = {}
    dtype = unet.dtype
    if pooled is not None:
        sizes = torch.tensor([[*size, 0, 0, *size]], dtype=dtype, device=device)
        pooled = pooled.to(device, dtype)
        added["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": sizes.repeat(len(pooled), 1)}
    if unet.config.time_cond_proj_dim is not None:
        scales = torch.full((count,), 1000.0 * (guidance_scale - 1), device=device)
        embedded = get_timestep_embedding(scales, unet.config.time_cond_proj_dim, downscale_freq_shift=1)
        added["timestep_cond"] = embedded.to(dtype)
    return added
