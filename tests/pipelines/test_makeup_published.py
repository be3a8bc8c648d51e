"""Published Stable-Makeup files: key sets, shapes, round trips, and what is said of files that do not fit."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import UNet2DConditionModel

from pipelines.checkpoint import WrongShape
from pipelines.makeup import published
from pipelines.makeup.modules import MakeupAdapter
from tests.pipelines.makeup_files import (
    FULL,
    LAYERS,
    NAMES,
    controlnet_shapes,
    encoder_shapes,
    four_level_unet,
    main_shapes,
    modules,
    save,
    toy_files,
)


@pytest.fixture(scope="module")
def unet():
    return four_level_unet()


@pytest.fixture
def files(unet):
    return toy_files(unet)


def parameters(shapes):
    return sum(math.prod(shape) for shape in shapes.values())


def test_full_size_has_the_keys_and_shapes_of_the_published_files():
    levels = (320, 640, 1280, 1280)
    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
        controlnet = controlnet_shapes(unet, levels)
        shapes = (main_shapes(FULL, levels), controlnet, controlnet)
        states = [{key: torch.empty(shape) for key, shape in item.items()} for item in shapes]
        made = published.load_published(unet, states)
    assert [(x.group, x.loaded) for x in made.reports] == [
        ("image_encoder", 389),
        ("attention", 32),
        ("mixer", 13),
        ("content", len(controlnet)),
        ("structure", len(controlnet)),
    ]
    assert all(report.is_complete for report in made.reports)
    assert len(shapes[0]) == 434 and parameters(shapes[0]) == 343_431_168
    assert parameters(encoder_shapes(**FULL)) == 303_177_728
    assert sum(p.numel() for p in made.adapter.attention.parameters()) == 25_559_040
    assert sum(p.numel() for p in made.adapter.mixer.parameters()) == 14_694_400
    assert made.content_controlnet.num_parameters() == parameters(controlnet) == 361_279_120
    back = published.published_states(*modules(made))
    assert [{key: tuple(x.shape) for key, x in state.items()} for state in back] == list(shapes)
    config = made.image_encoder.config
    assert (config.num_attention_heads, config.image_size, config.hidden_act) == (16, 224, "quick_gelu")
    assert made.adapter.mixer.attn.heads == 8 and made.adapter.config.head_dim == 64


def test_a_full_size_tower_without_its_last_layers_is_refused():
    levels = (320, 640, 1280, 1280)
    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
        shapes = (main_shapes(FULL | {"layers": 22}, levels), *[controlnet_shapes(unet, levels)] * 2)
        states = [{key: torch.empty(shape) for key, shape in item.items()} for item in shapes]
        with pytest.raises(published.CheckpointMismatch, match="image_encoder: 357 tensors fit, 32 missing"):
            published.load_published(unet, states)


def test_there_and_back_is_bit_equal(unet, files):
    back = published.published_states(*modules(published.load_published(unet, files)))
    for ours, theirs in zip(back, files, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], value) for key, value in theirs.items())


def test_each_index_of_the_file_is_the_layer_of_the_unet_it_was_trained_in(unet, files):
    names = [name for name in unet.attn_processors if ".attn2." in name]
    assert names == [f"{name}.transformer_blocks.0.attn2.processor" for name in LAYERS.values()]
    adapter = published.load_published(unet, files).adapter
    assert set(adapter.attention) == {str(index) for index in LAYERS}
    for index in LAYERS:
        assert torch.equal(
            adapter.attention[str(index)].to_k.weight, files[0][f"SSR_layers.{index}.to_k_SSR.weight"]
        )
        assert torch.equal(
            adapter.attention[str(index)].to_v.weight, files[0][f"SSR_layers.{index}.to_v_SSR.weight"]
        )


@pytest.mark.parametrize("names", [NAMES, ("model", "model_1", "model_2")])
def test_files_load_as_folder_paths_or_state_dicts(tmp_path, unet, files, names):
    save(tmp_path, files, names)
    ways = (tmp_path, str(tmp_path), [tmp_path / f"{name}.safetensors" for name in names], files)
    for way in ways:
        made = published.load_published(unet, way)
        assert torch.equal(made.adapter.mixer.norm1.bias, files[0]["resampler.norm1.bias"])
        assert torch.equal(made.content_controlnet.conv_in.weight, files[1]["conv_in.weight"])
        assert torch.equal(made.structure_controlnet.conv_in.weight, files[2]["conv_in.weight"])


def test_modules_share_no_memory_with_the_state_dicts_and_leave_the_unet_alone(unet, files):
    processors = dict(unet.attn_processors)
    made = published.load_published(unet, [files[0], files[1], files[1]])
    before = files[1]["conv_in.weight"].clone()
    with torch.no_grad():
        made.content_controlnet.conv_in.weight.zero_()
    assert torch.equal(files[1]["conv_in.weight"], before)
    assert torch.equal(made.structure_controlnet.conv_in.weight, before)
    assert unet.attn_processors == processors
    assert all(not x.is_meta for module in modules(made) for x in (*module.parameters(), *module.buffers()))


def test_half_precision_is_cast_and_told(unet):
    made = published.load_published(unet, toy_files(unet, torch.float16))
    assert made.reports[1].dtypes == {"torch.float16": 32}
    assert {x.dtype for module in modules(made) for x in module.parameters()} == {torch.float32}
    assert not any(module.training for module in modules(made))


def test_the_image_encoder_saves_and_loads_whole(tmp_path, unet, files):
    encoder = published.load_published(unet, files).image_encoder
    encoder.save_pretrained(tmp_path)
    again, told = type(encoder).from_pretrained(tmp_path, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in encoder.state_dict().items())


def test_missing_files_are_named(tmp_path, unet, files):
    with pytest.raises(FileNotFoundError, match="expected a folder with pytorch_model, pytorch_model_1 and"):
        published.load_published(unet, tmp_path)
    save(tmp_path, files)
    (tmp_path / "pytorch_model_2.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="expected a folder with"):
        published.load_published(unet, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"pytorch_model_2.safetensors: no such file"):
        published.load_published(unet, [tmp_path / f"{name}.safetensors" for name in NAMES])
    with pytest.raises(ValueError, match="2 files: expected three, main, content, structure"):
        published.load_published(unet, files[:2])


def test_faults_are_listed_for_each_group(unet, files):
    main, content, structure = files
    del main["image_encoder.vision_model.encoder.layers.3.mlp.fc2.bias"]
    main["image_encoder.vision_model.post_layernorm.weight"] = torch.zeros(48)
    del main["SSR_layers.7.to_v_SSR.weight"]
    main["SSR_layers.2.to_k_SSR.weight"] = torch.zeros(8, 48)
    main["resampler.norm2.bias"] = torch.zeros(49)
    main["extra.weight"] = torch.zeros(1)
    content["controlnet_mid_block.weight"] = torch.zeros(32, 31, 1, 1)
    del structure["conv_in.bias"]
    with pytest.raises(published.CheckpointMismatch) as raised:
        published.load_published(unet, files)
    reports = {report.group: report for report in raised.value.reports}
    assert list(reports) == ["image_encoder", "attention", "mixer", "content", "structure", "unknown"]
    assert reports["image_encoder"].missing == ("image_encoder.vision_model.encoder.layers.3.mlp.fc2.bias",)
    assert reports["image_encoder"].unexpected == ("image_encoder.vision_model.post_layernorm.weight",)
    assert reports["attention"].missing == ("SSR_layers.7.to_v_SSR.weight",)
    assert reports["attention"].unexpected == ("SSR_layers.2.to_k_SSR.weight",)
    assert reports["mixer"].misshapen == (WrongShape("resampler.norm2.bias", (49,), (48,)),)
    assert [x.key for x in reports["content"].misshapen] == ["controlnet_mid_block.weight"]
    assert reports["structure"].missing == ("conv_in.bias",)
    assert reports["unknown"].unexpected == ("extra.weight",)
    assert "mixer: 12 tensors fit, 1 misshapen (resampler.norm2.bias (49,) for (48,))" in str(raised.value)


def test_a_missing_tensor_that_tells_a_width_is_named_too(unet, files):
    for state, key in (
        (files[1], "controlnet_cond_embedding.blocks.5.weight"),
        (files[0], "resampler.attn.to_q.weight"),
        (files[0], "image_encoder.vision_model.embeddings.patch_embedding.weight"),
    ):
        taken = state.pop(key)
        with pytest.raises(published.CheckpointMismatch) as raised:
            published.load_published(unet, files)
        assert [key] == [name for report in raised.value.reports for name in report.missing]
        state[key] = taken


def test_position_ids_of_old_files_are_passed_over(unet, files):
    key = "image_encoder.vision_model.embeddings.position_ids"
    files[0][key] = torch.arange(5)[None]
    report = published.load_published(unet, files).reports[0]
    assert report.is_complete and report.ignored == (key,)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ((1, 0, 2), "main file: holds a ControlNet, expected a makeup encoder; the order is main, content"),
        ((0, 1, 0), "structure file: holds a makeup encoder, expected a ControlNet"),
    ],
)
def test_a_file_in_the_place_of_another_is_refused(unet, files, order, message):
    with pytest.raises(ValueError, match=message):
        published.load_published(unet, [files[n] for n in order])


def test_other_files_and_bases_are_refused(unet, files):
    with pytest.raises(ValueError, match="content file: holds neither of the two kinds of file"):
        published.load_published(unet, [files[0], unet.state_dict(), files[2]])
    with pytest.raises(
        ValueError, match="made for text of 32 channels; the base model is text of 24 channels"
    ):
        published.load_published(four_level_unet(24), files)


def test_pickles_are_read_only_on_request(tmp_path, unet, files):
    for name, state in zip(NAMES, files, strict=True):
        torch.save(state, tmp_path / f"{name}.bin")
    with pytest.raises(ValueError, match="a pickle; convert it once with"):
        published.load_published(unet, tmp_path)
    made = published.load_published(unet, tmp_path, allow_pickle=True)
    assert isinstance(made.adapter, MakeupAdapter) and all(x.is_complete for x in made.reports)
    assert torch.equal(made.adapter.mixer.norm1.bias, files[0]["resampler.norm1.bias"])
