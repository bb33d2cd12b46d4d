"""What is taken off or put on a picture's bytes before they are decoded."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from itertools import islice

JPEG_END = b"\xff\xd9"
MAX_PROFILE_BYTES = 4_000_000

_PNG_START = 8
_PNG_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_PNG_USEFUL = frozenset({b"eXIf", b"iCCP"})
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # JPEG markers without a length
_START_OF_SCAN = b"\xff\xda"
_EXIF_SEGMENT, _EXIF_START = 0xE1, b"Exif\0\0"
_GIF_MARKS = re.compile(rb"[!,;]")  # of an extension, an image and the end
_TAGS_START = re.compile(rb"II\*\0|MM\0\*")
_TAG_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8)  # of one value, by its type
_MAX_TAG_LISTS = 100
_MAX_TAG_NUMBERS = 500_000  # 64 megapixels in the smallest tiles have half of that


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


def essential_gif(data: bytes) -> bytes:
    """A GIF without comments, names of programs and whatever stands between its blocks.

    A decoder joins thousands of comments one by one, which takes hours for a few megabytes.
    """
    at = 13 + _palette_bytes(data[10:11])
    parts = [data[:at]]
    while found := _GIF_MARKS.search(data, at):
        start, mark = found.start(), found[0]
        if mark == b";":
            parts.append(mark)
            break
        at = (
            start + 2 if mark == b"!" else start + 11 + _palette_bytes(data[start + 9 : start + 10])
        )
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        if mark == b"," or data[start + 1 : start + 2] == b"\xf9":  # an image, or its delay
            parts.append(data[start:at])
    return b"".join(parts)


def _palette_bytes(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def essential_jpeg(data: bytes) -> bytes:
    """A JPEG with one list of EXIF tags at most. A decoder joins thousands of them one by one, which takes hours."""
    parts, kept, found = [], 0, False
    for start, end in _segments(data):
        if data[start + 1] == _EXIF_SEGMENT and data[start + 4 : end].startswith(_EXIF_START):
            if found or not tags_fit(data[start + 4 : end]):
                parts.append(data[kept:start])
                kept = end
            found = True
    return b"".join([*parts, data[kept:]])


def tags_fit(data: bytes) -> bool:
    """Whether the values of a list of tags (TIFF, EXIF) are no larger together than all data, and none has too many.

    A decoder keeps a copy of each. So if all of them claim the same megabyte, it takes gigabytes. Of numbers, such as
    where each strip of pixels begins, it makes objects.
    """
    data = data.removeprefix(_EXIF_START)
    order = "<" if data.startswith(b"II") else ">"
    try:
        at = struct.unpack_from(f"{order}I", data, 4)[0]
        count = struct.unpack_from(f"{order}H", data, at)[0]
        total = 0
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            _, kind, values, place = struct.unpack_from(f"{order}HHII", data, entry)
            unit = _TAG_BYTES[kind] if kind < len(_TAG_BYTES) else 0
            if place + unit * values <= len(data):  # no decoder reads what isn't there
                total += unit * values
                if unit > 1 and values > _MAX_TAG_NUMBERS:
                    return False
    except struct.error:
        return True  # a damaged list ends here for decoders, too
    return total <= len(data)


def all_tags_fit(data: bytes) -> bool:
    """Whether this is true of whatever looks like a list of tags in a file, and there are few of them."""
    starts = [each.start() for each in islice(_TAGS_START.finditer(data), _MAX_TAG_LISTS)]
    return len(starts) < _MAX_TAG_LISTS and all(tags_fit(data[at:]) for at in starts)


def count_scans(jpeg: bytes) -> int:
    """How often a JPEG goes over its picture; 1 unless it is progressive."""
    at = max((end for _, end in _segments(jpeg)), default=2)
    end = jpeg.find(JPEG_END, at)
    return jpeg.count(_START_OF_SCAN, at, len(jpeg) if end < 0 else end)


def _segments(jpeg: bytes) -> Iterator[tuple[int, int]]:
    """Where each part before a JPEG's first scan begins and ends."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at : at + 2] != _START_OF_SCAN:
        start, marker = at, jpeg[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        else:
            at += 2 if marker in _STANDALONE else 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        yield start, at
