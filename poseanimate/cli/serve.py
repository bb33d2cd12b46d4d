"""Serves the page: `poseanimate serve`, and what a Space runs as app.py."""

from __future__ import annotations

import argparse
import os

# Both are read when the libraries are imported.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

ON_ZERO_GPU = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true")
if ON_ZERO_GPU:
    import spaces  # noqa: F401  it must be imported before torch

from poseanimate.animator import Animator
from poseanimate.cli.arguments import chosen_models
from poseanimate.engines.engine import Engine
from poseanimate.engines.zero_gpu import ZeroGPU
from poseanimate.models.loading import default_models, load_models
from poseanimate.storage.stage_cache import StageCache, default_folder, default_size
from poseanimate.ui import page


def create_engine(options: argparse.Namespace) -> Engine:
    """The engine: on ZeroGPU the one whose runs borrow a GPU.

    Args:
        options: see `arguments.add_serving`.

    Raises:
        PoseAnimateError: models, cache or size can't be used.
    """
    cache = StageCache(default_folder(), default_size())
    models = load_models(
        options.models or default_models(),
        eyes_device="cpu" if ON_ZERO_GPU else None,
        **chosen_models(options),
        tell=lambda words: print(words, flush=True),
    )
    return (ZeroGPU if ON_ZERO_GPU else Animator)(models, cache, options.max_side)


def run(options: argparse.Namespace) -> None:
    """Serves the page until it is interrupted.

    Args:
        options: see `arguments.add_serving`.

    Raises:
        PoseAnimateError: options, models or cache can't be used.
    """
    if options.mcp:
        page.check_mcp(auth=bool(options.auth))
    demo = page.create_demo(create_engine(options))
    try:
        page.serve(
            demo,
            server_name=options.host,
            server_port=options.port,
            share=options.share,
            auth=options.auth,
            mcp=options.mcp,
        )
    except KeyboardInterrupt:  # before Gradio waits for it: its server would keep the process alive
        demo.close()
