"""Files laid out as published, shrunk: the key sets and counts are those of the originals."""

from __future__ import annotations

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

from pipelines.portrait import published
from pipelines.portrait.attention import attention_layers
from pipelines.portrait.modules import IdentityConditioner
from pipelines.portrait.pipeline import PortraitPipeline
from tests.pipelines.components import toy_components, toy_frames, toy_image_encoder, toy_processor, toy_unet

WIDTH = 64  # published resamplers have heads of 64 channels


def four_level_unet(width: int = WIDTH):
    """The blocks of Stable Diffusion 1.5 in miniature: 32 attention layers."""
    return toy_unet(
        cross_attention_dim=width,
        block_out_channels=(4, 4, 4, 4),
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        layers_per_block=2,
        norm_num_groups=2,
    )


def sdxl_unet():
    """The blocks of SDXL in miniature: 140 attention layers."""
    return toy_unet(
        cross_attention_dim=WIDTH,
        block_out_channels=(4, 4, 4),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=2,
        transformer_layers_per_block=(1, 2, 10),
        norm_num_groups=2,
    )


def _resampler(prefix: str, inside: int, width: int, outside: int, depth: int) -> dict[str, tuple[int, ...]]:
    shapes = {
        "proj_in.weight": (width, inside), "proj_in.bias": (width,),
        "proj_out.weight": (outside, width), "proj_out.bias": (outside,),
        "norm_out.weight": (outside,), "norm_out.bias": (outside,),
    }  # fmt: skip
    for number in range(depth):
        layer = f"layers.{number}."
        shapes |= {f"{layer}0.norm{n}.{kind}": (width,) for n in (1, 2) for kind in ("weight", "bias")}
        shapes |= {f"{layer}0.to_q.weight": (width, width), f"{layer}0.to_kv.weight": (2 * width, width)}
        shapes |= {f"{layer}0.to_out.weight": (width, width)}
        shapes |= {f"{layer}1.0.weight": (width,), f"{layer}1.0.bias": (width,)}
        shapes |= {f"{layer}1.1.weight": (4 * width, width), f"{layer}1.3.weight": (width, 4 * width)}
    return {prefix + key: shape for key, shape in shapes.items()}


def _projector(tokens: int = 4, has_resampler: bool = True) -> dict[str, tuple[int, ...]]:
    shapes = {
        "proj.0.weight": (32, 16), "proj.0.bias": (32,),
        "proj.2.weight": (tokens * WIDTH, 32), "proj.2.bias": (tokens * WIDTH,),
        "norm.weight": (WIDTH,), "norm.bias": (WIDTH,),
    }  # fmt: skip
    return shapes | (_resampler("perceiver_resampler.", 24, WIDTH, WIDTH, 4) if has_resampler else {})


def _facial_encoder() -> dict[str, tuple[int, ...]]:
    shapes = {"visual_projection.latents": (1, 1, 64), **_resampler("visual_projection.", 24, 64, WIDTH, 8)}
    for name, inside in (("mlp1", 2 * WIDTH), ("mlp2", WIDTH)):
        shapes |= {f"fuse_module.{name}.layernorm.{kind}": (inside,) for kind in ("weight", "bias")}
        shapes |= {
            f"fuse_module.{name}.fc1.weight": (WIDTH, inside),
            f"fuse_module.{name}.fc1.bias": (WIDTH,),
        }
        shapes |= {f"fuse_module.{name}.fc2.weight": (WIDTH, WIDTH), f"fuse_module.{name}.fc2.bias": (WIDTH,)}
    return shapes | {f"fuse_module.layer_norm.{kind}": (WIDTH,) for kind in ("weight", "bias")}


def _adapter(unet, rank: int = 3) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for layer in attention_layers(unet):
        for name in ("q", "k", "v", "out") if rank else ():
            inside = layer.token_dim if layer.token_dim and name in "kv" else layer.hidden
            shapes[f"{layer.index}.to_{name}_lora.down.weight"] = (rank, inside)
            shapes[f"{layer.index}.to_{name}_lora.up.weight"] = (layer.hidden, rank)
        if layer.token_dim:
            shapes |= {f"{layer.index}.to_{x}_ip.weight": (layer.hidden, layer.token_dim) for x in "kv"}
    return shapes


def _tensors(shapes, dtype=torch.float32):
    return {key: (torch.randn(shape) * 0.1).to(dtype) for key, shape in shapes.items()}


def consistentid(unet, names=("image_proj", "FacialEncoder", "adapter_modules")):
    """A checkpoint of ConsistentID; like the published one the projector alone is bf16."""
    torch.manual_seed(0)
    parts = (
        (_projector(), torch.bfloat16),
        (_facial_encoder(), torch.float32),
        (_adapter(unet), torch.float32),
    )
    return {name: _tensors(*part) for name, part in zip(names, parts, strict=True)}


def faceid(unet, tokens=4, has_resampler=False, rank=3):
    torch.manual_seed(0)
    shapes = {"image_proj": _projector(tokens, has_resampler), "ip_adapter": _adapter(unet, rank)}
    return {name: _tensors(part, torch.float16) for name, part in shapes.items()}


def flat(nested):
    return {f"{top}.{key}": value for top, part in nested.items() for key, value in part.items()}


def test_counts_are_those_of_the_published_files():
    unet, large = four_level_unet(), sdxl_unet()
    assert (len(_projector()), len(_facial_encoder()), len(_adapter(unet)), len(_adapter(large))) == (
        56,
        109,
        288,
        1260,
    )


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize(
    "names",
    [
        ("image_proj", "FacialEncoder", "adapter_modules"),
        ("image_proj_model", "FacialEncoder", "adapter_modules"),
        ("image_proj", "FacialEncoder", "ip_adapter"),
        ("image_proj_model", "FacialEncoder", "ip_adapter"),
    ],
)
def test_consistentid_loads_from_every_spelling(tmp_path, names, suffix):
    unet = four_level_unet()
    nested, path = consistentid(unet, names), tmp_path / f"ConsistentID-v1{suffix}"
    save_file(flat(nested), path) if suffix == ".safetensors" else torch.save(nested, path)
    conditioner, report = published.load_published(unet, path, allow_pickle=True)
    assert report.is_complete and report.variant == "consistentid"
    assert report.loaded == {"projector": 56, "part_encoder": 95, "fuse_module": 14, "attention": 288}
    assert report.dtypes == {"torch.bfloat16": 56, "torch.float32": 397}
    assert {x.dtype for x in conditioner.parameters()} == {torch.float32}
    theirs = nested[names[1]]["visual_projection.layers.7.0.to_kv.weight"]
    assert torch.equal(conditioner.part_encoder.resampler.layers[7][0].to_kv.weight, theirs)
    theirs = nested[names[2]]["31.to_v_ip.weight"]
    assert torch.equal(conditioner.attention["31"].to_v_ip.weight, theirs)
    config = conditioner.config
    assert (config.rank, config.num_tokens, config.resampler_depth, config.part_depth) == (3, 4, 4, 8)
    assert (config.legacy_parts, config.framing, conditioner.projector.shortcut) == (True, "photo", False)


def test_raw_training_states_and_sdxl_load(tmp_path):
    unet, path = sdxl_unet(), tmp_path / "pytorch_model.bin"
    state = flat(consistentid(unet, ("image_proj_model", "FacialEncoder", "adapter_modules")))
    torch.save(state | {"unet.conv_in.weight": torch.zeros(1)}, path)
    _, report = published.load_published(unet, path, allow_pickle=True)
    assert report.is_complete and report.loaded["attention"] == 1260


@pytest.mark.parametrize(
    ("name", "options", "variant", "count"),
    [
        ("ip-adapter-faceid_sd15", {}, "faceid", 6 + 288),
        ("ip-adapter-faceid-plus_sd15", {"has_resampler": True}, "faceid_plus", 56 + 288),
        ("ip-adapter-faceid-plusv2_sd15", {"has_resampler": True}, "faceid_plusv2", 56 + 288),
        ("ip-adapter-faceid-portrait-v11_sd15", {"tokens": 16, "rank": 0}, "portrait", 6 + 32),
        ("ip-adapter-faceid-portrait_sdxl_unnorm", {"tokens": 16, "rank": 0}, "portrait", 6 + 32),
    ],
)
def test_the_faceid_family_loads(tmp_path, name, options, variant, count):
    unet, path = four_level_unet(), tmp_path / f"{name}.safetensors"
    save_file(flat(faceid(unet, **options)), path)
    conditioner, report = published.load_published(unet, path)
    assert (report.variant, sum(report.loaded.values())) == (variant, count)
    assert report.dtypes == {"torch.float16": count}
    assert conditioner.config.normed_embedding is not name.endswith("unnorm")
    assert getattr(conditioner.projector, "shortcut", False) is (variant == "faceid_plusv2")
    assert conditioner.config.legacy_parts is False


def test_plus_and_plusv2_are_told_apart_by_name_or_caller(tmp_path):
    unet, path = four_level_unet(), tmp_path / "model.safetensors"
    save_file(flat(faceid(unet, has_resampler=True)), path)
    with pytest.raises(ValueError, match="FaceID-Plus or PlusV2, whose tensors are alike: pass variant="):
        published.load_published(unet, path)
    assert published.load_published(unet, path, variant="faceid_plusv2")[0].projector.shortcut is True
    with pytest.raises(ValueError, match="variant='plus': expected one of"):
        published.load_published(unet, path, variant="plus")


def test_faults_are_reported(tmp_path):
    unet, path = four_level_unet(), tmp_path / "ConsistentID-v1.safetensors"
    state = flat(consistentid(unet))
    del state["adapter_modules.1.to_k_ip.weight"]
    state["FacialEncoder.visual_projection.extra"] = torch.zeros(1)
    state["image_proj.norm.bias"] = torch.zeros(WIDTH + 1)
    save_file(state, path)
    with pytest.raises(
        ValueError, match="ConsistentID-v1.safetensors: not a whole checkpoint, consistentid: 451"
    ):
        published.load_published(unet, path)
    _, report = published.load_published(unet, path, strict=False)
    assert report.missing == ("attention.1.to_k_ip.weight",)
    assert report.unexpected == ("part_encoder.resampler.extra",)
    assert report.misshapen == ("projector.norm.bias",)
    assert "1 missing (attention.1.to_k_ip.weight)" in str(report)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"id_encoder.x": 1}, "a PhotoMaker checkpoint"),
        ({"id_adapter.x": 1}, "a PuLID checkpoint"),
        (
            {"image_proj.latents": 1, "ip_adapter.1.to_k_ip.weight": 1},
            "an InstantID or IP-Adapter Plus resampler",
        ),
        (
            {"image_proj.proj.weight": 1, "image_proj.norm.weight": 1},
            "no FaceID projector; a plain IP-Adapter",
        ),
        ({"model.diffusion_model.x": 1}, "top key 'model'; expected FacialEncoder, adapter_modules"),
        (
            {"FacialEncoder.visual_projection.latents": 1},
            "detected consistentid, but the projector is missing",
        ),
    ],
)
def test_other_checkpoints_are_named(tmp_path, state, message):
    path = tmp_path / "model.safetensors"
    save_file({key: torch.zeros(size) for key, size in state.items()}, path)
    with pytest.raises(ValueError, match=message):
        published.load_published(four_level_unet(), path)


def test_another_base_model_is_refused(tmp_path):
    path = tmp_path / "ip-adapter-faceid_sd15.safetensors"
    save_file(flat(faceid(four_level_unet())), path)
    with pytest.raises(
        ValueError, match="detected faceid, made for text of 64 channels; the base model is text of 32"
    ):
        published.load_published(four_level_unet(32), path)


def test_pickles_are_read_only_on_request_and_without_code(tmp_path):
    unet, path = four_level_unet(), tmp_path / "ip-adapter-faceid_sd15.bin"
    torch.save(faceid(unet), path)
    with pytest.raises(ValueError, match="a pickle; convert it once with"):
        published.load_published(unet, path)
    safe = published.convert_pickle(path, tmp_path / "ip-adapter-faceid_sd15.safetensors")
    ours, theirs = (
        published.load_published(unet, safe)[0],
        published.load_published(unet, path, allow_pickle=True)[0],
    )
    assert all(torch.equal(x, theirs.state_dict()[key]) for key, x in ours.state_dict().items())
    torch.save({"image_proj": print}, path)
    with pytest.raises(Exception, match="[Ww]eights.only|Unsupported"):
        published.read_published(path, allow_pickle=True)
    with pytest.raises(FileNotFoundError, match="no such file; expected a published checkpoint"):
        published.read_published(tmp_path / "absent.safetensors")


def test_a_whole_pipeline_on_a_published_checkpoint(tmp_path):
    components = toy_components(length=77)
    unet = toy_unet(cross_attention_dim=WIDTH)
    names = ("vae", "tokenizer", "scheduler")
    from tests.pipelines.components import toy_text_encoder

    StableDiffusionPipeline(
        **{name: components[name] for name in names},
        text_encoder=toy_text_encoder(WIDTH, 77),
        unet=unet,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(tmp_path / "base")
    save_file(flat(consistentid(unet)), tmp_path / "ConsistentID-v1.safetensors")
    pipe = PortraitPipeline.from_published(
        tmp_path / "base",
        tmp_path / "ConsistentID-v1.safetensors",
        image_encoder=toy_image_encoder(),
        feature_extractor=toy_processor(),
    )
    pipe.set_progress_bar_config(disable=True)
    assert pipe.load_report.is_complete
    with pytest.raises(ValueError, match="by insightface buffalo_l embeddings: set pipe.face_embedder"):
        pipe.encode_aligned(*toy_frames(1))
    pipe.face_embedder = lambda picture: torch.nn.functional.normalize(torch.ones(16), dim=-1)
    people = pipe.encode_aligned(*toy_frames(1))
    options = {"prompt": "a man", "conditioning": people, "num_inference_steps": 2, "output_type": "latent"}
    first = pipe(**options, merge_step=1, generator=torch.Generator().manual_seed(0)).images
    pipe.save_pretrained(tmp_path / "ours")
    loaded = PortraitPipeline.from_pretrained(tmp_path / "ours")
    loaded.set_progress_bar_config(disable=True)
    again = loaded(**options, merge_step=1, generator=torch.Generator().manual_seed(0)).images
    assert torch.equal(first, again)
    assert isinstance(loaded.conditioner, IdentityConditioner) and loaded.conditioner.config.rank == 3
    merged = pipe(**options, merge_step=-1, generator=torch.Generator().manual_seed(0)).images
    assert not torch.equal(first, merged)
