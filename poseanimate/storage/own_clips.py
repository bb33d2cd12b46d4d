"""The clips that a browser has made, under a key that only the browser knows.

Notable: folders are named after the keys' hashes. Bounded by number, age and size.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from poseanimate.errors import BundleError
from poseanimate.storage.atomic import remove_abandoned, write_bytes_atomically

_log = logging.getLogger(__name__)

MAX_CLIPS = 24
MAX_BYTES = 2_000_000_000
MAX_AGE_S = 7 * 24 * 3600.0

_KEY = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True)
class Card:
    """What is shown of a clip.

    id: sorts by age. kind: what the bundle's clip is. title, about: a few words each. picture: a JPEG as data URL.
    """

    id: str
    kind: str
    title: str
    about: str
    picture: str


def make_key() -> str:
    """A key for a browser; it can't be guessed."""
    return secrets.token_urlsafe(16)


def is_key(value: object) -> bool:
    """Whether a value has the form of a key."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


class OwnClips:
    """Clips by browser, each a bundle and its card.

    Args:
        folder: created when the first clip is kept.
        max_clips: of a browser; its oldest go. max_bytes: of all together; the oldest go. max_age_s: older ones go.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        max_clips: int = MAX_CLIPS,
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self.max_clips, self.max_bytes = folder, max_clips, max_bytes
        self.max_age_s, self.clock = max_age_s, clock

    def put(self, key: str, bundle: bytes, kind: str, title: str, about: str, picture: str) -> None:
        """Keeps a clip as the browser's newest; one that can't be kept is left out, which the log tells."""
        if not is_key(key):
            return
        # in the order of age, and never the same twice
        id = f"{int(1000 * self.clock()):014d}{secrets.token_hex(4)}"
        card = json.dumps(asdict(Card(id, kind, title, about, picture)))
        try:
            own = self._own(key)
            own.mkdir(parents=True, exist_ok=True)
            write_bytes_atomically(own / f"{id}.zip", bundle)
            write_bytes_atomically(
                own / f"{id}.json", card.encode()
            )  # last: what has a card is whole
            for each in self.cards(key)[self.max_clips :]:
                self.remove(key, each.id)
            self._sweep()
        except OSError as error:
            _log.warning("A clip of a browser can't be kept in %s: %s", self.folder, error)

    def cards(self, key: str) -> list[Card]:
        """A browser's clips, the newest first."""
        found = []
        for path in sorted(self._own(key).glob("*.json"), reverse=True) if is_key(key) else ():
            with contextlib.suppress(OSError, ValueError, TypeError):
                if self.clock() - path.stat().st_mtime <= self.max_age_s:
                    found.append(Card(**json.loads(path.read_text(encoding="utf-8"))))
        return found

    def get(self, key: str, id: str) -> tuple[Card, bytes]:
        """A browser's clip and its bundle.

        Raises:
            BundleError: it has none with this id (any more).
        """
        card = next((each for each in self.cards(key) if each.id == id), None)
        with contextlib.suppress(OSError):
            if card is not None:
                return card, (self._own(key) / f"{card.id}.zip").read_bytes()
        raise BundleError("This clip isn't there any more.", "Clips are kept for some days.")

    def remove(self, key: str, id: str) -> None:
        """Deletes a browser's clip; nothing if there is none."""
        if any(each.id == id for each in self.cards(key)):
            self._delete(self._own(key) / f"{id}.json")

    def _own(self, key: str) -> Path:
        return self.folder / hashlib.sha256(key.encode()).hexdigest()[:32]

    def _delete(self, card: Path) -> None:
        for path in (card, card.with_suffix(".zip")):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Deletes what is too old, then the oldest until the rest fits, then what is left of others."""
        found = []
        for path in self.folder.glob("*/*.json"):
            with contextlib.suppress(OSError):
                size = path.stat().st_size + path.with_suffix(".zip").stat().st_size
                found.append((path.stat().st_mtime, size, path))
        room, now_s = self.max_bytes, self.clock()
        for mtime, size, path in sorted(found, reverse=True):
            room -= size
            if room < 0 or now_s - mtime > self.max_age_s:
                self._delete(path)
        for own in self.folder.glob("*"):
            remove_abandoned(own)
            with contextlib.suppress(OSError):
                if not any(own.iterdir()):
                    shutil.rmtree(own)
