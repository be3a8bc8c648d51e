"""The network that compares generated faces is the model's own recognizer, where it brings one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from transformers import CLIPImageProcessorPil

from gen import recognition
from gen.portraits import Studio
from gen.prior import FILE, IdentityPrior, fit_prior
from pipelines.portrait.encoder import FaceEncoder

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
