"""Comments in animated pictures, which the encoder doesn't write."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

_GIF_END = b"\x3b"
_PNG_HEAD = 33  # bytes of signature and IHDR


def add_comment(path: Path, comment: str) -> None:
    """Writes a comment of at most 255 ASCII characters into a .gif or .apng; other files stay as they are."""
    data, text = path.read_bytes(), comment.encode("ascii")
    if path.suffix == ".gif":
        assert data.endswith(_GIF_END)
        block = b"\x21\xfe" + bytes([len(text)]) + text + b"\0"
        path.write_bytes(data[:-1] + block + _GIF_END)
    elif path.suffix == ".apng":
        body = b"tEXtComment\0" + text
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        path.write_bytes(data[:_PNG_HEAD] + chunk + data[_PNG_HEAD:])
