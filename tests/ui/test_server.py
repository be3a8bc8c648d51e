"""How the page is served, and what is refused before it is."""

from __future__ import annotations

import socket

import pytest

from tests.ui.toy_services import ToyServices
from ui.server import Address, serve


def test_only_this_machine_is_private():
    private = [host for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.168.0.7", "mien.example")
               if Address(host=host).is_private]  # fmt: skip
    assert private == ["127.0.0.1", "localhost", "::1"]


def test_tools_of_assistants_share_a_session_and_are_for_this_machine_alone():
    with pytest.raises(ValueError, match=r"^mcp: .* not for 0\.0\.0\.0$"):
        serve(Address(host="0.0.0.0", mcp=True), ToyServices())


def test_a_port_that_is_taken_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"^127.0.0.1:{port}: cannot be opened; choose another --port$"):
            serve(Address(port=port), ToyServices())
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("line", ["name", ":password", "name:"])
def test_names_without_passwords_are_refused(tmp_path, line):
    file = tmp_path / "visitors"
    file.write_text(f"ada:lovelace\n\n{line}\n")
    with pytest.raises(ValueError, match="a line without NAME:PASSWORD"):
        serve(Address(auth=file), ToyServices())
