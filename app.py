"""The app: builds the page and serves it at http://127.0.0.1:7860.

POSEANIMATE_MODELS chooses the models ("pocket", "sd15" or a folder), POSEANIMATE_CACHE where results
of stages are kept; host and port are Gradio's: GRADIO_SERVER_NAME and GRADIO_SERVER_PORT.
"""

from __future__ import annotations

import os
import sys

# Both are read when the libraries are imported.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from poseanimate.animator import Animator
from poseanimate.cache import StageCache, default_folder
from poseanimate.errors import PoseAnimateError
from poseanimate.models import load_models
from poseanimate.ui.page import create_demo, serve


def main() -> int:
    """Serves the page until it is interrupted; 2 where the models or the cache can't be used."""
    try:
        models = load_models(os.environ.get("POSEANIMATE_MODELS", "pocket"))
        cache = StageCache(default_folder())
    except PoseAnimateError as error:
        print(error, file=sys.stderr)
        return 2
    serve(create_demo(Animator(models, cache)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
