"""Published InstantDrag files: parity with the nested network, and what is said of files that do not fit."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler
from safetensors.torch import load_file, save_file

from pipelines.drag import published
from tests.pipelines.components import TEXT_WIDTH, toy_text_encoder, toy_unet
from tests.pipelines.drag_files import NARROW, NARROW_GROUPS, NestedFlowGen, nested, save_published
from tests.pipelines.tokens import toy_tokenizer

CHILD = ".3.model"


@pytest.fixture(scope="module")
def reference():
    return nested()


@pytest.fixture(scope="module")
def generator(reference):
    return published.load_flow_generator(reference.state_dict(), norm_num_groups=NARROW_GROUPS)[0]


@pytest.fixture
def text():
    return {"text_encoder": toy_text_encoder(), "tokenizer": toy_tokenizer()}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return save_published(tmp_path_factory.mktemp("published"))


@pytest.fixture
def folder(written, tmp_path):
    """A copy to be spoilt."""
    for path in written.rglob("*.*"):
        target = tmp_path / path.relative_to(written)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_flow_is_that_of_the_nested_network(reference, generator):
    sample = noise(2, 5, 256, 256)
    expected, found = reference(sample.clone()), generator(sample)
    assert (found - expected).abs().max() < 1e-5 and expected.std() > 0.1
    assert generator.config.block_out_channels == NARROW and not generator.training


@torch.no_grad()
def test_picture_and_map_are_not_interchangeable(generator):
    sample = noise(1, 5, 256, 256)
    swapped = sample[:, [3, 4, 0, 1, 2]]
    assert (generator(sample) - generator(swapped)).abs().max() > 0.1


def test_full_size_has_the_keys_and_shapes_of_the_published_file():
    with torch.device("meta"):
        state = NestedFlowGen((64, 128, 256, 512, 512, 512, 512, 512), 32).state_dict()
        generator, report = published.load_flow_generator(state)
    assert str(report) == "flow_generator: 58 tensors fit" and len(state) == 58
    assert sum(x.numel() for x in state.values()) == generator.num_parameters() == 54_419_458
    innermost = "model.model.1.model" + 6 * CHILD
    shapes = {
        "model.model.0.weight": (64, 5, 4, 4),
        "model.model.3.weight": (128, 2, 4, 4),
        "model.model.1.model.1.weight": (128, 64, 4, 4),
        "model.model.1.model.5.weight": (256, 64, 4, 4),
        "model.model.1.model.6.bias": (64,),
        f"{innermost}.1.weight": (512, 512, 4, 4),
        f"{innermost}.3.weight": (512, 512, 4, 4),
        f"{innermost}.4.weight": (512,),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes
    names, own = published.flow_generator_names(8), generator.state_dict()
    assert names.keys() == state.keys() and sorted(names.values()) == sorted(own)
    assert all(own[key].shape == state[name].shape for name, key in names.items())


def test_a_full_size_file_without_its_innermost_levels_is_refused():
    with torch.device("meta"):
        state = NestedFlowGen((64, 128, 256, 512, 512, 512), 32).state_dict()
        with pytest.raises(published.CheckpointMismatch, match="38 tensors fit, 20 missing"):
            published.load_flow_generator(state)


def test_faults_of_a_flow_generator_are_listed(reference):
    state = reference.state_dict()
    level = "model.model.1.model" + CHILD
    del state[f"{level}.2.weight"]
    state[f"{level}.5.bias"] = torch.zeros(7)
    state["model.model.4.weight"] = torch.zeros(1)
    with pytest.raises(published.CheckpointMismatch) as raised:
        published.load_flow_generator(state, norm_num_groups=NARROW_GROUPS)
    (report,) = raised.value.reports
    assert report.missing == (f"{level}.2.weight",) and report.unexpected == ("model.model.4.weight",)
    assert report.misshapen == ((f"{level}.5.bias", (7,), (16,)),) and report.loaded == 56
    assert "not a whole InstantDrag checkpoint: flow_generator: 56 tensors fit, 1 missing" in str(
        raised.value
    )


def test_a_generator_of_other_channels_or_kind_is_refused(reference):
    state = reference.state_dict() | {"model.model.0.weight": torch.zeros(8, 3, 4, 4)}
    with pytest.raises(published.CheckpointMismatch, match=r"0.weight \(8, 3, 4, 4\) for \(8, 5, 4, 4\)"):
        published.load_flow_generator(state, norm_num_groups=NARROW_GROUPS)
    with pytest.raises(published.CheckpointMismatch, match="0 tensors fit, 58 missing"):
        published.load_flow_generator(toy_unet().state_dict())


def test_half_precision_is_cast_and_told_and_no_memory_is_shared(reference):
    state = {key: value.half() for key, value in reference.state_dict().items()}
    generator, report = published.load_flow_generator(state, norm_num_groups=NARROW_GROUPS)
    assert report.dtypes == {"torch.float16": 58} and generator.dtype == torch.float32
    own = reference.state_dict()
    before = own["model.model.0.bias"].clone()
    made, _ = published.load_flow_generator(own, norm_num_groups=NARROW_GROUPS)
    with torch.no_grad():
        made.down_blocks[0].conv.bias.zero_()
    assert torch.equal(own["model.model.0.bias"], before)


def test_the_folder_loads_whole(written, text):
    made = published.load_published(written, dtype=torch.float16, **text)
    assert [(x.group, x.is_complete) for x in made.reports] == [
        ("flow_generator", True), ("unet", True), ("vae", True)
    ]  # fmt: skip
    assert made.reports[1].loaded == len(toy_unet(in_channels=10).state_dict())
    own = made.flow_generator.state_dict()
    state = load_file(written / "flowgen_config2.safetensors")
    assert torch.equal(own["down_blocks.0.conv.weight"], state["model.model.0.weight"])
    assert torch.equal(made.unet.conv_in.weight, toy_unet(in_channels=10).conv_in.weight.half())
    assert (made.flow_generator.dtype, made.vae.dtype) == (torch.float32, torch.float16)
    assert isinstance(made.scheduler, DDIMScheduler)
    assert made.scheduler.config.prediction_type == "v_prediction"
    assert made.null_text.shape == (1, 48, TEXT_WIDTH)
    assert not any(x.training for x in (made.flow_generator, made.unet, made.vae))


def test_the_other_flow_generator_is_asked_for_by_its_name(written):
    assert published.find_published(written).flow_generator.name == "flowgen_config2.safetensors"
    other = published.find_published(written, flow_generator="Config3")
    assert other.flow_generator.name == "flowgen_config3.safetensors"
    with pytest.raises(FileNotFoundError, match="a .safetensors file with flowgen and config4 in its name"):
        published.find_published(written, flow_generator="config4")


def test_parts_that_are_missing_or_there_twice_are_named(folder, tmp_path_factory):
    with pytest.raises(FileNotFoundError, match=r"nowhere: expected a .safetensors file with flowgen in its"):
        published.find_published(folder / "nowhere")
    (folder / "my_flowdiffusion").mkdir()
    with pytest.raises(ValueError, match="flowdiffusion and my_flowdiffusion; expected one of them"):
        published.find_published(folder)
    empty = tmp_path_factory.mktemp("empty")
    save_file({"x": torch.zeros(1)}, empty / "FlowGen.safetensors")
    with pytest.raises(FileNotFoundError, match="expected a folder with flowdiffusion in its name"):
        published.find_published(empty)


def test_the_denoiser_takes_ten_channels(tmp_path, text):
    save_published(tmp_path, in_channels=8)
    message = "takes 8 channels, expected 10: 4 of noise, 4 of the picture, 2 of flow"
    with pytest.raises(ValueError, match=message):
        published.load_published(tmp_path, **text)


@torch.no_grad()
def test_flow_and_picture_are_not_interchangeable_to_the_denoiser(written, text):
    made = published.load_published(written, **text)
    sample, states = noise(1, 10, 8, 8), made.null_text
    swapped = sample[:, [0, 1, 2, 3, 8, 9, 4, 5, 6, 7]]
    first, second = (made.unet(x, 5, states).sample for x in (sample, swapped))
    assert (first - second).abs().max() > 1e-2


def test_faults_of_the_denoiser_are_listed(folder, text):
    path = folder / "flowdiffusion" / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    del state["conv_out.bias"]
    state |= {"conv_in.bias": torch.zeros(3), "extra": torch.zeros(1)}
    save_file(state, path)
    with pytest.raises(published.CheckpointMismatch) as raised:
        published.load_published(folder, **text)
    (report,) = raised.value.reports
    assert report.group == "unet" and report.missing == ("conv_out.bias",)
    assert report.unexpected == ("extra",) and report.misshapen == (("conv_in.bias", (3,), (16,)),)
    assert report.loaded == len(state) - 2


def test_a_pickled_denoiser_is_not_read(folder, text):
    path = folder / "flowdiffusion" / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()
    with pytest.raises(OSError, match="diffusion_pytorch_model"):
        published.load_published(folder, **text)


def test_the_scheduler_is_the_one_of_the_folder(folder, text):
    config = folder / "flowdiffusion" / "scheduler" / "scheduler_config.json"
    stored = json.loads(config.read_text())
    config.write_text(json.dumps(stored | {"_class_name": "EulerDiscreteScheduler"}))
    assert isinstance(published.load_published(folder, **text).scheduler, EulerDiscreteScheduler)
    for wrong in ("UNet2DModel", "NoSuchScheduler"):
        config.write_text(json.dumps(stored | {"_class_name": wrong}))
        with pytest.raises(ValueError, match=f"'{wrong}' is no scheduler of diffusers"):
            published.load_published(folder, **text)


def test_the_empty_text_is_computed_or_read(folder, text):
    ids = torch.tensor([[text["tokenizer"].bos_token_id] + 47 * [text["tokenizer"].eos_token_id]])
    with torch.no_grad():
        expected = text["text_encoder"](ids).last_hidden_state
    computed = published.load_published(folder, **text).null_text
    assert torch.allclose(computed, expected, atol=1e-5) and not computed.requires_grad
    stored = noise(1, 48, TEXT_WIDTH).half()
    save_file({"embedding": stored}, folder / "null_prompt.safetensors")
    read = published.load_published(folder).null_text
    assert torch.equal(read, stored.float())


def test_an_empty_text_that_does_not_fit_is_refused(tmp_path):
    path = tmp_path / "null.safetensors"
    for tensors in ({"a": noise(1, 4, 8)}, {"a": noise(2, 4, 6)}, {"a": noise(1, 4, 6), "b": noise(1)}):
        save_file(tensors, path)
        with pytest.raises(
            ValueError, match=r"null.safetensors: tensors .*, expected one of shape \(1, T, 6\)"
        ):
            published.null_text(path, 6)
    with pytest.raises(
        ValueError, match="null text: no .safetensors file with null in its name; give text_enc"
    ):
        published.null_text(None, 6, text_encoder=toy_text_encoder())
    with pytest.raises(ValueError, match="states 32 wide, the denoiser attends to 6"):
        published.null_text(None, 6, toy_text_encoder(), toy_tokenizer())


@torch.no_grad()
def test_a_widened_denoiser_draws_the_same_until_it_is_trained():
    base = toy_unet()
    wide = published.widen(copy.deepcopy(base))
    sample, states = noise(2, 10, 8, 8), noise(2, 5, TEXT_WIDTH, seed=1)
    assert wide.config.in_channels == 10 and wide.conv_in.weight.shape[1] == 10
    expected = base(sample[:, :4], 7, states).sample
    assert torch.equal(wide(sample, 7, states).sample, expected)
    wide.conv_in.weight[:, 8:] += 0.1
    assert not torch.allclose(wide(sample, 7, states).sample, expected, atol=1e-3)


def test_a_widened_denoiser_is_saved_as_such(tmp_path):
    wide = published.widen(toy_unet().half())
    assert wide.dtype == torch.float16 and wide.conv_in.weight.requires_grad
    wide.save_pretrained(tmp_path)
    again = type(wide).from_pretrained(tmp_path)
    assert again.config.in_channels == 10 and not again.conv_in.weight[:, 4:].any()
    with pytest.raises(ValueError, match="unet: takes 10 channels, expected fewer than 10"):
        published.widen(wide)
