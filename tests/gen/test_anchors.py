"""New identities stay away from each other and from the training set (checks C1, C7)."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from faces.provenance import Provenance, read
from gen import anchors
from gen.checks import Thresholds
from gen.portraits import Look
from gen.prior import FILE, IdentityPrior, fit_prior
from gen.worker import GenerationAborted

WIDTH = 48
GOOD = {"contrast": 0.2, "faces_found": 1, "face_size": 0.5, "sharpness": 3.0}


class Painter:
    """Stands for the model: paints an embedding as pixels and reads it back from them."""

    def __init__(self, planted: dict[int, np.ndarray] | None = None, faceless: tuple[int, ...] = ()):
        self.calls = 0
        self.planted = planted or {}
        self.faceless = faceless

    def condition_on_embedding(self, embedding):
        return embedding

    def condition_on_picture(self, image):
        return self.condition_on_look(self.look(image / 255))

    def condition_on_look(self, look):
        return look.embedding

    def make(self, prompts, negative, conditions, noise):
        first = self.calls
        self.calls += len(prompts)
        seen = [self.planted.get(first + index, condition) for index, condition in enumerate(conditions)]
        return [np.clip(embedding.reshape(4, 4, 3) / 2 + 0.5, 0, 1) for embedding in seen]

    def look(self, image):
        pixels = np.rint(image * 255).astype(np.uint8)
        embedding = (pixels.ravel() / 127.5 - 1).astype(np.float32)
        number = self.calls
        found = 0 if number in self.faceless else 1
        return Look(
            image=pixels,
            measured={**GOOD, "faces_found": found},
            embedding=embedding / np.linalg.norm(embedding),
        )


@pytest.fixture(scope="module")
def prior(tmp_path_factory) -> IdentityPrior:
    folder = tmp_path_factory.mktemp("prior")
    people = np.random.default_rng(0).standard_normal((400, WIDTH)) * np.linspace(2, 0.2, WIDTH)
    save_file(fit_prior(people, components=20), folder / FILE)
    return IdentityPrior.load(folder)


def rules(**changes) -> anchors.Rules:
    settings = {
        "seed": 0, "max_similarity": 0.3, "wanted_similarity": 1.0, "max_training_similarity": 0.55,
        "attempts": 40, "drawings": 1,
    }  # fmt: skip
    return anchors.Rules(**{**settings, "limits": Thresholds(), **changes})


def slots(count: int) -> list[anchors.Slot]:
    return [
        anchors.Slot(id=f"id{index}", prompt="portrait", traits={"gender": "woman"}) for index in range(count)
    ]


def origin(name: str, seed: int) -> Provenance:
    return Provenance(
        digital_source_type="trainedAlgorithmicMedia", pipeline="test", seed=seed, extra={"id": name}
    )


class Restless(Painter):
    """Never draws a person twice alike; somebody drawn from a picture is most often what the picture's pixels say."""

    def make(self, prompts, negative, conditions, noise):
        moved = []
        for condition, seed in zip(conditions, noise, strict=True):
            step = np.random.default_rng(seed).standard_normal(WIDTH) * self.restlessness / np.sqrt(WIDTH)
            moved.append((condition + step) / np.linalg.norm(condition + step))
        return super().make(prompts, negative, moved, noise)

    restlessness = 0.7


def find(out, prior, count=20, studio=None, batch=8, **changes):
    reports = []
    studio = studio or Painter()
    report = lambda kept, rejected: reports.append((kept, rejected))  # noqa: E731
    return anchors.find(slots(count), rules(**changes), studio, prior, out, batch, origin, report), reports


def test_all_pairs_and_all_training_identities_stay_below_the_limits(prior, tmp_path):
    found, reports = find(tmp_path, prior)
    vectors = np.stack([anchor.embedding for anchor in found])
    cosines = vectors @ vectors.T
    assert cosines[np.triu_indices(20, 1)].max() <= 0.3
    assert prior.nearest_training(vectors).max() <= 0.55
    assert sum(kept for kept, _ in reports) == 20
    assert (
        sum(rejected for _, rejected in reports) == sum(len(anchor.facts["rejected"]) for anchor in found) > 0
    )
    own = [float(anchor.facts["nn_sim_to_train"]) for anchor in found]
    assert own == pytest.approx(prior.nearest_training(vectors).tolist(), abs=1e-5)
    assert read((tmp_path / anchors.FOLDER / "id3.png").read_bytes()).extra["id"] == "id3"


def test_candidates_are_less_alike_than_plain_draws(prior, tmp_path, monkeypatch):
    loose = {"count": 16, "max_similarity": 0.99, "max_training_similarity": 0.99}
    nearest = {}
    for choice in (1, anchors.CHOICE):
        monkeypatch.setattr(anchors, "CHOICE", choice)
        found, _ = find(tmp_path / str(choice), prior, **loose)
        nearest[choice] = max(anchor.facts["nn_sim_in_set"] for anchor in found)
    assert nearest[64] < nearest[1] - 0.1


def test_first_candidates_have_to_stand_further_apart(prior, tmp_path):
    strict = rules(max_similarity=0.5, wanted_similarity=0.1)
    steps = [strict.similarity_at(attempt) for attempt in range(anchors.PATIENCE + 3)]
    assert (steps[0], steps[-1]) == (0.1, 0.5) and steps == sorted(steps)
    assert rules(max_similarity=0.2, wanted_similarity=0.4).similarity_at(0) == 0.2
    apart, _ = find(tmp_path, prior, max_similarity=0.5, wanted_similarity=0.1, max_training_similarity=0.99)
    for anchor in apart[1:]:
        assert anchor.facts["nn_sim_in_set"] <= strict.similarity_at(anchor.facts["candidate"])


def test_a_planted_training_identity_and_a_planted_twin_are_turned_down(prior, tmp_path):
    plain, _ = find(tmp_path / "plain", prior, count=4, max_similarity=0.99, max_training_similarity=0.99)
    planted = {1: prior.training_embeddings[17], 3: plain[0].embedding}
    found, _ = find(
        tmp_path / "planted", prior, 4, Painter(planted), max_similarity=0.98, max_training_similarity=0.98
    )
    assert [len(anchor.facts["rejected"]) for anchor in found] == [0, 1, 0, 1]
    assert "to a training identity" in found[1].facts["rejected"][0]
    assert "to another identity of the set" in found[3].facts["rejected"][0]
    assert np.array_equal(found[0].embedding, plain[0].embedding)


def test_finding_is_deterministic_and_goes_on_where_it_stopped(prior, tmp_path):
    whole, _ = find(tmp_path / "whole", prior)
    find(tmp_path / "parts", prior, count=8)
    painter = Painter()
    again, _ = find(tmp_path / "parts", prior, studio=painter)
    assert painter.calls > 0
    assert [anchor.facts for anchor in again] == [anchor.facts for anchor in whole]
    assert all(np.array_equal(a.embedding, b.embedding) for a, b in zip(whole, again, strict=True))
    names = [path.name for path in (tmp_path / "whole" / anchors.FOLDER).iterdir()]
    for name in names:
        a, b = (tmp_path / place / anchors.FOLDER / name for place in ("whole", "parts"))
        assert a.read_bytes() == b.read_bytes()
    loaded = anchors.load(tmp_path / "whole")
    assert list(loaded) == [slot.id for slot in slots(20)]
    assert all(np.array_equal(loaded[anchor.id].image, anchor.image) for anchor in whole)


def test_candidates_without_a_face_are_turned_down_with_the_reason(prior, tmp_path):
    found, _ = find(tmp_path, prior, 1, Painter(faceless=(1, 2)), batch=1)
    assert found[0].facts["candidate"] >= 2
    assert found[0].facts["rejected"][:2] == ["no face found, exactly one wanted"] * 2


def test_impossible_limits_end_with_advice_and_keep_what_was_found(prior, tmp_path):
    with pytest.raises(
        GenerationAborted, match=r"id\d+: none of 3 candidates is a new identity, the last: cosine"
    ):
        find(tmp_path, prior, attempts=3, max_similarity=-0.9, batch=1)
    assert [anchor.id for anchor in anchors.load(tmp_path).values()] == ["id0"]
    with pytest.raises(FileNotFoundError, match="holds no identities"):
        anchors.load(tmp_path / "elsewhere")


def test_the_reference_is_the_most_typical_of_the_drawings(prior, tmp_path):
    loose = {"count": 12, "max_similarity": 1.0, "max_training_similarity": 1.0}

    def likeness(drawings: int) -> float:
        """Mean cosine of new drawings of the identities to their references."""
        studio = Restless()
        found, _ = find(tmp_path / str(drawings), prior, studio=studio, drawings=drawings, **loose)
        cosines = []
        for anchor in found:
            sources = [studio.condition_on_picture(anchor.source)] * 20
            images = studio.make([""] * 20, "", sources, range(20))
            cosines += [float(studio.look(image).embedding @ anchor.embedding) for image in images]
        return float(np.mean(cosines))

    assert likeness(8) > likeness(1) + 0.02


def test_only_somebody_new_is_drawn_again(prior, tmp_path):
    """The first portrait of a candidate decides whether the others are paid for."""
    loose = {"count": 4, "max_similarity": 0.98, "max_training_similarity": 0.98, "drawings": 3}
    plain = Painter()
    find(tmp_path / "plain", prior, studio=plain, **loose)
    planted = Painter({1: prior.training_embeddings[17]})
    found, _ = find(tmp_path / "planted", prior, studio=planted, **loose)
    assert [len(anchor.facts["rejected"]) for anchor in found] == [0, 1, 0, 0]
    assert (plain.calls, planted.calls) == (4 * (1 + 3), 4 * (1 + 3) + 1)


def test_reference_and_source_are_read_back_and_a_change_is_noticed(prior, tmp_path):
    found, _ = find(tmp_path, prior, 1, Restless())
    loaded = anchors.load(tmp_path)["id0"]
    assert np.array_equal(loaded.image, found[0].image) and np.array_equal(loaded.source, found[0].source)
    assert not np.array_equal(loaded.image, loaded.source)
    source = tmp_path / anchors.FOLDER / "id0-source.png"
    assert read(source.read_bytes()).extra["id"] == "id0"
    source.write_bytes(source.read_bytes()[:-1])
    with pytest.raises(FileNotFoundError, match="missing or changed"):
        anchors.load(tmp_path)
