"""Sets of exact textures: what is in them, that they can be resumed, and that their marks are one-sided."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from faces.head import texture_set
from faces.head.texture_set import TextureSet, TextureSetConfig, main, write_textures

SIZE = 32


@pytest.fixture(scope="module")
def textures(collection, makehuman):
    """The collection's fixture skips where nothing can be rendered."""
    return TextureSet(TextureSetConfig(count=4, size=SIZE, seed=9), makehuman)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"count": 0}, "count 0"),
        ({"size": 0}, "size 0"),
        ({"marks": 1.5}, "marks"),
        ({"materials": "x"}, "'x'"),
    ],
)
def test_impossible_settings_are_refused(changes, named):
    with pytest.raises(ValueError, match=named):
        TextureSetConfig(**({"count": 1} | changes))


def test_half_of_the_heads_have_more_marks_and_nothing_else_changes(textures):
    added = []
    for index in range(60):
        spec, plain = textures.spec(index), textures.sampler.spec(index)
        own = plain.identity.marks
        assert spec.identity.marks[: len(own)] == own
        assert spec.look.makeup == plain.look.makeup and spec.identity.skin_tone == plain.identity.skin_tone
        assert spec.identity.skin_variant != 1  # a skin that training is denied
        added.append(len(spec.identity.marks) - len(own))
    assert set(added) == {0, 1, 2, 3, 4} and 18 <= added.count(0) <= 42


def test_marks_are_seen_on_the_side_that_labels_say(textures):
    from faces.head.textures import draw_texture

    checked = set()
    for index in range(40):
        spec = textures.spec(index)
        for mark, label in zip(spec.identity.marks, textures.sample(index)[1]["marks"], strict=True):
            if label["side"] in checked or mark.radius < 0.05:
                continue
            one, none = (
                draw_texture(
                    textures.renderer,
                    spec.model_copy(update={"identity": spec.identity.model_copy(update={"marks": marks})}),
                    128,
                ).astype(float)
                for marks in ((mark,), ())
            )
            columns = np.abs(one - none).sum(axis=(0, 2))
            place = (columns * np.arange(128)).sum() / columns.sum()
            assert (place > 64) == (label["side"] == "left")
            checked.add(label["side"])
        if len(checked) == 2:
            return
    pytest.fail("no marks on both sides among 40 heads")


def test_a_set_that_stopped_is_resumed_and_is_the_same(textures, makehuman, tmp_path, monkeypatch):
    monkeypatch.setattr(texture_set, "_BLOCK", 2)
    monkeypatch.setattr(texture_set, "_set", textures)  # its renderer: building one takes seconds
    settings = {"count": 4, "size": SIZE, "seed": 9, "workers": 1, "makehuman": makehuman}
    whole = write_textures(out=tmp_path / "whole", **settings)
    images = np.load(whole / "images.npy")
    assert images.shape == (4, SIZE, SIZE, 3) and images.dtype == np.uint8
    assert {path.name for path in whole.iterdir()} == {"images.npy", "labels.parquet", "settings.json"}
    rows = pq.read_table(whole / "labels.parquet").to_pylist()
    assert [row["identity_id"] for row in rows] == ["9-0", "9-1", "9-2", "9-3"]
    assert json.loads(rows[0]["marks"]) == textures.sample(0)[1]["marks"]
    assert {"skin_tone", "age_band", "rendered_gender", "makeup"} <= set(rows[0])

    def stopped(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_textures(out=tmp_path / "parts", progress=stopped, **settings)
    assert not (tmp_path / "parts").exists()
    done = []
    write_textures(out=tmp_path / "parts", progress=done.append, **settings)
    assert done == [2]
    assert np.array_equal(np.load(tmp_path / "parts" / "images.npy"), images)
    with pytest.raises(ValueError, match="other settings"):
        write_textures(out=whole, **(settings | {"seed": 8}))


def test_the_command_leaves_a_whole_set_alone(textures, makehuman, tmp_path, monkeypatch):
    monkeypatch.setattr(texture_set, "_set", None)
    arguments = [
        "--count",
        "1",
        "--size",
        str(SIZE),
        "--seed",
        "9",
        "--workers",
        "1",
        "--makehuman",
        makehuman,
    ]
    main([*arguments, "--out", str(tmp_path / "set")])
    assert np.array_equal(np.load(tmp_path / "set" / "images.npy")[0], textures.sample(0)[0])
    monkeypatch.setattr(texture_set, "_draw_block", lambda job: pytest.fail("drawn again"))
    main([*arguments, "--out", str(tmp_path / "set")])
