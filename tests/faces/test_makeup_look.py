"""Looks as colours: read, written as numbers, and refused when they make no sense."""

import numpy as np
import pytest

from faces.makeup import BARE, LAYERS, REGIONS, Layer, MakeupLook, check_regions


def test_a_look_is_made_from_colours():
    look = MakeupLook.of(lips="#ff0080", shadow=("#000000", 0.5), blush=(0.5, 0.2, 0.2))
    assert look.layers["lips"].colour == pytest.approx((1, 0, 128 / 255))
    assert look.layers["shadow"].opacity == 0.5
    assert look.layers["blush"].colour == (0.5, 0.2, 0.2)


def test_vector_and_back():
    look = MakeupLook.of(lips=Layer((0.8, 0.1, 0.2), 0.6, 0.4), liner=Layer((0.1, 0.1, 0.1), 0.9, 0.7))
    again = MakeupLook.from_vector(look.vector())
    assert again.layers.keys() == look.layers.keys()
    for name, layer in look.layers.items():
        assert again.layers[name].colour == pytest.approx(layer.colour, abs=1e-5)
        assert again.layers[name].opacity == pytest.approx(layer.opacity, abs=1e-5)
        assert again.layers[name].spread == pytest.approx(layer.spread, abs=1e-5)
    assert not BARE.vector().any() and MakeupLook.from_vector(BARE.vector()) == BARE


def test_labels_are_linear_and_looks_are_not():
    look = MakeupLook.from_labels(
        [{"region": "lips", "colour": [0.5**2.2, 0.0, 1.0], "alpha": 0.7, "extent": 0.4}]
    )
    assert look.layers["lips"].colour == pytest.approx((0.5, 0, 1))


def test_regions_hold_every_layer_once():
    assert sorted(name for layers in REGIONS.values() for name in layers) == sorted(LAYERS)
    look = MakeupLook.of(lips="#ff0000", shadow="#0000ff", liner="#000000")
    assert set(look.only(["eyes"]).layers) == {"shadow", "liner"}
    assert check_regions(None) == ("lips", "eyes", "skin")
    assert check_regions("lips") == ("lips",)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MakeupLook.of(nose="#ff0000"), "unknown makeup layers nose"),
        (lambda: MakeupLook.of(lips="red"), "six hexadecimal digits"),
        (lambda: MakeupLook.of(lips=(0.5, 0.5)), "red, green and blue"),
        (lambda: MakeupLook.of(lips=("#ff0000", 1.5)), "opacity 1.5"),
        (lambda: MakeupLook.of(lips=(0.5, float("nan"), 0.5)), "colour"),
        (lambda: check_regions(["lips", "hair"]), "choose any of"),
    ],
)
def test_nonsense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_shares_of_spread_survive_small_opacities():
    vector = np.zeros(20, np.float32)
    vector[:5] = np.array([0.05, 0.01, 0.01, 0.05, 0.02])
    assert MakeupLook.from_vector(vector) == BARE
    assert "lips" in MakeupLook.from_vector(vector, least=0.01).layers
