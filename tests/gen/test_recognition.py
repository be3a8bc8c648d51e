"""The network that compares generated faces is the model's own recognizer, where it brings one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from transformers import CLIPImageProcessorPil

from faces.tower import FaceTower
from gen import recognition
from gen.portraits import Studio
from gen.prior import FILE, IdentityPrior, fit_prior
from pipelines.portrait.encoder import FaceEncoder
from weights import quantized

SIDE = 32


def encoder(seed: int) -> FaceEncoder:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "projection_dim": 8}
    return FaceEncoder(image_size=SIDE, stem_widths=(8, 8, 16), **sizes).eval()


@pytest.fixture
def model(tmp_path):
    """A model folder with a recognizer."""
    encoder(1).save_pretrained(tmp_path / recognition.FOLDER)
    return tmp_path


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (3, SIDE, SIDE, 3), dtype=np.uint8)


def extractor() -> CLIPImageProcessorPil:
    return CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size=SIDE, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )


def test_embeddings_are_the_recognizers_and_of_length_one(model, frames):
    loaded = recognition.load(model)
    assert loaded is not None
    vectors = recognition.embed(loaded, extractor(), frames)
    assert vectors.shape == (3, 8)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors, recognition.embed(encoder(1), extractor(), frames), atol=1e-5)
    assert not np.allclose(vectors, recognition.embed(encoder(2), extractor(), frames), atol=0.1)


def test_a_packed_recognizer_embeds_as_the_exact_one(model, frames, tmp_path, monkeypatch):
    out = tmp_path / "packed" / recognition.FOLDER
    monkeypatch.setattr("sys.argv", ["gen.recognition", str(model / recognition.FOLDER), str(out)])
    recognition.main()
    assert sorted(path.name for path in out.iterdir()) == ["config.json", quantized.FILE]
    loaded = recognition.load(out.parent)
    assert loaded is not None and not loaded.training
    assert {tensor.dtype for tensor in loaded.parameters()} == {torch.float32}
    vectors, exact = (recognition.embed(network, extractor(), frames) for network in (loaded, encoder(1)))
    assert (vectors * exact).sum(axis=1).min() > 0.999
    assert not np.array_equal(vectors, exact)
    assert not np.allclose(vectors, recognition.embed(encoder(2), extractor(), frames), atol=0.1)


def test_a_packed_recognizer_takes_the_place_of_an_exact_one(model, tmp_path):
    before = recognition.digest(model)
    encoder(2).save_pretrained(tmp_path / "other")
    recognition.pack(tmp_path / "other", model / recognition.FOLDER)
    assert recognition.digest(model) not in ("", before)
    assert not list((model / recognition.FOLDER).glob("diffusion*"))
    with pytest.raises(ValueError, match="into another folder"):
        recognition.pack(tmp_path / "other", tmp_path / "other")
    assert FaceEncoder.from_pretrained(tmp_path / "other").config["projection_dim"] == 8


def test_weights_are_off_by_half_a_step_of_their_row_at_most():
    rng = torch.Generator().manual_seed(0)
    rows = torch.randn(64, 8, 3, 3, generator=rng) * torch.logspace(-4, 2, 64)[:, None, None, None]
    rows[5] = 0
    state = {"rows.weight": rows.half(), "bias": rows[0].half(), "count": torch.tensor(3)}
    packed = quantized.pack(state)
    assert packed["rows.weight"].dtype == torch.int8 and packed["rows.weight"].shape == rows.shape
    assert packed["rows.weight.scale"].shape == (64,)
    whole = quantized.unpack(packed)
    assert whole.keys() == state.keys()
    assert whole["bias"] is state["bias"] and whole["count"] is state["count"]
    error = (whole["rows.weight"] - state["rows.weight"].float()).abs().flatten(1).amax(dim=1)
    largest = state["rows.weight"].float().abs().flatten(1).amax(dim=1)
    assert (error <= 0.501 * largest / 127).all()
    assert all(torch.equal(tensor, state[name]) for name, tensor in quantized.unpack(state).items())


def test_small_tensors_and_vectors_stay_exact(model, tmp_path):
    out = tmp_path / "packed"
    recognition.pack(model / recognition.FOLDER, out)
    packed, exact = load_file(out / quantized.FILE), encoder(1).state_dict()
    coded = {name for name, tensor in packed.items() if tensor.dtype == torch.int8}
    assert coded == {
        name for name, tensor in exact.items() if tensor.ndim > 1 and tensor.numel() >= quantized.SMALLEST
    }
    assert coded and all(torch.equal(packed[name], exact[name]) for name in exact.keys() - coded)


def test_a_portrait_and_its_mirror_image_compare_as_one(frames):
    vectors = recognition.compare(encoder(1), extractor(), frames)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors, recognition.compare(encoder(1), extractor(), frames[:, :, ::-1]), atol=1e-5)
    assert not np.allclose(vectors, recognition.embed(encoder(1), extractor(), frames), atol=1e-4)


def test_a_model_without_one_has_none(tmp_path):
    assert recognition.load(tmp_path) is None
    assert recognition.digest(tmp_path) == ""


def test_a_studio_compares_with_the_recognizer(model, frames):
    conditioner = SimpleNamespace(config={"framing": "aligned"})
    pipe = SimpleNamespace(
        image_encoder=encoder(2), feature_extractor=extractor(), face_embedder=None, conditioner=conditioner,
        set_progress_bar_config=lambda disable: None,
    )  # fmt: skip
    face = SimpleNamespace(aligned=frames[0])
    settings = {"steps": 1, "guidance": 1.0, "identity_scale": 1.0}
    for network, own in ((recognition.load(model), encoder(1)), (None, encoder(2))):
        studio = Studio(pipe, None, recognizer=network, **settings)
        wanted = recognition.compare(own, extractor(), frames[:1])[0]
        assert np.allclose(studio._embed(frames[0], face), wanted, atol=1e-5)


def test_a_prior_that_another_recognizer_made_is_refused(model):
    people = np.random.default_rng(0).standard_normal((20, 8))
    save_file(fit_prior(people, compared=people[:, :6]), model / FILE)
    with pytest.raises(ValueError, match="another recognizer"):
        IdentityPrior.load(model)
    made_with = {recognition.FOLDER: recognition.digest(model)}
    save_file(fit_prior(people, compared=people[:, :6]), model / FILE, metadata=made_with)
    prior = IdentityPrior.load(model)
    assert prior.training_embeddings.shape == (20, 6)
    assert prior.sample(np.random.default_rng(1)).shape == (8,)


def test_the_analyzer_reads_a_packed_recognizer_too(model, tmp_path):
    packed = tmp_path / "packed"
    recognition.pack(model / recognition.FOLDER, packed)
    whole, small = FaceTower.load(model / recognition.FOLDER), FaceTower.load(packed)
    state = small.state_dict()
    assert any(not torch.equal(value, state[name]) for name, value in whole.state_dict().items())
    scale = max(float(value.abs().max()) for value in whole.state_dict().values())
    assert all(
        torch.allclose(value, state[name], atol=scale / 100) for name, value in whole.state_dict().items()
    )
