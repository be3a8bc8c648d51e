"""Labels of generated faces: the calibrator's view, and what is decided from two readings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faces import captions, vocabulary
from pipelines.expression.annotator import ExpressionAnnotator, decide
from pipelines.expression.calibrator import GRID, LabelCalibrator, look, probe, word_positions
from tests.pipelines.components import toy_frames
from tests.pipelines.test_expression_pipeline import toy_expression


@pytest.fixture(scope="module")
def pipe():
    return toy_expression()


def sure(name: str, confidence: float = 0.9) -> np.ndarray:
    values = np.full(8, (1 - confidence) / 7)
    values[vocabulary.EXPRESSIONS.index(name)] = confidence
    return values


def test_readers_that_confirm_keep():
    found = decide("happy", sure("happy"), sure("happy", 0.7), 0.6)
    assert found.decision == "keep" and found.label == "happy" and found.agreement == 1
    assert found.soft.sum() == pytest.approx(1) and 0 < found.entropy < 2


def test_readers_that_agree_on_another_relabel():
    found = decide("happy", sure("sad"), sure("sad"), 0.6)
    assert found.decision == "relabel" and found.label == found.pseudo == "sad"
    assert found.intended == "happy" and found.agreement == pytest.approx(2 / 3)


def test_unsure_or_divided_readers_drop():
    assert decide("happy", sure("sad", 0.4), sure("sad", 0.4), 0.6).label is None
    assert decide("happy", sure("sad"), sure("fear"), 0.6).decision == "drop"


def test_one_sure_reader_may_confirm_against_an_unsure_one():
    assert decide("happy", sure("happy", 0.95), sure("sad", 0.5), 0.6).decision == "keep"


def test_entropy_is_in_bits():
    even = np.full(8, 1 / 8)
    assert decide("happy", even, even, 0.6).entropy == pytest.approx(3)


def test_the_probe_names_every_expression_once(pipe):
    places = word_positions(pipe.tokenizer)
    assert len(places) == 8 and all(places)
    flat = [place for own in places for place in own]
    assert len(set(flat)) == len(flat) and flat == sorted(flat)
    ids = pipe.tokenizer(probe()).input_ids
    for name, own in zip(vocabulary.EXPRESSIONS, places, strict=True):
        word = pipe.tokenizer(captions.wording("expression", name), add_special_tokens=False).input_ids
        assert [ids[place] for place in own] == word


def test_the_view_of_the_denoiser_is_one_row_a_picture(pipe):
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    both = look(pipe, latents, 60)
    assert both.features.shape[:2] == both.attention.shape[:2] == (2, GRID**2)
    assert both.attention.shape[2] % 8 == 0 and both.attention.min() >= 0
    alone = look(pipe, latents[1:], 60)
    torch.testing.assert_close(alone.features[0], both.features[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(alone.attention[0], both.attention[1], atol=1e-5, rtol=1e-4)


def test_the_calibrator_learns_what_the_view_holds(pipe):
    view = look(pipe, torch.randn(32, 4, 8, 8, generator=torch.Generator().manual_seed(0)), 60)
    wanted = torch.arange(32) % 8
    torch.manual_seed(0)
    net = LabelCalibrator(
        feature_dim=view.features.shape[-1], attention_dim=view.attention.shape[-1], width=16
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(120):
        loss = torch.nn.functional.cross_entropy(net(view.features, view.attention), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (net(view.features, view.attention).argmax(dim=1) == wanted).float().mean() > 0.9


class ToldFaces:
    """An analyzer that says what it was told."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def analyze_aligned(self, frames):
        from types import SimpleNamespace

        return [
            SimpleNamespace(expression=dict(zip(vocabulary.EXPRESSIONS, sure(name), strict=True)))
            for name in self.names
        ]


def test_pictures_get_annotations_in_order(pipe):
    frames, _ = toy_frames(2)
    view = look(pipe, torch.zeros(1, 4, 8, 8), 60)
    net = LabelCalibrator(
        feature_dim=view.features.shape[-1], attention_dim=view.attention.shape[-1], width=16
    )
    annotator = ExpressionAnnotator(pipe, net, ToldFaces("sad", "fear"))
    found = annotator(frames, ["sad", "happy"])
    assert [one.intended for one in found] == ["sad", "happy"]
    assert [one.analyzer for one in found] == ["sad", "fear"]
    with pytest.raises(ValueError, match="unknown among them: joyful"):
        annotator(frames, ["joyful", "sad"])
    with pytest.raises(ValueError, match="1 labels for 2 pictures"):
        annotator(frames, ["sad"])
