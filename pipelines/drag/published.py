"""The published files of InstantDrag (Shin et al. 2024, arXiv:2409.08857), loaded strictly.

| in the folder | holds | as |
|---|---|---|
| a file with "flowgen" in its name | completes drags to flow | FlowGenerator |
| a folder with "flowdiffusion" in its name | denoiser, autoencoder, scheduler | as its unet, vae, scheduler say |
| a file with "null" in its name, converted | the text embedding of "" | a tensor |

Every tensor must find its place and every place its tensor; the reports name those that did not as the files do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import diffusers
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, DDIMScheduler, SchedulerMixin, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from pipelines.checkpoint import CheckpointMismatch, GroupReport, WrongShape, compare
from pipelines.drag.flow_generator import FlowGenerator
from pipelines.portrait.published import State, read_tensors

_NAME = "InstantDrag"
_WIDTHS = (64, 128, 256, 512, 512, 512, 512, 512)
_CHANNELS = {"noise": 4, "the picture": 4, "flow": 2}
"""Of the denoiser's input, in this order."""
_OUTERMOST = "model.model"


class PublishedFiles(NamedTuple):
    """Where the parts of InstantDrag lie."""

    flow_generator: Path
    flow_diffusion: Path
    null_text: Path | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedDrag:
    """The parts of InstantDrag, in evaluation mode."""

    flow_generator: FlowGenerator
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    scheduler: SchedulerMixin
    null_text: torch.Tensor
    """What the denoiser attends to in place of a prompt, (1, T, D) float32."""
    reports: tuple[GroupReport, ...]


def load_published(
    folder: str | os.PathLike[str],
    *,
    flow_generator: str = "",
    text_encoder: CLIPTextModel | None = None,
    tokenizer: CLIPTokenizer | None = None,
    dtype: torch.dtype = torch.float32,
) -> PublishedDrag:
    """Load InstantDrag from the folder that its authors published.

    Args:
        folder: of the FlowGen files and of FlowDiffusion.
        flow_generator: see `find_published`.
        text_encoder: CLIP ViT-L/14, where the folder has no embedding of the empty text as .safetensors.
        tokenizer: of the text encoder.
        dtype: of denoiser and autoencoder.

    Raises:
        OSError: a part is missing.
        ValueError: several parts fit, the denoiser takes other channels, or there is no empty text.
        CheckpointMismatch: missing, unexpected or misshapen tensors.
    """
    files = find_published(folder, flow_generator=flow_generator)
    width = _denoiser_config(files.flow_diffusion)["cross_attention_dim"]
    text = null_text(files.null_text, width, text_encoder, tokenizer)
    generator, report = load_flow_generator(files.flow_generator)
    unet, unet_report = _load_model(UNet2DConditionModel, files.flow_diffusion, "unet", dtype)
    vae, vae_report = _load_model(AutoencoderKL, files.flow_diffusion, "vae", dtype)
    return PublishedDrag(
        flow_generator=generator,
        unet=unet,
        vae=vae,
        scheduler=_load_scheduler(files.flow_diffusion),
        null_text=text,
        reports=(report, unet_report, vae_report),
    )


def find_published(folder: str | os.PathLike[str], *, flow_generator: str = "") -> PublishedFiles:
    """Find the parts of InstantDrag by their names, of which only parts are known.

    Args:
        folder: of the files.
        flow_generator: a part of the name of the FlowGen file that is meant; the first by name without it.

    Raises:
        FileNotFoundError: nothing fits.
        ValueError: several folders of FlowDiffusion, or several files of the empty text.
    """
    folder = Path(folder)
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    tensors = [path for path in entries if path.is_file() and path.suffix == ".safetensors"]
    generators = [path for path in tensors if "flowgen" in path.name.lower()]
    generators = [path for path in generators if flow_generator.lower() in path.name.lower()]
    diffusions = [path for path in entries if path.is_dir() and "flowdiffusion" in path.name.lower()]
    if not generators:
        wanted = f"flowgen and {flow_generator}" if flow_generator else "flowgen"
        raise FileNotFoundError(f"{folder}: expected a .safetensors file with {wanted} in its name")
    if not diffusions:
        raise FileNotFoundError(f"{folder}: expected a folder with flowdiffusion in its name")
    texts = [path for path in tensors if "null" in path.name.lower()]
    for found in (diffusions, texts):
        if len(found) > 1:
            raise ValueError(f"{folder}: {' and '.join(path.name for path in found)}; expected one of them")
    return PublishedFiles(generators[0], diffusions[0], texts[0] if texts else None)


def load_flow_generator(
    source: str | os.PathLike[str] | Mapping[str, torch.Tensor], **config: Any
) -> tuple[FlowGenerator, GroupReport]:
    """Build a published FlowGen; shrunk ones load as well, their widths are read from the tensors.

    Args:
        source: a .safetensors file or a state dict.
        **config: settings of `FlowGenerator` that tensors do not tell and that differ, such as `norm_num_groups`.

    Raises:
        CheckpointMismatch: missing, unexpected or misshapen tensors.
    """
    # Copies: a module that shares memory with its caller's tensors would train them too.
    state = (
        {key: value.detach().clone() for key, value in source.items()}
        if isinstance(source, Mapping)
        else read_tensors(source)
    )
    with init_empty_weights(include_buffers=False):
        generator = FlowGenerator(**{"block_out_channels": _widths(state)} | config)
    names = flow_generator_names(len(generator.down_blocks))
    own = generator.state_dict()
    report = compare("flow_generator", {name: own[key] for name, key in names.items()}, state)
    if not report.is_complete:
        raise CheckpointMismatch(_NAME, [report])
    generator.load_state_dict({key: state[name].float() for name, key in names.items()}, assign=True)
    return generator.eval(), report


def flow_generator_names(levels: int) -> dict[str, str]:
    """Published name -> key in `FlowGenerator` with that many steps down; each published level holds the next one."""
    names: dict[str, str] = {}
    for level in range(levels):
        prefix, down, up = _prefix(level), f"down_blocks.{level}", f"up_blocks.{levels - 1 - level}"
        if level == 0:
            modules = {"0": f"{down}.conv", "3": f"{up}.conv"}
        elif level == levels - 1:
            modules = {"1": f"{down}.conv", "3": f"{up}.conv", "4": f"{up}.norm"}
        else:
            modules = {
                "1": f"{down}.conv", "2": f"{down}.norm", "5": f"{up}.conv", "6": f"{up}.norm",
            }  # fmt: skip
        for theirs, ours in modules.items():
            names |= {f"{prefix}.{theirs}.{kind}": f"{ours}.{kind}" for kind in ("weight", "bias")}
    return names


def null_text(
    path: Path | None,
    width: int,
    text_encoder: CLIPTextModel | None = None,
    tokenizer: CLIPTokenizer | None = None,
) -> torch.Tensor:
    """The text embedding of "", (1, T, width) float32.

    Args:
        path: a .safetensors file that holds nothing else; None to compute it.
        width: of the text that the denoiser attends to.
        text_encoder: the one that the denoiser was trained with.
        tokenizer: of the text encoder.

    Raises:
        ValueError: neither a file nor a text encoder with its tokenizer, or an embedding of another width.
    """
    if path is not None:
        tensors = list(read_tensors(path).values())
        found = [tuple(x.shape) for x in tensors]
        if len(found) != 1 or found[0][:1] + found[0][2:] != (1, width):
            raise ValueError(f"{path.name}: tensors {found}, expected one of shape (1, T, {width})")
        return tensors[0].float()
    if text_encoder is None or tokenizer is None:
        raise ValueError(
            "null text: no .safetensors file with null in its name; give text_encoder and tokenizer of CLIP ViT-L/14, "
            "or convert the published file once with pipelines.portrait.published.convert_pickle"
        )
    length = tokenizer.model_max_length
    ids = tokenizer("", padding="max_length", max_length=length, return_tensors="pt").input_ids
    with torch.no_grad():
        states = text_encoder(ids.to(text_encoder.device)).last_hidden_state.float()
    if states.shape[-1] != width:
        raise ValueError(f"text_encoder: states {states.shape[-1]} wide, the denoiser attends to {width}")
    return states


def widen(unet: nn.Module, channels: int = sum(_CHANNELS.values())) -> nn.Module:
    """Let a denoiser take more channels behind its own, which change nothing until they are trained.

    Args:
        unet: changed in place; its first convolution is `conv_in`.
        channels: to take.

    Returns:
        The same denoiser.

    Raises:
        ValueError: it takes as many already.
    """
    old = unet.conv_in
    if channels <= old.in_channels:
        raise ValueError(f"unet: takes {old.in_channels} channels, expected fewer than {channels}")
    new = nn.Conv2d(channels, old.out_channels, old.kernel_size, old.stride, old.padding).to(old.weight)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.in_channels] = old.weight
        new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=channels)
    return unet


def _prefix(level: int) -> str:
    return f"{_OUTERMOST}.1.model" + ".3.model" * (level - 1) if level else _OUTERMOST


def _widths(state: State) -> tuple[int, ...]:
    """Widths of the steps down, finest first."""
    first = state.get(f"{_OUTERMOST}.0.weight")
    if first is None or first.shape[0] == _WIDTHS[0]:
        return _WIDTHS  # its depth is known: a file without the innermost levels must not pass
    widths = [first.shape[0]]
    while (inner := state.get(f"{_prefix(len(widths))}.1.weight")) is not None:
        widths.append(inner.shape[0])
    return tuple(widths)


def _denoiser_config(folder: Path) -> dict[str, Any]:
    config: Any = UNet2DConditionModel.load_config(folder, subfolder="unet")
    channels, expected = config.get("in_channels"), sum(_CHANNELS.values())
    if channels != expected:
        parts = ", ".join(f"{width} of {name}" for name, width in _CHANNELS.items())
        raise ValueError(f"{folder / 'unet'}: takes {channels} channels, expected {expected}: {parts}")
    return config


def _load_model(
    kind: Any, folder: Path, part: Literal["unet", "vae"], dtype: torch.dtype
) -> tuple[Any, GroupReport]:
    # By itself diffusers draws what is missing at random, and takes a pickle where there is nothing else.
    model, told = kind.from_pretrained(
        folder,
        subfolder=part,
        dtype=dtype,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        use_safetensors=True,
    )
    wrong = [
        WrongShape(key, tuple(found), tuple(expected)) for key, found, expected in told["mismatched_keys"]
    ]
    report = GroupReport(
        group=part,
        loaded=len(model.state_dict()) - len(told["missing_keys"]) - len(wrong),
        missing=tuple(sorted(told["missing_keys"])),
        unexpected=tuple(sorted(told["unexpected_keys"])),
        misshapen=tuple(wrong),
    )
    if not report.is_complete:
        raise CheckpointMismatch(_NAME, [report])
    return model.eval(), report


def _load_scheduler(folder: Path) -> Any:
    name = DDIMScheduler.load_config(folder, subfolder="scheduler").get("_class_name", "")
    kind = getattr(diffusers, name, None)
    if not (isinstance(kind, type) and issubclass(kind, SchedulerMixin)):
        raise ValueError(f"{folder / 'scheduler'}: {name!r} is no scheduler of diffusers")
    return kind.from_pretrained(folder, subfolder="scheduler")
