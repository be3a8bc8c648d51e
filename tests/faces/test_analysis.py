"""Two looks align a face exactly, several faces come largest first, and no face is made up."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import weights
from faces import alignment, analysis, backends, vocabulary
from faces.analysis import FaceAnalyzer, NoFaceFound
from faces.detection import Detection
from faces.images import ImageError
from faces.perception import PerceptionNet

COLOURS = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]])
SKIN = 0.4


def canonical_points() -> np.ndarray:
    """68 points of a frontal face in the frame of side 1, eyes and outer lips centred on the anchors."""
    turns = [np.linspace(0, 2 * np.pi, count, endpoint=False) for count in (6, 6, 12)]
    rings = [0.03 * np.stack([np.cos(turn), np.sin(turn)], -1) for turn in turns]
    eyes_and_lips = [ring + anchor for ring, anchor in zip(rings, alignment.ANCHORS, strict=True)]
    jaw = np.linspace(np.pi, 0, 17)
    jaw_points = np.stack([0.5 + 0.24 * np.cos(jaw), 0.5 + 0.32 * np.sin(jaw)], -1)
    brows = np.stack([np.linspace(0.33, 0.67, 10), np.full(10, 0.40)], -1)
    nose = np.stack([np.full(9, 0.5), np.linspace(0.45, 0.6, 9)], -1)
    inner_lips = np.repeat(alignment.ANCHORS[2:], 8, 0)
    return np.concatenate([jaw_points, brows, nose, *eyes_and_lips, inner_lips])


def draw_face(picture: np.ndarray, centre: tuple[float, float], scale: float, degrees: float) -> np.ndarray:
    """Draw a grey head with a red and a green eye and a blue mouth; returns its 68 landmarks."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (canonical_points() - 0.5) @ turn.T * scale + centre
    hull = cv2.convexHull(np.rint(points).astype(np.int32))
    cv2.fillConvexPoly(picture, hull, (SKIN, SKIN, SKIN))
    for (px, py), colour in zip(alignment.anchor_points(points), COLOURS, strict=True):
        left, top, reach = int(px - 0.1 * scale), int(py - 0.1 * scale), int(0.2 * scale)
        part = picture[top : top + reach, left : left + reach]
        y, x = np.mgrid[top : top + reach, left : left + reach] + 0.5
        part += np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (0.02 * scale) ** 2))[..., None] * (
            colour - part
        )
    return points


class ColourNet(PerceptionNet):
    """A stand-in that knows the coloured face: landmarks from its colours, skin where there is grey."""

    def __init__(self) -> None:
        super().__init__(size=96, widths=(4, 4, 4, 4))
        self.looks = 0

    def forward(self, x: torch.Tensor, tasks=None) -> dict[str, torch.Tensor]:
        self.looks += len(x)
        pixels = (x / 2 + 0.5).double()
        axis = (torch.arange(self.size) + 0.5).double() / self.size
        points, template = [], canonical_points()
        for image in pixels:
            found = []
            for channel in range(3):
                others = image.sum(0) - image[channel]
                weight = (image[channel] - others).clamp(min=0) ** 2 + 1e-12
                found.append([(weight.sum(1 - way) * axis).sum() / weight.sum() for way in (1, 0)])
            matrix = alignment.fit_similarity(alignment.ANCHORS, np.array(found, np.float64))
            points.append(alignment.transform_points(template, matrix))
        seen = torch.nn.functional.avg_pool2d(pixels, 2).float()
        logits = torch.zeros(len(x), len(vocabulary.PARSING), *seen.shape[-2:])
        logits[:, vocabulary.PARSING.index("skin")] = (seen.amax(1) > 0.2).float() * 2 - 1
        others = {
            name: torch.zeros(len(x), count) for name, (count, kind) in self.tasks.items() if kind == "values"
        }
        others["presence"] += 20
        sigma = torch.full((len(x), 68), 0.01).log()
        return others | {
            "landmarks": torch.tensor(np.array(points)).float(),
            "landmarks_log_sigma": sigma,
            "parsing": logits,
        }


class KnownBoxes:
    """A finder that says what it was told."""

    def __init__(self, *found: Detection) -> None:
        self.found = list(found)

    def find(self, image: np.ndarray) -> list[Detection]:
        return self.found


def box_around(
    points: np.ndarray, scale: float, off: float = 0.0, tilt: float = 0.0, score: float = 0.9
) -> Detection:
    """A box such as a cascade gives, `off` by a share of the frame."""
    centre = points[30] + off * scale
    half = 0.295 * scale
    return Detection(box=np.array([*(centre - half), *(centre + half)]), score=0.9, tilt=tilt)


def as_pixels(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("scale", "degrees", "tilt"), [(150, 0, 0), (150, 12, 0), (400, -9, 0), (220, 95, 90)]
)
def test_two_looks_land_on_the_canonical_frame(scale: float, degrees: float, tilt: float) -> None:
    picture = np.zeros((500, 600, 3))
    truth = draw_face(picture, (290.5, 247.0), scale, degrees)
    analyzer = FaceAnalyzer(ColourNet(), KnownBoxes(box_around(truth, scale, 0.03, tilt)), size=128)
    (face,) = analyzer(as_pixels(picture))
    assert np.abs(face.landmarks - truth).max() < 0.012 * scale
    eyes_and_mouth = alignment.transform_points(alignment.anchor_points(truth), face.matrix)
    np.testing.assert_allclose(eyes_and_mouth, alignment.ANCHORS * 128, atol=0.8)
    assert face.aligned.shape == (128, 128, 3) and face.parsing.shape == (128, 128)
    assert face.aligned.dtype == face.parsing.dtype == np.uint8
    np.testing.assert_array_equal(face.aligned, alignment.warp(as_pixels(picture), face.matrix, (128, 128)))
    assert 0.8 < face.score <= 0.9
    assert face.part("face")[60, 64] and not face.part("face")[2, 2] and not face.part("nose").any()


def test_the_second_look_is_better_than_the_first() -> None:
    picture = np.zeros((500, 600, 3))
    truth = draw_face(picture, (290.5, 247.0), 300, 10)
    found = box_around(truth, 300, 0.06)
    analyzer = FaceAnalyzer(ColourNet(), KnownBoxes(found), size=128)
    loose = alignment.transform_points(alignment.anchor_points(truth), analysis.loose_matrix(found, 128))
    off_before = np.abs(loose - alignment.ANCHORS * 128).max()
    (face,) = analyzer(as_pixels(picture))
    after = alignment.transform_points(alignment.anchor_points(truth), face.matrix)
    assert off_before > 5 and np.abs(after - alignment.ANCHORS * 128).max() < 0.1 * off_before


def test_landmarks_of_a_finder_save_the_first_look() -> None:
    picture = np.zeros((300, 300, 3))
    truth = draw_face(picture, (150, 150), 200, 60)
    known = Detection(box=box_around(truth, 200).box, score=1.0, landmarks=truth.astype(np.float32))
    network = ColourNet()
    (face,) = FaceAnalyzer(network, KnownBoxes(known), size=128)(as_pixels(picture))
    assert network.looks == 2 and np.abs(face.landmarks - truth).max() < 2.5


def test_several_faces_come_largest_first_and_once() -> None:
    picture = np.zeros((400, 900, 3))
    small, large, middle = (
        draw_face(picture, centre, scale, 0)
        for centre, scale in (((100, 90), 120), ((400, 200), 330), ((750, 210), 200))
    )
    boxes = [
        box_around(small, 120),
        box_around(large, 330),
        box_around(middle, 200),
        box_around(large, 330, 0.02),
    ]
    faces = FaceAnalyzer(ColourNet(), KnownBoxes(*boxes))(as_pixels(picture))
    assert [round(face.landmarks[30, 0] / 10) for face in faces] == [40, 75, 10]
    assert faces[0].area > faces[1].area > faces[2].area


def test_a_box_without_a_face_is_dropped() -> None:
    noise = np.random.default_rng(0).uniform(0, 0.15, (300, 300, 3))
    nothing = Detection(box=np.array([80.0, 80, 200, 200]), score=0.9)
    assert FaceAnalyzer(ColourNet(), KnownBoxes(nothing))(as_pixels(noise)) == []


def test_require_face_names_the_picture(tmp_path: Path) -> None:
    analyzer = FaceAnalyzer(ColourNet(), KnownBoxes())
    path = tmp_path / "wall.png"
    Image.new("RGB", (64, 64), "grey").save(path)
    with pytest.raises(NoFaceFound, match=r"wall\.png: no face of at least 32 px"):
        analyzer.require_face(path)
    with pytest.raises(NoFaceFound, match="^reference 2: no face"):
        analyzer.require_face(path, "reference 2")
    with pytest.raises(ImageError, match="^reference 3: .*no such file"):
        analyzer.require_face(tmp_path / "gone.png", "reference 3")
    assert analyzer(path) == []


def test_every_kind_of_source_gives_the_same_face(tmp_path: Path) -> None:
    picture = np.zeros((300, 280, 3))
    truth = draw_face(picture, (140, 150), 180, 0)
    pixels = as_pixels(picture)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(pixels).copy()).save(tmp_path / "turned.png", exif=exif)
    analyzer = FaceAnalyzer(ColourNet(), KnownBoxes(box_around(truth, 180)))
    faces = [
        analyzer.require_face(source) for source in (pixels, Image.fromarray(pixels), tmp_path / "turned.png")
    ]
    for face in faces[1:]:
        np.testing.assert_array_equal(face.aligned, faces[0].aligned)


def test_renders_are_measured_where_they_are() -> None:
    frames, truths = [], []
    for degrees in (0, 8):
        picture = np.zeros((128, 128, 3))
        truths.append(draw_face(picture, (64, 64), 128, degrees))
        frames.append(as_pixels(picture))
    frames.append(np.zeros((128, 128, 3), np.uint8))
    analyzer = FaceAnalyzer(ColourNet(), KnownBoxes(), size=512)
    faces = analyzer.analyze_aligned(np.stack(frames))
    assert len(faces) == 3 and faces[2].score < 0.1 < 0.8 < faces[0].score
    for face, frame, truth in zip(faces[:2], frames, truths, strict=False):
        np.testing.assert_array_equal(face.aligned, frame)
        np.testing.assert_array_equal(face.matrix, np.eye(2, 3))
        assert face.parsing.shape == (128, 128) and np.abs(face.landmarks - truth).max() < 1.5
    assert analyzer.analyze_aligned(np.zeros((0, 64, 64, 3), np.uint8)) == []


def test_a_batch_equals_its_members() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (35, 64, 64, 3), np.uint8)
    torch.manual_seed(0)
    analyzer = FaceAnalyzer(PerceptionNet(size=32, widths=(4, 4, 8, 8)).eval(), KnownBoxes())
    together = analyzer.analyze_aligned(frames)
    for index in (0, 31, 34):
        (alone,) = analyzer.analyze_aligned(frames[index : index + 1])
        np.testing.assert_allclose(together[index].landmarks, alone.landmarks, atol=1e-3)
        assert (together[index].parsing == alone.parsing).mean() > 0.999


@pytest.mark.parametrize("shape", [(128, 128, 3), (1, 128, 96, 3)])
def test_frames_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(n, S, S, 3\)"):
        FaceAnalyzer(ColourNet(), KnownBoxes()).analyze_aligned(np.zeros(shape, np.uint8))


def test_analyzer_loads_a_folder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    PerceptionNet(size=32, widths=(4, 4, 8, 8)).save(tmp_path / "net")
    analyzer = FaceAnalyzer.from_pretrained(tmp_path / "net", size=64, min_face=48)
    assert analyzer.size == 64 and not analyzer.network.training
    assert analyzer(np.full((80, 80, 3), 127, np.uint8)) == []
    with pytest.raises(FileNotFoundError, match="expected a saved PerceptionNet"):
        FaceAnalyzer.from_pretrained(tmp_path / "none")


def test_unknown_backend_is_named() -> None:
    with pytest.raises(ValueError, match="face backend 'dlib', permitted: bundled, insightface, mediapipe"):
        backends.create_backend("dlib")


@pytest.mark.parametrize("name", ["insightface", "mediapipe"])
def test_missing_library_names_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (name, f"{name}.app"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install 'mien\[{name}\]'"):
        backends.create_backend(name)


class FakeInsight:
    """InsightFace's application as far as Mien uses it: finds red, in BGR, that touches no border."""

    def __init__(self, **options) -> None:
        self.options = options

    def prepare(self, ctx_id: int, det_size: tuple[int, int]) -> None:
        assert det_size == (640, 640)

    def get(self, image: np.ndarray) -> list:
        rows, columns = np.nonzero((image[..., 2] > 200) & (image[..., 0] < 50))
        if not len(rows) or rows.min() == 0:
            return []
        box = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
        points = np.repeat(np.array([[*box[:2], 7.0]]), 68, 0)
        return [types.SimpleNamespace(bbox=box, det_score=0.8, landmark_3d_68=points)]


def test_insightface_gets_bgr_and_gives_our_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "insightface", types.ModuleType("insightface"))
    module = types.ModuleType("insightface.app")
    module.FaceAnalysis = FakeInsight  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "insightface.app", module)
    with pytest.raises(FileNotFoundError, match="unpack the model pack 'buffalo_l' there"):
        backends.create_backend("insightface", root=tmp_path)
    (tmp_path / "models/buffalo_l/buffalo_l").mkdir(parents=True)
    (tmp_path / "models/buffalo_l/buffalo_l/det.onnx").touch()
    with pytest.raises(FileNotFoundError, match="one folder too deep"):
        backends.create_backend("insightface", root=tmp_path)
    (tmp_path / "models/buffalo_l/det.onnx").touch()
    picture = np.zeros((80, 100, 3), np.uint8)
    picture[0:31, 20:51] = (255, 0, 0)
    (found,) = backends.create_backend("insightface", root=tmp_path).find(picture)
    np.testing.assert_allclose(found.box, [20.5, 0.5, 50.5, 30.5])
    assert found.score == 0.8 and found.landmarks is not None
    np.testing.assert_allclose(found.landmarks[5], [20.5, 0.5])
    assert backends.create_backend("insightface", root=tmp_path).find(picture[..., ::-1]) == []


def test_mediapipe_mesh_becomes_68_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from faces.backends.mediapipe import MESH_TO_68

    assert len(MESH_TO_68) == 68 == len(set(MESH_TO_68)) and max(MESH_TO_68) < 468
    mesh = [types.SimpleNamespace(x=index / 478, y=0.25) for index in range(478)]
    detect = types.SimpleNamespace(detect=lambda _: types.SimpleNamespace(face_landmarks=[mesh]))
    vision = types.SimpleNamespace(
        FaceLandmarkerOptions=lambda **options: options,
        FaceLandmarker=types.SimpleNamespace(create_from_options=lambda _: detect),
    )
    module = types.ModuleType("mediapipe")
    fakes = {
        "tasks": types.SimpleNamespace(vision=vision, BaseOptions=lambda **options: options),
        "Image": lambda **options: options,
        "ImageFormat": types.SimpleNamespace(SRGB=1),
    }
    module.__dict__.update(fakes)
    monkeypatch.setitem(sys.modules, "mediapipe", module)
    with pytest.raises(FileNotFoundError, match=r"face_landmarker\.task there"):
        backends.create_backend("mediapipe", model=tmp_path / "gone.task")
    (tmp_path / "face.task").touch()
    backend = backends.create_backend("mediapipe", model=tmp_path / "face.task")
    (found,) = backend.find(np.zeros((40, 80, 3), np.uint8))
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks[36], [33 / 478 * 80, 10], rtol=1e-5)


@pytest.mark.skipif("perception" not in weights.available(), reason="weights/perception is not bundled yet")
def test_a_real_photograph_is_aligned() -> None:
    data = pytest.importorskip("skimage.data", reason="needs scikit-image (extra test) for a NASA photograph")
    photograph = data.astronaut()
    (face,) = FaceAnalyzer.from_pretrained("mini")(photograph)
    eyes_and_mouth = alignment.anchor_points(face.landmarks)
    np.testing.assert_allclose(eyes_and_mouth, ASTRONAUT, atol=6)
    assert face.part("face").mean() > 0.15 and face.part("mouth").any() and face.part("eyes").any()


ASTRONAUT = np.array([[204.0, 101.0], [247.0, 103.5], [224.5, 145.5]])
"""Eyes and mouth of scikit-image's `data.astronaut()` (NASA, public domain), read off a tenfold enlargement."""


def test_labels_of_every_other_pixel_stay_where_they_are() -> None:
    """A vertical edge between two classes lands between its own samples, not half a pixel to the right."""
    truth = np.zeros((16, 16), np.int64)
    truth[:, 7:] = 1
    logits = torch.nn.functional.one_hot(torch.from_numpy(truth[::2, ::2]), 2).permute(2, 0, 1)[None].float()
    enlarged = analysis._enlarged(logits, 16, 16)
    assert enlarged.shape == (1, 2, 16, 16)
    np.testing.assert_array_equal(enlarged[0, :, ::2, ::2], logits[0])
    # Column 7 lies between the samples at 6 and 8: half of each, and the later ones are right.
    np.testing.assert_array_equal(enlarged[0].argmax(0)[:, 8:], truth[:, 8:])
    np.testing.assert_allclose(enlarged[0, 1, :, 7], 0.5)
    assert analysis._enlarged(logits, 24, 16).shape[-1] == 24
    full = torch.nn.functional.one_hot(torch.from_numpy(truth), 2).permute(2, 0, 1)[None].float()
    np.testing.assert_array_equal(analysis._enlarged(full, 16, 16), full)
