"""An engine that isn't loaded yet: the page opens at once, and its requests wait for the models."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from poseanimate.errors import PoseAnimateError

if TYPE_CHECKING:
    from poseanimate.engines.engine import Engine


class LateEngine:
    """Behaves like an `Engine` that is set later: each request waits for it.

    Args:
        family, image_prompts, places: see `Engine`; known before.

    Raises:
        PoseAnimateError: from every request, after loading has failed.
    """

    def __init__(self, family: str, image_prompts: bool, places: int = 1) -> None:
        self._family, self._image_prompts, self._places = family, image_prompts, places
        self._loaded: Future[Engine] = Future()

    @property
    def family(self) -> str:
        return self._family

    @property
    def image_prompts(self) -> bool:
        return self._image_prompts

    @property
    def places(self) -> int:
        return self._places

    @property
    def answering(self) -> int:
        return 0 if self.pending else self._loaded.result().answering

    def set(self, engine: Engine) -> None:
        """The engine is loaded."""
        self._loaded.set_result(engine)

    def fail(self, error: PoseAnimateError) -> None:
        """The engine can't be loaded."""
        self._loaded.set_exception(error)

    @property
    def pending(self) -> str:
        """Why no request is answered yet; empty once the engine is loaded."""
        if not self._loaded.done():
            return "The models are loading."
        error = self._loaded.exception()
        return "" if error is None else str(error)

    def __getattr__(self, name: str) -> Any:
        error = self._loaded.exception()  # waits
        if error is not None:
            raise error.with_traceback(None)
        return getattr(self._loaded.result(), name)
