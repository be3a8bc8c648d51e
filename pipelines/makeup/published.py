"""The three checkpoint files of Stable-Makeup (Zhang et al. 2024, arXiv:2403.07764), loaded strictly, and written.

| file | holds | as |
|---|---|---|
| pytorch_model | image encoder, attention, mixing block ("resampler") | CLIPVisionModel and MakeupAdapter |
| pytorch_model_1 | ControlNet of the source picture | ControlNetModel |
| pytorch_model_2 | ControlNet of the drawn landmarks | ControlNetModel |

Every tensor must find its place and every place its tensor; the reports name those that did not as the files do.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from accelerate import init_empty_weights
from diffusers import ControlNetModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from pipelines.checkpoint import CheckpointMismatch, GroupReport, compare
from pipelines.makeup.modules import MakeupAdapter
from pipelines.portrait.attention import attention_layers
from pipelines.portrait.published import State, base_name, read_tensors

Group = Literal["image_encoder", "attention", "mixer", "content", "structure", "unknown"]
Source = str | os.PathLike[str] | Mapping[str, torch.Tensor]

_ROLES = ("main", "content", "structure")
_LAYOUTS = (("model", ".safetensors"), ("pytorch_model", ".safetensors"), ("pytorch_model", ".bin"))
"""Names of files, as newer accelerate writes them, converted, and as published."""
_GROUPS: dict[str, Group] = {
    "image_encoder": "image_encoder",
    "SSR_layers": "attention",
    "resampler": "mixer",
}
"""Top keys of the main file and what they hold."""
_TOWER = "image_encoder.vision_model."
_VIT_L = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "image_size": 224, "patch_size": 14, "hidden_act": "quick_gelu",
}  # fmt: skip
_MIXER_HEADS = 8
_CONDITION_CHANNELS = (16, 32, 96, 256)
_NOT_PUBLISHED = "post_layernorm."
"""Of CLIP's pooled output, which makeup never reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedMakeup:
    """The modules of a checkpoint, fp32, in evaluation mode."""

    image_encoder: CLIPVisionModel
    """Reads the reference. Its pooled output is not trained; makeup reads hidden states only."""
    adapter: MakeupAdapter
    content_controlnet: ControlNetModel
    """Reads the source picture."""
    structure_controlnet: ControlNetModel
    """Reads the drawn landmarks."""
    reports: tuple[GroupReport, ...]


def load_published(
    unet: nn.Module, files: str | os.PathLike[str] | Sequence[Source], *, allow_pickle: bool = False
) -> PublishedMakeup:
    """Build the modules of a published checkpoint for `unet`, which is left as it is.

    Widths are read from the tensors, so shrunk files load as well; what these do not tell is as published.

    Args:
        unet: UNet2DConditionModel of Stable Diffusion 1.5, or whichever base the checkpoint was trained on.
        files: the folder of the three files, or the three as paths or state dicts in the order main, content,
            structure. The two ControlNets have the same keys, so nothing can tell if they are swapped.
        allow_pickle: read .bin files, restricted to tensors (`weights_only=True`).

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a pickle without leave, a file in the place of another, or a checkpoint for another base.
        CheckpointMismatch: missing, unexpected or misshapen tensors, listed for each group.
    """
    states = _read(files, allow_pickle)
    for role, state in states.items():
        _check_role(role, state)
    _check_base(unet, states["content"])
    with init_empty_weights(include_buffers=False):
        encoder = CLIPVisionModel(_vision_config(states["main"]))
        adapter = _empty_adapter(unet, states["main"], encoder.config.hidden_size)
        content, structure = (_empty_controlnet(unet, states[role]) for role in _ROLES[1:])
    encoder.post_layernorm = nn.LayerNorm(encoder.config.hidden_size, eps=encoder.config.layer_norm_eps)
    modules = _by_group(encoder, adapter, content, structure)
    reports = [_compare(group, module, _part(states, group)) for group, module in modules.items()]
    if unknown := _part(states, "unknown"):
        reports.append(GroupReport(group="unknown", unexpected=tuple(sorted(unknown))))
    if not all(report.is_complete for report in reports):
        raise CheckpointMismatch("Stable-Makeup", reports)
    for group, module in modules.items():
        _fill(group, module, _part(states, group))
    return PublishedMakeup(
        image_encoder=encoder.eval(),
        adapter=adapter.eval(),
        content_controlnet=content.eval(),
        structure_controlnet=structure.eval(),
        reports=tuple(reports),
    )


def published_states(
    image_encoder: nn.Module,
    adapter: MakeupAdapter,
    content_controlnet: nn.Module,
    structure_controlnet: nn.Module,
) -> tuple[State, State, State]:
    """Name the tensors of the modules as the published files do: the reverse of `load_published`.

    Returns:
        State dicts main, content, structure; they share the memory of the modules.
    """
    states: dict[str, State] = {role: {} for role in _ROLES}
    modules = _by_group(image_encoder, adapter, content_controlnet, structure_controlnet)
    for group, module in modules.items():
        own = module.state_dict()
        states[_role(group)] |= {name: own[key] for name, key in _names(group, module).items()}
    return states["main"], states["content"], states["structure"]


def _read(files: str | os.PathLike[str] | Sequence[Source], allow_pickle: bool) -> dict[str, State]:
    sources = _files_of(Path(files)) if isinstance(files, str | os.PathLike) else list(files)
    if len(sources) != len(_ROLES):
        raise ValueError(f"{len(sources)} files: expected three, {', '.join(_ROLES)}")
    return {role: _tensors(source, allow_pickle) for role, source in zip(_ROLES, sources, strict=True)}


def _files_of(folder: Path) -> Sequence[Source]:
    for stem, suffix in _LAYOUTS:
        paths = [folder / f"{stem}{number}{suffix}" for number in ("", "_1", "_2")]
        if all(path.is_file() for path in paths):
            return paths
    raise FileNotFoundError(
        f"{folder}: expected a folder with pytorch_model, pytorch_model_1 and pytorch_model_2 (.safetensors or .bin), "
        "or with model, model_1 and model_2 (.safetensors)"
    )


def _tensors(source: Source, allow_pickle: bool) -> State:
    if isinstance(source, Mapping):
        # Copies: modules that share memory with their caller's tensors, or with each other, would train them too.
        return {key: value.detach().clone() for key, value in source.items()}
    return read_tensors(source, allow_pickle=allow_pickle)


def _check_role(role: str, state: State) -> None:
    tops = {key.split(".")[0] for key in state}
    kinds = {
        "a makeup encoder": bool(tops & set(_GROUPS)),
        "a ControlNet": "controlnet_cond_embedding" in tops,
    }
    expected = "a makeup encoder" if role == "main" else "a ControlNet"
    if not kinds[expected]:
        found = next(
            (kind for kind, is_found in kinds.items() if is_found), "neither of the two kinds of file"
        )
        raise ValueError(
            f"{role} file: holds {found}, expected {expected}; the order is {', '.join(_ROLES)} "
            "(pytorch_model, pytorch_model_1, pytorch_model_2)"
        )


def _check_base(unet: nn.Module, content: State) -> None:
    made_for = {value.shape[-1] for key, value in content.items() if key.endswith("attn2.to_k.weight")}
    found = {layer.token_dim for layer in attention_layers(unet)} - {0}
    if len(made_for) == len(found) == 1 and made_for != found:
        raise ValueError(
            f"Stable-Makeup checkpoint made for {base_name(*made_for)}; the base model is {base_name(*found)}"
        )


def _vision_config(main: State) -> CLIPVisionConfig:
    width = _channels(main, _TOWER + "embeddings.class_embedding", _VIT_L["hidden_size"])
    if width == _VIT_L["hidden_size"]:  # its depth is known: a file without the last layers must not pass
        return CLIPVisionConfig(**_VIT_L)
    patches = main.get(_TOWER + "embeddings.patch_embedding.weight")
    patch_size = _VIT_L["patch_size"] if patches is None else patches.shape[-1]
    positions = _channels(main, _TOWER + "embeddings.position_embedding.weight", 257)
    layers = {key.split(".")[4] for key in main if key.startswith(_TOWER + "encoder.layers.")}
    return CLIPVisionConfig(
        **_VIT_L
        | {
            "hidden_size": width,
            "intermediate_size": _channels(main, _TOWER + "encoder.layers.0.mlp.fc1.weight", 4 * width),
            "num_hidden_layers": len(layers),
            "image_size": math.isqrt(positions - 1) * patch_size,
            "patch_size": patch_size,
        }
    )


def _empty_adapter(unet: nn.Module, main: State, width: int) -> MakeupAdapter:
    inner = _channels(main, "resampler.attn.to_q.weight", 512)
    return MakeupAdapter.for_unet(
        unet, token_dim=width, heads=_MIXER_HEADS, head_dim=max(1, inner // _MIXER_HEADS)
    )


def _empty_controlnet(unet: nn.Module, state: State) -> ControlNetModel:
    layers = ("conv_in", "blocks.1", "blocks.3", "blocks.5")
    channels = tuple(
        _channels(state, f"controlnet_cond_embedding.{layer}.weight", published)
        for layer, published in zip(layers, _CONDITION_CHANNELS, strict=True)
    )
    return ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=channels, load_weights_from_unet=False
    )


def _channels(state: State, key: str, published: int) -> int:
    return state[key].shape[0] if key in state else published


def _by_group(
    image_encoder: nn.Module, adapter: MakeupAdapter, content: nn.Module, structure: nn.Module
) -> dict[Group, nn.Module]:
    return {
        "image_encoder": getattr(
            image_encoder, "vision_model", image_encoder
        ),  # with a projection, or without
        "attention": adapter.attention,
        "mixer": adapter.mixer,
        "content": content,
        "structure": structure,
    }


def _names(group: Group, module: nn.Module) -> dict[str, str]:  # published name -> key in the module
    keys = [
        key for key in module.state_dict() if group != "image_encoder" or not key.startswith(_NOT_PUBLISHED)
    ]
    return {_published_name(group, key): key for key in keys}


def _published_name(group: Group, key: str) -> str:
    if group == "image_encoder":
        return _TOWER + key
    if group == "attention":
        index, projection, kind = key.split(".")
        return f"SSR_layers.{index}.{projection}_SSR.{kind}"
    return f"resampler.{key}" if group == "mixer" else key


def _role(group: Group) -> str:
    return group if group in _ROLES else "main"


def _part(states: Mapping[str, State], group: Group) -> State:
    state = states[_role(group)]
    if group in _ROLES:
        return state
    return {key: value for key, value in state.items() if _GROUPS.get(key.split(".")[0], "unknown") == group}


def _compare(group: Group, module: nn.Module, state: State) -> GroupReport:
    own = module.state_dict()
    names = _names(group, module)
    # Old versions of transformers wrote `position_ids`, which hold nothing.
    ignored = {key for key in state if key.endswith("embeddings.position_ids") and key not in names}
    return compare(group, {name: own[key] for name, key in names.items()}, state, ignored)


def _fill(group: Group, module: nn.Module, state: State) -> None:
    tensors = {key: state[name].float() for name, key in _names(group, module).items()}
    module.load_state_dict(tensors, strict=False, assign=True)  # compared before
