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

from collections.abc import Callable
from typing import cast

from poseanimate.cli.arguments import chosen_models
from poseanimate.cli.engines import create_cluster, join_cluster
from poseanimate.engines.engine import Engine
from poseanimate.engines.late import LateEngine
from poseanimate.errors import DeviceError, PoseAnimateError, SettingsError
from poseanimate.inputs.aligner import check_max_side
from poseanimate.models.files import ModelFiles, default_models, find_files
from poseanimate.models.imports import fast_imports
from poseanimate.models.input_models import check_names
from poseanimate.models.weight_files import parse_loras
from poseanimate.storage.stage_cache import StageCache, default_folder, default_size
from poseanimate.ui.page import create_demo
from poseanimate.ui.server import launch
from poseanimate.ui.server.log_format import write_json_lines


def check(options: argparse.Namespace) -> ModelFiles:
    """Checks what can be checked without loading a network, and downloads what is missing; returns the models' files.

    Args:
        options: see `arguments.add_serving`.

    Raises:
        PoseAnimateError: options or models can't be used.
    """
    if options.engines and ON_ZERO_GPU:
        raise SettingsError("A ZeroGPU Space lends GPUs itself.", "Leave --engines out.")
    if options.mcp:
        launch.check_mcp(auth=bool(options.auth))
    name: str = options.models or default_models()
    check_names(options.detector, options.segmenter, options.precision)
    loras = parse_loras(options.lora, print_message)
    files = find_files(
        name, controlnet=options.controlnet, vae=options.vae, on_message=print_message
    )
    check_max_side(options.max_side, files.side)
    if loras:
        from poseanimate.models.loading import check_loras  # imports torch

        check_loras(loras, files)
    return files


def create_engine(options: argparse.Namespace, name: str, cache: StageCache) -> Engine:
    """Loads the models; on ZeroGPU into the engine whose runs borrow a GPU.

    Args:
        options: see `arguments.add_serving`.
        name: of the models.

    Raises:
        PoseAnimateError: models or size can't be used.
    """
    with fast_imports():
        from poseanimate.animator import Animator
        from poseanimate.engines.zero_gpu import ZeroGPU
        from poseanimate.models.loading import load_models

    models = load_models(
        name,
        inputs_device="cpu" if ON_ZERO_GPU else None,
        **chosen_models(options),
        on_message=print_message,
    )
    return (ZeroGPU if ON_ZERO_GPU else Animator)(models, cache, options.max_side)


def run(options: argparse.Namespace) -> None:
    """Serves the page until it is interrupted. The models load once it answers; on ZeroGPU, which needs them, before.

    Args:
        options: see `arguments.add_serving`.

    Raises:
        PoseAnimateError: options, models or cache can't be used; also once the page answers.
    """
    if options.json_log:
        write_json_lines()
    files, name = check(options), options.models or default_models()
    cache = StageCache(default_folder(), default_size())
    fleet = join_cluster(options.engines, print_message)
    places = 1 if fleet is None else fleet.places
    late = LateEngine(files.family, files.ip_adapter is not None, places)
    engine = create_engine(options, name, cache) if ON_ZERO_GPU else cast(Engine, late)
    demo = create_demo(engine)
    try:
        launch.serve(
            demo,
            server_name=options.host,
            server_port=options.port,
            share=options.share,
            auth=options.auth,
            mcp=options.mcp,
            metrics=options.metrics,
            places=places,
            prevent_thread_lock=True,
        )
        if fleet is not None:
            load_late(late, lambda: create_cluster(options, name, cache, fleet, print_message))
        elif not ON_ZERO_GPU:
            load_late(late, lambda: create_engine(options, name, cache))
        demo.block_thread()
    except BaseException as error:
        demo.close()  # its server would keep the process alive: Gradio closes it in `block_thread` alone
        if not isinstance(error, KeyboardInterrupt):
            raise


def load_late(late: LateEngine, load: Callable[[], Engine]) -> None:
    """Loads the engine of a page that is already served; whoever waits for it learns of a failure."""
    try:
        late.set(load())
    except BaseException as error:
        if not isinstance(error, PoseAnimateError):
            late.fail(DeviceError("The models aren't loaded.", "Start the program again."))
        else:
            late.fail(error)
        raise


def print_message(text: str) -> None:
    """A remark about models, in the server's log."""
    print(text, flush=True)
