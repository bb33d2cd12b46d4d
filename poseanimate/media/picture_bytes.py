"""What is taken off or put on a picture's bytes before they are decoded."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

JPEG_END = b"\xff\xd9"
MAX_PROFILE_BYTES = 4_000_000

_PNG_START = 8
_PNG_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_PNG_USEFUL = frozenset({b"eXIf", b"iCCP"})
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # JPEG markers without a length
_START_OF_SCAN = b"\xff\xda"


def essential_png(data: bytes) -> bytes:
    """A PNG without what isn't needed to show its first picture: texts, further frames, damaged metadata.

    A workflow of megabytes in a text would be refused by the decoder. Cut-off data stay cut off.
    """
    return data[:_PNG_START] + b"".join(_essential_chunks(memoryview(data)))


def _essential_chunks(data: memoryview) -> Iterator[memoryview]:
    at = _PNG_START
    while at < len(data):
        kind = bytes(data[at + 4 : at + 8])
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if kind in _PNG_NEEDED or (kind in _PNG_USEFUL and _is_sound(kind, data[at:end])):
            yield data[at:end]
        at = end


def _is_sound(kind: bytes, chunk: memoryview) -> bool:
    """Whether a chunk's checksum is right and its profile, if it is one, can be unpacked."""
    if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
        return False
    if kind != b"iCCP":
        return True
    packed = bytes(chunk[8:-4]).partition(b"\0")[2][1:]
    try:
        unpacking = zlib.decompressobj()
        unpacking.decompress(packed, MAX_PROFILE_BYTES)
    except zlib.error:
        return False
    return unpacking.eof


def count_scans(jpeg: bytes) -> int:
    """How often a JPEG goes over its picture; 1 unless it is progressive."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at : at + 2] != _START_OF_SCAN:
        marker = jpeg[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        else:
            at += 2 if marker in _STANDALONE else 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    end = jpeg.find(JPEG_END, at)
    return jpeg.count(_START_OF_SCAN, at, len(jpeg) if end < 0 else end)
