"""Checkpoints as the authors of ConsistentID and IP-Adapter FaceID published them, loaded strictly.

Every tensor of a file must find its place and every place its tensor; the report says which did not. Widths
are read from the tensors, so one loader serves SD 1.5, SDXL and shrunk files of tests.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save_file
from torch import nn

from pipelines.portrait.attention import attention_layers
from pipelines.portrait.modules import VARIANTS, IdentityConditioner, Variant

State = dict[str, torch.Tensor]

_GROUPS = {
    "image_proj": "projector",
    "image_proj_model": "projector",
    "FacialEncoder": "parts",
    "adapter_modules": "attention",
    "ip_adapter": "attention",
}
"""Top keys of the published files, in all spellings, and what they hold."""
_OURS = (
    ("projector.perceiver_resampler.", "projector.resampler."),
    ("parts.visual_projection.latents", "part_encoder.latents"),
    ("parts.visual_projection.", "part_encoder.resampler."),
    ("parts.fuse_module.", "fuse_module."),
)
_FOREIGN = {
    "id_encoder": "PhotoMaker",
    "lora_weights": "PhotoMaker",
    "id_adapter": "PuLID",
    "id_adapter_attn_layers": "PuLID",
}
_BASES = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "SDXL"}


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadReport:
    """What became of the tensors of a published checkpoint."""

    variant: Variant
    loaded: dict[str, int]
    """Tensors loaded into each part of the conditioner."""
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    dtypes: dict[str, int] = field(default_factory=dict)
    """Tensors of each type in the file; all are cast to fp32."""

    @property
    def is_complete(self) -> bool:
        """Whether every tensor found its place and every place its tensor."""
        return not (self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        """One line: the variant, and the first keys of each kind of fault."""
        faults = {"missing": self.missing, "unexpected": self.unexpected, "misshapen": self.misshapen}
        listed = [f"{len(keys)} {name} ({', '.join(keys[:3])})" for name, keys in faults.items() if keys]
        return f"{self.variant}: {sum(self.loaded.values())} tensors loaded" + "".join(
            f", {x}" for x in listed
        )


def read_published(path: str | os.PathLike[str], *, allow_pickle: bool = False) -> State:
    """Read a published file into flat keys projector.*, parts.*, attention.*.

    Accepted are the nested and the flat layout, with any spelling of the top keys, and raw training states,
    whose frozen `unet.` is left out.

    Args:
        path: .safetensors, or with `allow_pickle` .bin, .pt or .pth.
        allow_pickle: read a pickle, restricted to tensors (`weights_only=True`).

    Raises:
        ValueError: a pickle without leave, or the layout of another kind of checkpoint, which is named.
    """
    return _grouped(read_tensors(path, allow_pickle=allow_pickle), Path(path))


def read_tensors(path: str | os.PathLike[str], *, allow_pickle: bool = False) -> State:
    """Read the tensors of a file, names of nested layouts joined by dots.

    Args:
        path: .safetensors, or with `allow_pickle` .bin, .pt or .pth.
        allow_pickle: read a pickle, restricted to tensors (`weights_only=True`).

    Raises:
        FileNotFoundError: no such file.
        ValueError: a pickle without leave.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a published checkpoint")
    if path.suffix == ".safetensors":
        return load_file(path)
    if not allow_pickle:
        raise ValueError(
            f"{path}: a pickle; convert it once with pipelines.portrait.published.convert_pickle"
        )
    return _flattened(torch.load(path, map_location="cpu", weights_only=True))


def convert_pickle(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Path:
    """Rewrite a published pickle as safetensors, types kept; nothing but tensors is read from it."""
    target = Path(target)
    flat = _flattened(torch.load(source, map_location="cpu", weights_only=True))
    part = target.with_name(target.name + ".part")
    save_file({key: value.contiguous() for key, value in flat.items()}, part)
    os.replace(part, target)
    return target


def detect_variant(state: Mapping[str, torch.Tensor], name: str = "checkpoint") -> Variant:
    """Tell the variants apart by their tensors, and Plus from PlusV2, which share a layout, by the file's name.

    Raises:
        ValueError: the layout is of none of them, or it is Plus or PlusV2 and neither name nor base tells
        which.
    """
    if any(key.startswith("parts.") for key in state):
        return "consistentid"
    if "projector.latents" in state:
        raise ValueError(
            f"{name}: an InstantID or IP-Adapter Plus resampler; expected FaceID or ConsistentID"
        )
    if "projector.proj.2.weight" not in state or "projector.norm.weight" not in state:
        raise ValueError(f"{name}: no FaceID projector; a plain IP-Adapter? expected FaceID or ConsistentID")
    if any(key.startswith("projector.perceiver_resampler.") for key in state):
        return _plus_variant(name, _token_dim(state))
    tokens = state["projector.proj.2.weight"].shape[0] // _token_dim(state)
    return "portrait" if tokens == 16 else "faceid"


def load_published(
    unet: nn.Module,
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    variant: Variant | None = None,
    allow_pickle: bool = False,
    strict: bool = True,
    **config: Any,
) -> tuple[IdentityConditioner, LoadReport]:
    """Build the conditioner of a published checkpoint for `unet`.

    Args:
        unet: the UNet2DConditionModel that the checkpoint was trained for.
        files: one file, or several that make one checkpoint.
        variant: instead of detecting it.
        allow_pickle: see `read_published`.
        strict: refuse files with missing, unexpected or misshapen tensors.
        **config: settings of `IdentityConditioner` that differ from the authors', e.g. `legacy_parts=False`.

    Raises:
        ValueError: the layout is unknown, made for another base, or incomplete; the report is in the message.
    """
    paths = [files] if isinstance(files, str | os.PathLike) else list(files)
    state: State = {}
    for path in paths:
        state |= read_published(path, allow_pickle=allow_pickle)
    name = Path(paths[0]).name
    if variant is not None and variant not in VARIANTS:
        raise ValueError(f"variant={variant!r}: expected one of {', '.join(VARIANTS)}")
    variant = variant or detect_variant(state, name)
    _check_base(unet, state, variant, name)
    with torch.device("meta"):
        conditioner = IdentityConditioner(**published_config(unet, state, variant, name) | config)
    report = _fill(conditioner, {_our_key(key): value for key, value in state.items()}, variant)
    if strict and not report.is_complete:
        raise ValueError(f"{name}: not a whole checkpoint, {report}")
    return conditioner.eval(), report


def load_pipeline(
    pipeline_class: type,
    base: str | os.PathLike[str],
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    image_encoder: nn.Module | None = None,
    feature_extractor: Any = None,
    variant: Variant | None = None,
    allow_pickle: bool = False,
    **kwargs: Any,
) -> Any:
    """Put a published checkpoint on top of Stable Diffusion or SDXL.

    What was loaded is in `load_report` of the pipeline. Its `face_embedder` has to be set to the embedder
    that the checkpoint was trained with, unless calls bring embeddings.

    Args:
        pipeline_class: `PortraitPipeline` or a class derived from it.
        base: folder or hub id of the base model.
        files: one file, or several that make one checkpoint.
        image_encoder: the CLIP image encoder that the checkpoint was trained with, where it reads one.
        feature_extractor: of the image encoder.
        variant: where the file's name does not tell FaceID-Plus from PlusV2.
        allow_pickle: read .bin files, restricted to tensors.
        **kwargs: for `from_pretrained` of the base.

    Raises:
        ValueError: the file is of another kind, for another base, or not whole.
    """
    kwargs.setdefault("dtype", torch.float32)
    parts = DiffusionPipeline.from_pretrained(base, **kwargs).components
    conditioner, report = load_published(parts["unet"], files, variant=variant, allow_pickle=allow_pickle)
    names = ("vae", "text_encoder", "tokenizer", "unet", "scheduler", "text_encoder_2", "tokenizer_2")
    pipe = pipeline_class(
        **{name: parts.get(name) for name in names},
        conditioner=conditioner.to(parts["unet"].dtype),
        image_encoder=image_encoder,
        feature_extractor=feature_extractor,
    )
    pipe.load_report = report
    return pipe


def base_name(text_width: int) -> str:
    """Name the kind of base model whose text states are `text_width` wide."""
    return _BASES.get(text_width, f"text of {text_width} channels")


def published_config(unet: nn.Module, state: Mapping[str, torch.Tensor], variant: Variant, name: str) -> dict:
    """Read the settings of `IdentityConditioner` from the tensors; what they do not tell follows the authors' code."""
    token_dim = _token_dim(state)
    hidden, id_dim = state["projector.proj.0.weight"].shape
    config: dict[str, Any] = {
        "variant": variant,
        "id_dim": id_dim,
        "id_hidden": hidden,
        "token_dim": token_dim,
        "num_tokens": state["projector.proj.2.weight"].shape[0] // token_dim,
        "attention_widths": tuple((layer.hidden, layer.token_dim) for layer in attention_layers(unet)),
        "rank": next((x.shape[0] for key, x in state.items() if key.endswith("to_q_lora.down.weight")), 0),
        "normed_embedding": "unnorm" not in name,
        "embedder": "insightface buffalo_l",
    }
    resampler = "projector.perceiver_resampler."
    if variant in ("consistentid", "faceid_plus", "faceid_plusv2"):
        config["state_dim"] = state[resampler + "proj_in.weight"].shape[1]
        config["resampler_depth"] = _depth(state, resampler)
        config["ff_mult"] = state[resampler + "layers.0.1.1.weight"].shape[0] // token_dim
    if variant == "consistentid":
        parts = "parts.visual_projection."
        config["part_width"] = state[parts + "proj_in.weight"].shape[0]
        config["part_depth"] = _depth(state, parts)
        config |= {"shortcut": token_dim == 2048, "legacy_parts": True, "framing": "photo"}
    return config


def _fill(conditioner: IdentityConditioner, state: State, variant: Variant) -> LoadReport:
    own = conditioner.state_dict()
    misshapen = [key for key in state if key in own and state[key].shape != own[key].shape]
    fitting = {key: value for key, value in state.items() if key in own and key not in misshapen}
    dtypes: dict[str, int] = {}
    loaded: dict[str, int] = {}
    for key, value in fitting.items():
        dtypes[str(value.dtype)] = dtypes.get(str(value.dtype), 0) + 1
        loaded[key.split(".")[0]] = loaded.get(key.split(".")[0], 0) + 1
    conditioner.load_state_dict(
        {key: value.float() for key, value in fitting.items()}, strict=False, assign=True
    )
    return LoadReport(
        variant=variant,
        loaded=loaded,
        missing=tuple(sorted(set(own) - set(state))),
        unexpected=tuple(sorted(set(state) - set(own))),
        misshapen=tuple(sorted(misshapen)),
        dtypes=dtypes,
    )


def _grouped(raw: State, path: Path) -> State:
    state: State = {}
    for key, value in raw.items():
        top, _, rest = key.partition(".")
        if top == "unet":
            continue
        if top in _FOREIGN:
            raise ValueError(f"{path.name}: a {_FOREIGN[top]} checkpoint; expected FaceID or ConsistentID")
        if top not in _GROUPS:
            raise ValueError(f"{path.name}: top key {top!r}; expected {', '.join(sorted(_GROUPS))}")
        state[f"{_GROUPS[top]}.{rest}"] = value
    return state


def _flattened(raw: Mapping[str, Any], prefix: str = "") -> State:
    flat: State = {}
    for key, value in raw.items():
        name = f"{prefix}{key}"
        flat |= _flattened(value, name + ".") if isinstance(value, Mapping) else {name: value}
    return flat


def _our_key(key: str) -> str:
    for theirs, ours in _OURS:
        if key.startswith(theirs):
            return ours + key[len(theirs) :]
    return key


def _plus_variant(name: str, token_dim: int) -> Variant:
    if "plusv2" in name.lower() or token_dim == 2048:  # for SDXL only V2 was published
        return "faceid_plusv2"
    if "plus" in name.lower():
        return "faceid_plus"
    raise ValueError(f"{name}: FaceID-Plus or PlusV2, whose tensors are alike: pass variant=")


def _check_base(unet: nn.Module, state: State, variant: Variant, name: str) -> None:
    if "projector.norm.weight" not in state:
        raise ValueError(f"{name}: detected {variant}, but the projector is missing")
    made_for, found = _token_dim(state), max(layer.token_dim for layer in attention_layers(unet))
    if made_for != found:
        raise ValueError(
            f"{name}: detected {variant}, made for {base_name(made_for)}; the base model is {base_name(found)}"
        )


def _token_dim(state: Mapping[str, torch.Tensor]) -> int:
    return state["projector.norm.weight"].shape[0]


def _depth(state: Mapping[str, torch.Tensor], prefix: str) -> int:
    start = prefix + "layers."
    return 1 + max(int(key[len(start) :].split(".")[0]) for key in state if key.startswith(start))
