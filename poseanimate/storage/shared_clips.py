"""Clips that visitors share: bundles in a folder, each under an id that can't be guessed.

Notable: whoever shares a clip gets a key with which to withdraw it; the folder holds only the key's hash. Bounded:
clips that are too old are deleted, then the oldest.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from poseanimate.errors import BundleError, OutputError
from poseanimate.storage.atomic import remove_abandoned, write_bytes_atomically

_log = logging.getLogger(__name__)

MAX_BYTES = 1_000_000_000
MAX_AGE_S = 30 * 24 * 3600.0

_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True)
class ShareToken:
    """id: in the link. key: withdraws the clip."""

    id: str
    key: str


class SharedClips:
    """Shared bundles.

    Args:
        folder: created if it doesn't exist.
        max_bytes: of all bundles together; a single larger one is refused.
        max_age_s: older bundles are deleted.

    Raises:
        OutputError: the folder can't be used.
    """

    def __init__(
        self, folder: Path, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S
    ) -> None:
        self.folder, self.max_bytes, self.max_age_s = folder, max_bytes, max_age_s
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder of shared clips, {folder}, can't be used ({type(error).__name__}).",
                "Choose another one with POSEANIMATE_SHARED.",
            ) from error

    def put(self, bundle: bytes) -> ShareToken:
        """Keeps a bundle.

        Raises:
            OutputError: it is too large, or the folder can't be written to.
        """
        if len(bundle) > self.max_bytes:
            raise OutputError(
                f"The clip has {len(bundle) / 1e6:.0f} MB, and {self.max_bytes / 1e6:.0f} are kept.",
                "Share a shorter one.",
            )
        token = ShareToken(secrets.token_urlsafe(16), secrets.token_urlsafe(16))
        path = self.folder / f"{token.id}.{_hashed(token.key)}.zip"
        try:
            write_bytes_atomically(path, bundle)
            self._sweep(keep=path)
        except OSError as error:
            _log.warning("A shared clip can't be kept in %s: %s", self.folder, error)
            # visitors must not learn where the folder is
            raise OutputError(
                f"The clip can't be kept ({type(error).__name__}).",
                "Try again later; whoever runs this page chooses the folder with POSEANIMATE_SHARED.",
            ) from error
        return token

    def has(self, id: str) -> bool:
        """Whether there is a bundle with this id."""
        return self._path(id) is not None

    def get(self, id: str) -> bytes:
        """The bundle with this id.

        Raises:
            BundleError: there is none (any more).
        """
        self._sweep()
        path = self._path(id)
        try:
            if path is not None:
                return path.read_bytes()
        except OSError:
            pass
        raise BundleError(
            "There is no shared clip under this link.",
            "It may have been taken back or be too old: ask for a new link.",
        )

    def remove(self, token: ShareToken) -> bool:
        """Withdraws a clip; False if it doesn't exist or the key is wrong."""
        path = self._path(token.id)
        if path is None or not hmac.compare_digest(path.suffixes[0][1:], _hashed(token.key)):
            return False
        path.unlink(missing_ok=True)
        return True

    def _path(self, id: str) -> Path | None:
        if not _ID.fullmatch(id):
            return None
        return next(self.folder.glob(f"{id}.*.zip"), None)

    def _sweep(self, keep: Path | None = None) -> None:
        """Deletes what is too old, then the oldest until the rest fits, then abandoned parts.

        keep: the clip just made. Where the clock was set back, others claim to be newer.
        """
        now, room = time.time(), self.max_bytes
        found = []
        for path in self.folder.glob("*.zip"):
            with contextlib.suppress(OSError):
                about = path.stat()
                found.append((path == keep, about.st_mtime, about.st_size, path))
        for _, mtime, size, path in sorted(found, reverse=True):
            room -= size
            if room < 0 or now - mtime > self.max_age_s:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
        remove_abandoned(self.folder)


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
