"""From pictures to conditioning: grouping, part pictures, the analyzer and the embedder of others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from faces import alignment
from faces.images import ImageError
from pipelines.portrait import references
from pipelines.portrait.conditioning import IdentityConditioning
from tests.pipelines.components import generators, toy_frames, toy_people, toy_pipeline


class StandInAnalyzer:
    """Finds the face where it was put: the picture's middle is the frame; none in a black picture."""

    def __init__(self):
        self.calls = 0

    def require_face(self, image, name=None):
        self.calls += 1
        if not np.asarray(image).any():
            raise ImageError(f"{name}: no face of at least 32 px")
        matrix = alignment.invert(np.array([[1.0, 0.0, 8.0], [0.0, 1.0, 16.0]]))
        return SimpleNamespace(
            aligned=np.ascontiguousarray(image[16:48, 8:40]), parsing=toy_frames(1)[1][0], matrix=matrix
        )


@pytest.fixture
def pipe():
    made = toy_pipeline()
    made.analyzer = StandInAnalyzer()
    return made


def photo(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 48, 3), dtype=np.uint8)


def test_part_masks_are_filled_and_told_by_the_vocabulary():
    parsing = np.zeros((20, 20), np.uint8)
    parsing[2:18, 2:18] = 1
    parsing[8:12, 8:12] = 0  # a hole that the outline of the face encloses
    parsing[4:6, 4:6] = 4
    masks = references.part_masks(parsing)
    assert masks.shape == (5, 20, 20)
    assert masks[0].sum() == 16 * 16  # face: holes and eyes included
    assert masks[2].sum() == 4 and masks[1].sum() == masks[3].sum() == 0


def test_part_pictures_show_one_part_on_black():
    frames, parsing = toy_frames(1)
    parsing[0][parsing[0] == 12] = 1  # no mouth
    views, valid = references.part_views(frames[0], parsing[0])
    assert np.array_equal(views[0], frames[0])
    assert valid.tolist() == [True, True, True, True, False]
    eyes = np.isin(parsing[0], (4, 5))
    assert np.array_equal(views[3][eyes], frames[0][eyes]) and not views[3][~eyes].any()
    assert not views[5].any()


def test_the_encoder_sees_the_face_crop_normalised():
    frames, parsing = toy_frames(1)
    processor = SimpleNamespace(
        crop_size={"height": 14}, image_mean=(0.5, 0.25, 0.0), image_std=(0.5, 1.0, 2.0)
    )
    pixels = references.frame_pixels(frames, processor)
    crop = alignment.crop_face(frames, 14)[0] / 255
    assert pixels.shape == (1, 3, 14, 14)
    for channel, (mean, std) in enumerate(zip(processor.image_mean, processor.image_std, strict=True)):
        assert np.allclose(pixels[0, channel], (crop[..., channel] - mean) / std, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "sizes"),
    [("a.jpg", [1]), (["a.jpg", "b.jpg"], [2]), ([["a.jpg"], ["b.jpg", "c.jpg"]], [1, 2])],
)
def test_people_are_told_from_pictures_of_one_person(images, sizes):
    assert [len(person) for person in references.group_people(images)] == sizes


@pytest.mark.parametrize("images", [[], [[]], ["a.jpg", ["b.jpg"]], [["a.jpg"], []]])
def test_unclear_references_are_refused(images):
    with pytest.raises(ValueError, match="image: expected a picture, a list of pictures of one person"):
        references.group_people(images)


def test_pictures_of_any_kind_give_the_same_person(pipe, tmp_path):
    pixels = photo(0)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    expected = pipe.encode_identity(pixels)
    for source in (Image.fromarray(pixels), str(tmp_path / "photo.png"), tmp_path / "photo.png", [pixels]):
        seen = pipe.encode_identity(source)
        assert torch.equal(seen.id_embeds, expected.id_embeds)
        assert torch.equal(seen.part_states, expected.part_states)
    frame = pipe.encode_aligned(pixels[None, 16:48, 8:40], toy_frames(1)[1])
    assert torch.allclose(frame.clip_states, expected.clip_states, atol=1e-6)
    assert torch.allclose(expected.id_embeds.norm(dim=-1), torch.ones(1))


def test_a_picture_given_twice_is_looked_at_once(pipe):
    pixels = photo(0)
    people = pipe.encode_identity([[pixels]] * 3 + [[photo(1)]])
    assert len(people) == 4 and pipe.analyzer.calls == 2
    assert torch.equal(people.id_embeds[0], people.id_embeds[2])
    assert not torch.equal(people.id_embeds[0], people.id_embeds[3])


def test_several_pictures_of_a_person_are_averaged(pipe):
    first, second = photo(0), photo(1)
    apart = pipe.encode_identity([[first], [second]])
    apart.part_valid[0, 1] = False  # the first picture shows no ears
    both = apart.grouped([[0, 1], [1]])
    mean = functional.normalize(apart.id_embeds.mean(0), dim=-1)
    assert torch.allclose(both.id_embeds[0], mean, atol=1e-6)
    assert torch.allclose(both.id_embeds[1], apart.id_embeds[1], atol=1e-6)
    assert torch.allclose(both.clip_states[0], apart.clip_states.mean(0))
    assert torch.allclose(both.part_states[0, 0], apart.part_states[:, 0].mean(0), atol=1e-6)
    assert torch.allclose(both.part_states[0, 1], apart.part_states[1, 1], atol=1e-6)
    assert both.part_valid.all()
    assert torch.allclose(pipe.encode_identity([first, second]).id_embeds[0], mean, atol=1e-6)


def test_portrait_variant_keeps_embeddings_side_by_side():
    pipe = toy_pipeline(variant="portrait")
    pipe.analyzer = StandInAnalyzer()
    people = pipe.encode_identity([[photo(0)], [photo(1), photo(2)]])
    assert people.id_embeds.shape == (2, 2, 16)
    assert torch.equal(people.id_embeds[0, 0], people.id_embeds[0, 1])
    images = pipe(prompt="a man", conditioning=people, num_inference_steps=1, output_type="latent").images
    assert images.shape == (2, 4, 8, 8)


def test_a_picture_without_a_face_is_named(pipe, tmp_path):
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "wall.png")
    with pytest.raises(ImageError, match="wall.png: no face of at least 32 px"):
        pipe(image=str(tmp_path / "wall.png"), prompt="a man")
    with pytest.raises(ImageError, match="absent.png"):
        pipe(image=str(tmp_path / "absent.png"), prompt="a man")


def test_one_source_of_identity_is_needed(pipe):
    with pytest.raises(ValueError, match="no identity given: pass one of image, id_embeds, conditioning"):
        pipe(prompt="a man")
    with pytest.raises(ValueError, match="image and id_embeds given: pass one of"):
        pipe(image=photo(0), id_embeds=torch.zeros(1, 16), prompt="a man")


def test_an_embedding_alone_makes_a_person(pipe):
    embedding = functional.normalize(torch.randn(2, 16, generator=torch.Generator().manual_seed(0)), dim=-1)
    people = pipe.identity_from_embedding(embedding)
    assert not people.part_valid.any()
    assert torch.equal(people.clip_states[0], people.blank_states[0])
    options = {"prompt": "a man", "num_inference_steps": 2, "output_type": "np"}
    one = pipe(**options, id_embeds=embedding[0].numpy(), generator=generators(3)).images
    same = pipe(**options, conditioning=people.select([0]), generator=generators(3)).images
    other = pipe(**options, id_embeds=embedding[1], generator=generators(3)).images
    assert np.array_equal(one, same) and np.abs(one - other).max() > 1e-4
    with pytest.raises(ValueError, match="expects unit vectors"):
        pipe(**options, id_embeds=embedding * 20)


def test_nobody_is_a_zero_embedding_and_the_states_of_a_blank_image(pipe):
    people = toy_people(pipe, 2)
    nobody = people.unconditional
    zeros = torch.zeros(1, 3, 28, 28)
    states = pipe.image_encoder(zeros, output_hidden_states=True).hidden_states[-2]
    assert not nobody.id_embeds.any()
    assert torch.equal(nobody.clip_states, states.expand(2, -1, -1))
    assert torch.equal(nobody.part_states, states[:, None].expand(2, 5, -1, -1))
    assert torch.equal(nobody.part_valid, people.part_valid)


def test_conditioning_is_joined_selected_and_moved(pipe):
    people = toy_people(pipe, 3)
    joined = IdentityConditioning.cat([people.select([2]), people.select(slice(0, 2))])
    assert torch.equal(joined.part_states, people.part_states[[2, 0, 1]])
    assert len(joined) == 3 and torch.equal(joined.blank_states, people.blank_states)
    half = people.to(dtype=torch.float16)
    assert half.id_embeds.dtype == torch.float16 and half.part_valid.dtype == torch.bool
    with pytest.raises(ValueError, match="no conditioning to join"):
        IdentityConditioning.cat([])


def test_embedders_of_others_see_the_whole_photo_in_rgb(pipe):
    red = np.zeros((64, 48, 3), np.uint8)
    red[..., 0] = 200
    seen = []

    def embedder(picture):
        seen.append(picture)
        # Channel order shows in the result: a swap of red and blue would turn the vector.
        return functional.normalize(
            torch.tensor([float(picture[..., c].mean()) for c in range(3)] + [0.0] * 13), dim=-1
        )

    pipe.face_embedder = embedder
    people = pipe.encode_identity(red)
    assert np.array_equal(seen[0], red)
    assert torch.equal(people.id_embeds[0], functional.one_hot(torch.tensor(0), 16).float())
    pipe.face_embedder = lambda picture: 22 * embedder(picture)
    with pytest.raises(
        ValueError, match="length 22.000; variant consistentid with image_encoder expects unit vectors"
    ):
        pipe.encode_identity(red)


def test_whole_photographs_are_framed_as_clip_does():
    pipe = toy_pipeline(framing="photo")
    pipe.analyzer = StandInAnalyzer()
    pixels = photo(4)
    reference = references.open_reference(pixels, pipe.analyzer)
    assert reference.photo_parsing.shape == (64, 48)
    assert np.array_equal(reference.photo_parsing[16:48, 8:40], reference.frame_parsing)
    views, _ = references.encoder_pixels(reference, pipe.feature_extractor, whole_photo=True)
    expected = pipe.feature_extractor(Image.fromarray(pixels), return_tensors="pt").pixel_values[0]
    assert torch.allclose(views[0], expected)
    assert len(pipe.encode_identity(pixels)) == 1


def test_a_pipeline_without_an_image_encoder_says_what_to_pass(pipe):
    pipe.image_encoder = None
    with pytest.raises(ValueError, match="without image_encoder and feature_extractor: pass conditioning"):
        pipe.encode_identity(photo(0))
