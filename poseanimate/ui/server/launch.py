"""How the page is served."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from poseanimate.errors import SettingsError
from poseanimate.media import VideoLimits
from poseanimate.ui import theme
from poseanimate.ui.server.front_page import list_pictures
from poseanimate.ui.server.health import list_routes
from poseanimate.ui.server.log_limit import limit_logs
from poseanimate.ui.server.middleware import app_arguments
from poseanimate.ui.server.page_blocks import PageBlocks
from poseanimate.ui.server.temporary_files import MAX_SESSIONS, TemporaryFiles

THREADS = 40  # Gradio's own number, for a page with one engine


def serve(
    demo: PageBlocks, mcp: bool = False, places: int = 1, metrics: bool = False, **more: Any
) -> Any:
    """Launches the page with its theme; whatever Gradio serves beyond its needs is switched off.

    Gradio's temporary folder is swept: it must be this page's alone; see `own_folder`.

    Args:
        mcp: whether to serve the public endpoints as MCP tools; see `check_mcp`.
        places: how many runs go on at once; each takes a thread.
        metrics: whether anybody who reaches the server can read /metrics.
        more: arguments of Gradio's `launch`: host, port, share, auth. The default host and port are
            GRADIO_SERVER_NAME (127.0.0.1) and GRADIO_SERVER_PORT (from 7860).
    """
    limit_logs()
    shared = None if more.get("auth") else demo.shared_clips
    return demo.launch(
        theme=theme.theme(),
        css=theme.style(),
        head=f"<style>{theme.style()}</style>",  # the same before the page is built: nothing moves when it is
        js=theme.script(),
        max_file_size=VideoLimits().max_bytes,
        state_session_capacity=MAX_SESSIONS,
        allowed_paths=[],
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        footer_links=["api", "gradio"],
        ssr_mode=False,
        pwa=False,
        mcp_server=mcp,
        max_threads=THREADS + places - 1,
        app_kwargs={
            **app_arguments(demo, TemporaryFiles(demo, Path(get_upload_folder())), shared),
            "routes": [
                *list_routes(demo.engine, demo.counts.registry if metrics else None),
                *list_pictures(shared),
            ],
        },
        **more,
    )


def check_mcp(auth: bool) -> None:
    """Checks that MCP can be served, before models are loaded.

    Args:
        auth: whether visitors need a password.

    Raises:
        SettingsError: they do, which MCP clients can't give; or no usable package `mcp` is installed.
    """
    if auth:
        raise SettingsError("MCP knows no password.", "Leave --mcp or --auth out.")
    try:
        fits = version("mcp").startswith("1.")
    except PackageNotFoundError:
        fits = False
    if not fits:
        raise SettingsError("MCP needs a package.", "Install it: pip install 'mcp>=1.21,<2'.")
