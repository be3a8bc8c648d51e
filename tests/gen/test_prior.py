"""The identity prior, and the leak check that stands on it (check C7)."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gen.prior import CODE_LENGTH, FILE, RATES, IdentityPrior, fit_prior


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    """Embeddings around a mean, most of their spread in four directions."""
    rng = np.random.default_rng(0)
    spread = np.concatenate([np.full(4, 0.4), np.full(28, 0.05)])
    vectors = 0.1 + spread * rng.standard_normal((600, 32))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def prior(people, tmp_path) -> IdentityPrior:
    save_file(fit_prior(people, components=8), tmp_path / FILE)
    return IdentityPrior.load(tmp_path)


def test_samples_are_distributed_like_the_people(people, prior):
    rng = np.random.default_rng(1)
    drawn = np.stack([prior.sample(rng) for _ in range(2000)])
    assert np.allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-5)
    assert np.abs(drawn.mean(0) - people.mean(0)).max() < 0.05
    assert np.abs(np.cov(drawn.T) - np.cov(people.T)).max() < 0.03
    between = (drawn[:600] @ drawn[600:1200].T).ravel()
    real = (people @ people.T)[np.triu_indices(600, 1)]
    assert np.quantile(between, 0.99) == pytest.approx(np.quantile(real, 0.99), abs=0.05)


def test_training_identities_are_recognised_even_after_noise(people, prior):
    rng = np.random.default_rng(2)
    copies = people[::20] + 0.01 * rng.standard_normal(people[::20].shape)
    copies /= np.linalg.norm(copies, axis=1, keepdims=True)
    assert (prior.nearest_training(copies) > prior.neighbour_at(0.95)).all()


def test_rates_are_those_of_pairs_of_different_people(people, prior):
    pairs = (people @ people.T)[np.triu_indices(600, 1)]
    for rate in RATES[:9]:
        assert (pairs > prior.cosine_at(rate)).mean() == pytest.approx(rate, rel=0.2, abs=2e-5)
    assert prior.cosine_at(1e-3) > prior.cosine_at(3e-3) > prior.cosine_at(1e-2)


def test_pictures_of_one_identity_count_once(people, tmp_path):
    names = np.repeat(np.arange(300), 2)
    save_file(fit_prior(people, names), tmp_path / FILE)
    known = IdentityPrior.load(tmp_path).training_embeddings
    assert known.shape == (300, 32)
    first = people[0] + people[1]
    assert np.allclose(known[0], first / np.linalg.norm(first), atol=5e-3)


def test_training_identities_are_stored_in_a_quarter_and_found_at_the_same_cosines(tmp_path):
    rng = np.random.default_rng(5)
    # A spectrum like that of a recognizer, and a mean that is not 0.
    vectors = (0.3 + rng.standard_normal((900, 256))) * np.exp(-np.arange(256) / 24)
    vectors = vectors @ np.linalg.qr(rng.standard_normal((256, 256)))[0]
    people, queries = np.split(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), [600])
    save_file(fit_prior(people), tmp_path / FILE)
    prior, stored = IdentityPrior.load(tmp_path), load_file(tmp_path / FILE)
    assert (stored["training_codes"].dtype, stored["training_codes"].shape) == (np.int8, (600, CODE_LENGTH))
    assert stored["training_directions"].dtype == np.float16
    assert stored["training_directions"].shape == (CODE_LENGTH, 256)
    assert np.abs(stored["training_codes"]).max(0).tolist() == [127] * CODE_LENGTH
    assert np.allclose(np.linalg.norm(prior.training_embeddings, axis=1), 1, atol=1e-5)
    assert np.abs(queries @ (prior.training_embeddings - people).T).max() < 0.01
    exact = (queries @ people.T).max(1)
    assert np.abs(prior.nearest_training(queries) - exact).max() < 5e-3
    assert np.abs(prior.nearest_training(people) - 1).max() < 5e-3


def test_few_identities_are_stored_with_no_more_directions_than_they_are(people, tmp_path):
    save_file(fit_prior(people[:5], components=2), tmp_path / FILE)
    assert load_file(tmp_path / FILE)["training_codes"].shape == (5, 5)
    assert np.allclose(IdentityPrior.load(tmp_path).training_embeddings, people[:5], atol=5e-3)


def test_who_is_drawn_agrees_with_the_looks_asked_for(people, tmp_path):
    rng = np.random.default_rng(4)
    looks = [
        {"gender": str(rng.choice(["woman", "man"])), "skin_tone": int(rng.integers(1, 7))} for _ in people
    ]
    towards = {"woman": np.eye(32)[30] * 0.6, "man": np.eye(32)[31] * 0.6}
    rendered = np.stack(
        [person + towards[look["gender"]] for person, look in zip(people, looks, strict=True)]
    )
    save_file(fit_prior(rendered, components=8, looks=looks), tmp_path / FILE)
    prior = IdentityPrior.load(tmp_path)
    women = np.stack([prior.sample(rng, {"gender": "woman", "hair_style": "afro"}) for _ in range(300)])
    anybody = np.stack([prior.sample(rng) for _ in range(300)])
    assert (women[:, 30] - women[:, 31]).mean() > 0.3
    assert abs((anybody[:, 30] - anybody[:, 31]).mean()) < 0.1
    # What the looks explain is no longer left to chance.
    assert (
        women[:, 30].std() < 0.5 * (rendered / np.linalg.norm(rendered, axis=1, keepdims=True))[:, 30].std()
    )


def test_fitting_twice_gives_the_same_numbers(people):
    first, second = fit_prior(people), fit_prior(people.copy())
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_too_few_people_and_missing_files_are_refused(tmp_path, people):
    with pytest.raises(ValueError, match="at least 3"):
        fit_prior(np.eye(4)[:2])
    with pytest.raises(ValueError, match="finite"):
        fit_prior(np.full((5, 4), np.nan))
    with pytest.raises(FileNotFoundError, match="missing; make it with `python -m gen.prior"):
        IdentityPrior.load(tmp_path)
    save_file({"mean": np.zeros(3, np.float32)}, tmp_path / FILE)
    with pytest.raises(ValueError, match="lacks components"):
        IdentityPrior.load(tmp_path)
    tensors = fit_prior(people)
    del tensors["training_codes"]
    save_file(tensors, tmp_path / FILE)
    with pytest.raises(ValueError, match="lacks training_codes;"):
        IdentityPrior.load(tmp_path)
