"""XMP packets in GIF files, as part 3 of Adobe's XMP specification ("Storage in Files") lays them out.

A packet is an application extension whose text is not cut into blocks. A program that does not know it reads the text
as blocks all the same and, whatever lengths it takes its bytes for, comes out at the end of the trailer that follows.
"""

from __future__ import annotations

_START = b"\x21\xff\x0bXMP DataXMP"
_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
_EXTENSION, _IMAGE = 0x21, 0x2C
_HEADER, _IMAGE_HEADER = 13, 10


def put_packet(data: bytes, packet: bytes) -> bytes:
    """Put an XMP packet in a GIF, behind its last frame.

    Raises:
        ValueError: no whole GIF, or a packet that holds a byte 0.
    """
    if data[:6] not in (b"GIF87a", b"GIF89a") or not data.endswith(b";"):
        raise ValueError("no GIF that ends with its trailer")
    if b"\0" in packet:
        raise ValueError("a packet in a GIF cannot hold a byte 0")
    return b"GIF89a" + data[6:-1] + _START + packet + _TRAILER + b";"


def packet_of(data: bytes) -> bytes:
    """The XMP packet of a GIF, empty where it has none; ValueError where the file breaks off."""
    try:
        place = _HEADER + _table(data[10])
        while data[place] in (_EXTENSION, _IMAGE):
            if data.startswith(_START, place):
                start = place + len(_START)
                end = data.find(_TRAILER, start)
                return data[start:end] if end >= 0 else b""
            if data[place] == _EXTENSION:
                place = _behind_blocks(data, place + 2)
            else:  # a table of colours of its own, the size of a code, and blocks
                place = _behind_blocks(data, place + _IMAGE_HEADER + _table(data[place + 9]) + 1)
    except IndexError as error:
        raise ValueError("a GIF that breaks off") from error
    return b""


def _table(flags: int) -> int:
    """Bytes of the table of colours that flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _behind_blocks(data: bytes, place: int) -> int:
    while data[place]:
        place += data[place] + 1
    return place + 1
