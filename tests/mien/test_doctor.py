"""What the doctor finds, on this machine and on spoilt ones."""

import io
import sys

import pytest
from rich.console import Console

import weights
from mien import doctor


def found(findings, group, name):
    (finding,) = [finding for finding in findings if (finding.group, finding.name) == (group, name)]
    return finding


def test_this_machine_is_sound():
    findings = doctor.examine()
    assert {finding.group for finding in findings} == {
        "machine", "packages", "weights", "heads", "extras", "attention"
    }  # fmt: skip
    assert [finding for finding in findings if finding.status == "broken"] == []
    assert found(findings, "attention", "native").status == "ok"
    assert found(findings, "packages", "torch").detail.startswith("2.")
    assert all(finding.fix for finding in findings if finding.status in ("missing", "broken"))
    assert all("icence" in finding.detail for finding in findings if finding.group == "extras")


def test_a_missing_package_is_broken_and_has_a_command(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package"))
    finding = found(doctor._packages(), "packages", "no-such-package")
    assert (finding.status, finding.detail) == ("broken", "not installed")
    assert finding.fix == "pip install -c constraints.txt 'no-such-package'"


def test_commands_fit_a_clone_and_a_wheel(monkeypatch, tmp_path):
    assert doctor.install("mien[ray]") == "pip install -c constraints.txt -e '.[ray]'"
    monkeypatch.setattr("mien.__file__", str(tmp_path / "mien" / "__init__.py"))
    assert doctor.install("mien[ray]") == "pip install 'mien[ray]'"


@pytest.mark.parametrize("error", [RuntimeError("operator nms does not exist"), ImportError("symbol")])
def test_a_torchvision_that_does_not_match_is_broken(monkeypatch, error):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())

    def refuse(name):
        raise error

    monkeypatch.setattr("importlib.import_module", refuse)
    finding = doctor._torchvision()
    assert finding.status == "broken"
    assert finding.fix == "pip uninstall torchvision"


def test_weights_are_weighed_and_hashed(monkeypatch, tmp_path):
    (tmp_path / "perception").mkdir()
    (tmp_path / "perception" / "model.safetensors").write_bytes(b"1" * 2_000_000)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    findings = list(doctor._bundled())
    perception, mini = found(findings, "weights", "perception"), found(findings, "weights", "mini")
    assert perception.status == "ok"
    assert perception.detail.startswith("2.0 MB, sha256 ")
    assert (mini.status, mini.fix) == ("missing", weights.REMEDY)


def test_head_assets_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_MAKEHUMAN", str(tmp_path))
    assert "base.obj" in found(doctor._heads(), "heads", "assets").detail
    (tmp_path / "3dobjs").mkdir()
    (tmp_path / "3dobjs" / "base.obj").write_text("v 0 0 0\n")
    finding = found(doctor._heads(), "heads", "assets")
    assert (finding.status, finding.detail) == ("ok", str(tmp_path))


def test_without_moderngl_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "moderngl", None)
    finding = doctor._egl()
    assert finding.status == "optional"
    assert "[render]" in finding.fix


def test_a_driver_that_fails_is_missing_not_fatal(monkeypatch):
    moderngl = pytest.importorskip("moderngl")

    def refuse(**_):
        raise Exception("libEGL.so not loaded")  # what moderngl itself raises

    monkeypatch.setattr(moderngl, "create_context", refuse)
    finding = doctor._egl()
    assert (finding.status, finding.detail) == ("missing", "libEGL.so not loaded")
    assert "libegl1" in finding.fix


def test_attention_that_imports_but_cannot_compute_is_not_usable(monkeypatch):
    def refuse(device):
        raise NotImplementedError("No operator found\n for this device")

    monkeypatch.setattr(doctor, "_xformers", refuse)
    finding = found(doctor._attention(), "attention", "xformers")
    assert finding.status == "optional"
    assert "No operator found for this device" in finding.detail


def test_the_table_shows_findings_and_commands():
    findings = [
        doctor.Finding(group="machine", name="cores", status="ok", detail="2"),
        doctor.Finding(
            group="extras", name="ray", status="optional", detail="a [b]", fix=doctor.install("mien[ray]")
        ),
    ]
    stream = io.StringIO()
    Console(file=stream, width=100).print(doctor.as_table(findings))
    assert "cores" in stream.getvalue()
    assert "a [b]" in stream.getvalue()
    assert "pip install -c constraints.txt -e '.[ray]'" in stream.getvalue()
