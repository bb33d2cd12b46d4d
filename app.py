"""The app: builds the page and serves it at http://127.0.0.1:7860. `python app.py --help` lists what can be chosen."""

from __future__ import annotations

import argparse
import os
import sys

# Both are read when the libraries are imported.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

ON_ZERO_GPU = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true")
if ON_ZERO_GPU:
    import spaces  # noqa: F401  it must come before torch

from poseanimate.animator import Animator
from poseanimate.cli.arguments import add_models, chosen_models
from poseanimate.engines.engine import Engine
from poseanimate.engines.zero_gpu import ZeroGPU
from poseanimate.errors import PoseAnimateError
from poseanimate.models.loading import default_models, load_models
from poseanimate.storage.stage_cache import StageCache, default_folder, default_size
from poseanimate.ui.page import check_mcp, create_demo, serve


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Options; where one isn't given, a variable of the environment says, and then the default."""
    parser = argparse.ArgumentParser(description="Serves the page until it is interrupted.")
    add_models(parser)
    parser.add_argument(
        "--max-side",
        type=int,
        metavar="PX",
        help="pictures larger than the models' keep their size, up to the area of a square with this side "
        "(POSEANIMATE_MAX_SIDE)",
        default=os.environ.get("POSEANIMATE_MAX_SIDE"),
    )
    parser.add_argument(
        "--host", help="address to listen at; 0.0.0.0 is every one (GRADIO_SERVER_NAME)"
    )
    parser.add_argument("--port", type=int, help="(GRADIO_SERVER_PORT)")
    parser.add_argument(
        "--share", action="store_true", help="a public link through Gradio's servers, for a week"
    )
    parser.add_argument(
        "--auth",
        type=_name_and_password,
        metavar="NAME:PASSWORD",
        help="ask visitors for these (POSEANIMATE_AUTH)",
        default=os.environ.get("POSEANIMATE_AUTH"),
    )
    parser.add_argument(
        "--mcp",
        action="store_true",
        help="serve the API to MCP clients as tools, too (POSEANIMATE_MCP=1)",
        default=os.environ.get("POSEANIMATE_MCP", "").lower() in ("1", "true"),
    )
    return parser.parse_args(arguments)


def _name_and_password(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise argparse.ArgumentTypeError("give a name and a password with a colon between them")
    return name, password


def backend(options: argparse.Namespace) -> Engine:
    """The engine: on ZeroGPU the one whose runs borrow a GPU.

    Args:
        options: of `parse`.

    Raises:
        PoseAnimateError: models, cache or size can't be used.
    """
    cache = StageCache(default_folder(), default_size())
    name = options.models or default_models()
    eyes_device = "cpu" if ON_ZERO_GPU else None
    models = load_models(
        name,
        eyes_device=eyes_device,
        **chosen_models(options),
        tell=lambda words: print(words, flush=True),
    )
    return (ZeroGPU if ON_ZERO_GPU else Animator)(models, cache, options.max_side)


def main(arguments: list[str] | None = None) -> int:
    """Serves the page until it is interrupted; 2 where options, models or cache can't be used."""
    options = parse(arguments)
    try:
        if options.mcp:
            check_mcp(auth=bool(options.auth))
        demo = create_demo(backend(options))
    except PoseAnimateError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        serve(
            demo,
            server_name=options.host,
            server_port=options.port,
            share=options.share,
            auth=options.auth,
            mcp=options.mcp,
        )
    except KeyboardInterrupt:  # before Gradio waits for it: its server would keep the process alive
        demo.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
