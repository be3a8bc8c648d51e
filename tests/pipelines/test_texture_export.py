import io
import json
import struct

import numpy as np
import pytest
import trimesh
from PIL import Image

from faces import provenance
from faces.provenance import Provenance
from pipelines.texture.export import ORIGINAL, export_glb, export_obj, to_glb_bytes
from pipelines.texture.turntable import save_animation, save_strip, turntable
from tests.pipelines.texture_ellipsoid import ellipsoid, smooth_texture

RECORD = Provenance(digital_source_type="algorithmicMedia", pipeline="FaceTexturePipeline", seed=7)
TEXTURE = np.rint(smooth_texture(32) * 255).astype(np.uint8)
VERTICES = ellipsoid().mean + 0.02 * ellipsoid().shape_basis[0]


def chunks(data):
    """Header and chunks of a GLB, checked against section 4.4 of the glTF 2.0 specification."""
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    found, start = [], 12
    while start < length:
        size, kind = struct.unpack_from("<I4s", data, start)
        assert start % 4 == 0 and size % 4 == 0
        found.append((kind, data[start + 8 : start + 8 + size]))
        start += 8 + size
    assert start == length and [kind for kind, _ in found] == [b"JSON", b"BIN\0"]
    return json.loads(found[0][1]), found[1][1]


def accessor(tree, binary, index):
    """Values of an accessor, checked: inside its view, aligned, and of the range that it names."""
    entry = tree["accessors"][index]
    dtype = {5126: np.dtype("<f4"), 5125: np.dtype("<u4"), 5123: np.dtype("<u2")}[entry["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[entry["type"]]
    view = tree["bufferViews"][entry["bufferView"]]
    start = view.get("byteOffset", 0) + entry.get("byteOffset", 0)
    assert start % dtype.itemsize == 0 and "byteStride" not in view
    assert entry.get("byteOffset", 0) + entry["count"] * width * dtype.itemsize <= view["byteLength"]
    values = np.frombuffer(binary, dtype, entry["count"] * width, start).reshape(-1, width)
    for name, bound in (("min", values.min(0)), ("max", values.max(0))):
        if name in entry:
            assert np.allclose(entry[name], bound, rtol=1e-6)
    return values


def parsed(**options):
    tree, binary = chunks(to_glb_bytes(VERTICES, ellipsoid(), TEXTURE, RECORD, **options))
    assert tree["buffers"][0]["byteLength"] <= len(binary) <= tree["buffers"][0]["byteLength"] + 3
    for view in tree["bufferViews"]:
        assert view.get("byteOffset", 0) + view["byteLength"] <= len(binary)
    (primitive,) = tree["meshes"][0]["primitives"]
    return tree, binary, primitive


def test_a_glb_holds_the_head_in_the_order_of_the_template():
    tree, binary, primitive = parsed()
    values = {name: accessor(tree, binary, index) for name, index in primitive["attributes"].items()}
    assert np.allclose(values["POSITION"], VERTICES / 10, atol=1e-7)
    assert np.allclose(values["TEXCOORD_0"], ellipsoid().uv, atol=1e-6)
    assert np.allclose(np.linalg.norm(values["NORMAL"], axis=1), 1, atol=1e-5)
    entry = tree["accessors"][primitive["attributes"]["POSITION"]]
    assert "min" in entry and "max" in entry  # section 5.1.1 wants them for positions
    indices = accessor(tree, binary, primitive["indices"])
    assert primitive.get("mode", 4) == 4
    assert np.array_equal(indices.reshape(-1, 3), ellipsoid().triangles) and indices.max() < len(VERTICES)
    assert tree["accessors"][primitive["indices"]]["componentType"] == 5125
    target = {
        i: tree["bufferViews"][entry["bufferView"]]["target"] for i, entry in enumerate(tree["accessors"])
    }
    assert target.pop(primitive["indices"]) == 34963 and set(target.values()) == {34962}


def test_the_map_to_vertices_before_the_seam_is_in_the_file():
    tree, binary, primitive = parsed()
    originals = accessor(tree, binary, primitive["attributes"][ORIGINAL])[:, 0].astype(int)
    assert np.allclose(ellipsoid().mean[originals], ellipsoid().mean, atol=1e-5)
    assert (originals != np.arange(len(originals))).sum() == 49


def test_the_texture_is_a_png_without_loss_and_with_its_record():
    tree, binary, primitive = parsed()
    material = tree["materials"][primitive["material"]]
    texture = tree["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
    image = tree["images"][texture["source"]]
    view = tree["bufferViews"][image["bufferView"]]
    data = binary[view.get("byteOffset", 0) :][: view["byteLength"]]
    assert image["mimeType"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), TEXTURE)
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert material["pbrMetallicRoughness"]["roughnessFactor"] == 1
    assert provenance.read(data) == RECORD


@pytest.mark.parametrize("unlit", [True, False])
def test_unlit_is_said_by_the_extension_alone(unlit):
    tree, _, primitive = parsed(unlit=unlit)
    said = "KHR_materials_unlit" in tree["materials"][primitive["material"]].get("extensions", {})
    assert said == unlit == ("KHR_materials_unlit" in tree.get("extensionsUsed", []))
    assert "extensionsRequired" not in tree


def test_provenance_is_in_the_asset_and_bytes_repeat():
    tree, _, _ = parsed()
    assert Provenance.model_validate(tree["asset"]["extras"]["mien"]) == RECORD
    assert tree["asset"]["version"] == "2.0"
    again = [to_glb_bytes(VERTICES, ellipsoid(), TEXTURE, RECORD) for _ in range(2)]
    assert again[0] == again[1]


def test_trimesh_reads_the_same_head_back(tmp_path):
    path = export_glb(tmp_path / "head.glb", VERTICES, ellipsoid(), TEXTURE, RECORD)
    (mesh,) = trimesh.load(path, process=False).geometry.values()
    assert np.allclose(mesh.vertices * 10, VERTICES, atol=1e-5)
    assert np.array_equal(mesh.faces, ellipsoid().triangles)
    assert np.allclose(mesh.visual.uv, ellipsoid().uv * [1, -1] + [0, 1], atol=1e-6)
    assert np.array_equal(np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")), TEXTURE)
    assert [item.name for item in tmp_path.iterdir()] == ["head.glb"]


def test_an_obj_names_places_and_texture_apart_and_counts_v_from_below(tmp_path):
    path = export_obj(tmp_path / "head.obj", VERTICES, ellipsoid(), TEXTURE, RECORD)
    rows = [line.split() for line in path.read_text().splitlines()]
    places, texture = (np.array([row[1:] for row in rows if row[0] == key], float) for key in ("v", "vt"))
    corners = np.array([[part.split("/") for part in row[1:]] for row in rows if row[0] == "f"], int) - 1
    assert len(places) == len(VERTICES) - 49  # the seam is closed again
    assert np.allclose(places[corners[..., 0]], VERTICES[ellipsoid().triangles], atol=1e-5)
    assert np.allclose(
        texture[corners[..., 1]], (ellipsoid().uv * [1, -1] + [0, 1])[ellipsoid().triangles], atol=1e-5
    )
    assert rows[1] == ["mtllib", "head.mtl"]
    assert "map_Kd head.png" in (tmp_path / "head.mtl").read_text().splitlines()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "head.png")), TEXTURE)
    assert provenance.read(tmp_path / "head.png") == RECORD
    mesh = trimesh.load(path, process=False)
    assert len(mesh.faces) == len(ellipsoid().triangles) and mesh.volume > 0


def test_other_suffixes_and_other_meshes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"permitted: \.glb"):
        export_glb(tmp_path / "head.gltf", VERTICES, ellipsoid(), TEXTURE, RECORD)
    with pytest.raises(ValueError, match="expected those of the template"):
        export_obj(tmp_path / "head.obj", VERTICES[:9], ellipsoid(), TEXTURE, RECORD)
    assert not list(tmp_path.iterdir())


def test_a_turntable_shows_the_head_from_all_sides_at_one_scale():
    pictures = turntable(VERTICES, ellipsoid(), TEXTURE, yaws=(-60, 0, 60), size=48)
    assert pictures.shape == (3, 48, 48, 3) and pictures.dtype == np.uint8
    covered = (pictures != 255).any(-1)
    nose = [np.flatnonzero(mask.any(0))[[0, -1]] for mask in covered]
    assert nose[2][1] > nose[1][1] and nose[0][0] < nose[1][0]
    assert np.ptp([np.ptp(np.flatnonzero(mask.any(1))) for mask in covered]) <= 1
    with pytest.raises(ValueError, match="yaws"):
        turntable(VERTICES, ellipsoid(), TEXTURE, yaws=())


def test_strips_and_animations_carry_their_record(tmp_path):
    pictures = turntable(VERTICES, ellipsoid(), TEXTURE, yaws=(-30, 0, 30), size=32)
    strip = save_strip(pictures, tmp_path / "strip.png", RECORD)
    moving = save_animation(pictures, tmp_path / "head.webp", RECORD)
    assert Image.open(strip).size == (96, 32)
    assert Image.open(moving).n_frames == 4
    assert provenance.read(strip) == provenance.read(moving) == RECORD
    assert provenance.read(save_animation(pictures, tmp_path / "head.gif", RECORD)) == RECORD
    with pytest.raises(ValueError, match=r"permitted: \.webp, \.gif"):
        save_animation(pictures, tmp_path / "head.mp4", RECORD)
