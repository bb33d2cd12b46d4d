"""The page: its sections, and which event runs which handler."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from poseanimate.engines.engine import Engine
from poseanimate.errors import SettingsError
from poseanimate.media import VideoLimits
from poseanimate.poses.motion import PRESETS_FOLDER
from poseanimate.storage.shared_clips import SharedClips
from poseanimate.ui import parts, texts
from poseanimate.ui.about import add_about
from poseanimate.ui.api import Api
from poseanimate.ui.compare import ComparisonHandlers
from poseanimate.ui.handlers import CLIP_TAB, DRAFT_TAB, Handlers
from poseanimate.ui.health import list_routes
from poseanimate.ui.log_limit import limit_logs
from poseanimate.ui.middleware import app_arguments
from poseanimate.ui.page_blocks import PageBlocks
from poseanimate.ui.parts import BESIDE, CHOSEN, QUIET
from poseanimate.ui.player import player
from poseanimate.ui.previews import ALIGNMENT_SETTINGS, PreviewHandlers
from poseanimate.ui.sharing import LINK, SharingHandlers, shared_folder
from poseanimate.ui.temporary_files import MAX_SESSIONS, TemporaryFiles
from poseanimate.ui.theme import CLIPS, EXAMPLES, style, theme

SCRIPT = Path(__file__).with_suffix(".js")
WAITING_S = 2  # between updates of a waiting run's bar
IN_LINE = 40  # runs and previews together, per engine; opening a page queues five previews
THREADS = 40  # Gradio's own number, for a page with one engine
POSES: dict[str, Any] = {name: BESIDE[name] for name in ("concurrency_limit", "concurrency_id")}


@dataclass(frozen=True)
class InputComponents:
    """The components that a run reads, by section of the page."""

    source: parts.CharacterSection
    described: parts.DescriptionSection
    motion: parts.MotionSection
    settings: parts.Controls

    @property
    def all(self) -> list[gr.components.Component]:
        """In the order of the handlers' parameters."""
        seen = [self.source.picture, self.source.joints, self.described.prompt]
        return [*seen, *self.motion.chosen, *self.settings.values()]


def create_demo(engine: Engine, shared_clips: SharedClips | None = None) -> PageBlocks:
    """The page for an engine; see `serve` for how to launch it.

    Args:
        shared_clips: None for those in `shared_folder`.

    Raises:
        OutputError, SettingsError: the folder of shared clips or an environment variable can't be used.
    """
    gr.set_static_paths([str(PRESETS_FOLDER), str(EXAMPLES), str(CLIPS)])
    handlers = Handlers(engine)
    diffusion = {"concurrency_limit": engine.places, "concurrency_id": "diffusion"}
    previews = PreviewHandlers(engine, handlers.inputs)
    with PageBlocks(
        title=texts.TITLE,
        analytics_enabled=False,
        fill_width=True,
    ) as demo:
        gr.Markdown(texts.INTRO, elem_id="intro")
        restored = gr.HTML(elem_id="restored")
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=9, min_width=320, elem_id="inputs"):
                source = parts.add_character()
                motion, found = parts.add_motion()
                quality, length = parts.add_quality()
                run = parts.add_run()
            with (
                gr.Column(scale=11, min_width=320, elem_id="stage"),
                gr.Tabs(elem_id="views") as tabs,
            ):
                with gr.Tab(texts.CLIP, id=CLIP_TAB):
                    ready, clip, contact_sheet = parts.add_clip()
                    files = parts.add_downloads()
                    shares = parts.add_sharing()
                    notes = gr.HTML(elem_id="notes")
                with gr.Tab(texts.DRAFT_TAB, id=DRAFT_TAB):
                    fit = parts.add_alignment(*found)
                    drafts = parts.add_sharing(texts.SHARE_DRAFT, texts.SHARE_DRAFT_HELP, "draft-")
                with gr.Tab(texts.FRAMES_TAB, id="frames") as frames_tab:
                    frames = player("frames", texts.SIDE_BY_SIDE)
                with gr.Tab(texts.COMPARE, id="compare"):
                    comparing = parts.add_comparison()
        with gr.Sidebar(texts.EXPERT, open=False, position="right", width=440, elem_id="expert"):
            gr.Markdown(texts.EXPERT_HEADING)
            described = parts.add_description()
            settings = parts.add_settings(previews, quality, length, engine.image_prompts)
            gr.Markdown(texts.FIGURES_HEADING)
            figures, review = gr.HTML(elem_id="report"), gr.HTML(elem_id="review")
        with gr.Accordion(texts.RESTORE, open=False, elem_id="restore"):
            bundle = gr.File(label=texts.BUNDLE, file_types=[".zip"], height=110, elem_id="bundle")
        add_about()
        parts.connect_examples(source, described)
        result = parts.StageSection(
            tabs,
            ready,
            clip,
            contact_sheet,
            frames,
            notes,
            files,
            figures,
            review,
        )
        inputs = InputComponents(source, described, motion, settings)
        parts.connect_fixes(fit, settings, motion)
        # an event's handlers follow one another: the quick one comes first
        _show_ready_made(handlers, inputs, run, result)
        _preview(demo, previews, inputs, fit, run.forecast)
        timer = _wait(handlers, run.bar)
        _run(handlers, previews, inputs, run, result, timer, diffusion)
        # what was sent while the tab had not been opened is lost
        frames_tab.select(handlers.frame_by_frame, None, frames, **BESIDE)
        _compare(ComparisonHandlers(handlers), inputs, run, comparing, timer, diffusion)
        back = [restored, source.example, source.picture, source.joints, described.prompt]
        back += [*motion.chosen, *result.restored, *settings.values()]
        bundle.upload(handlers.restore, bundle, back, **BESIDE)
        _share(
            demo,
            SharingHandlers(handlers, previews, shared_clips or SharedClips(shared_folder())),
            shares,
            drafts,
            inputs,
            back,
        )
        demo.unload(handlers.leave)
        demo.on_forgotten = handlers.forget_session
        _answer_programs(Api(handlers), diffusion)
    demo.engine, demo.counts = engine, handlers.queue.counts
    demo.queue(max_size=IN_LINE * engine.places, default_concurrency_limit=1, api_open=False)
    return demo


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
    return demo.launch(
        theme=theme(),
        css=style(),
        head=f"<style>{style()}</style>",  # the same before the page is built: nothing moves when it is
        js=SCRIPT.read_text(encoding="utf-8"),
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
            **app_arguments(demo, TemporaryFiles(demo, Path(get_upload_folder()))),
            "routes": list_routes(demo.engine, demo.counts.registry if metrics else None),
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


def _preview(
    demo: gr.Blocks,
    previews: PreviewHandlers,
    inputs: InputComponents,
    fit: parts.AlignmentSection,
    forecast: gr.HTML,
) -> None:
    """Joints, alignment and forecast follow their inputs, in a queue of their own."""
    common: dict[str, Any] = {**BESIDE, "trigger_mode": "always_last"}
    source, described = inputs.source, inputs.described
    named = inputs.settings["character_words"]
    picture, joints = source.picture, source.joints
    placed = [picture.change, joints.change]
    seen: list[Any] = [joints, source.message]
    # what was sent while the editor had not been opened is lost
    looks = [demo.load, source.fix.expand, *placed]
    gr.on(looks, previews.look, [picture, joints], seen, **common)
    gr.on(
        [demo.load, *placed, described.prompt.change],
        previews.suggestion,
        [picture, joints, described.prompt],
        described.suggestion,
        **common,
    )
    marked: list[Any] = [described.prompt, named]
    gr.on(
        [demo.load, *(each.change for each in marked)],
        previews.words,
        marked,
        described.words,
        **QUIET,
    )
    described.words.input(previews.named, [described.words, described.prompt], named, **CHOSEN)
    aligned_by = [inputs.settings[name] for name in ALIGNMENT_SETTINGS]
    motion: list[Any] = inputs.motion.chosen
    reads = [fit.view, *motion, *aligned_by]
    fitting = gr.on(
        [demo.load, *placed, *(each.change for each in reads)],
        previews.fit,
        [fit.view, picture, joints, *motion, *aligned_by],
        fit.outputs,
        **common,
    )
    fit.download.click(
        previews.download,
        [picture, joints, *motion, *aligned_by],
        [fit.download, fit.outputs[-1]],
        **BESIDE,
    ).then(lambda: gr.Button(texts.DRAFT_DOWNLOAD, interactive=True), None, fit.download, **QUIET)
    moved = [demo.load, *(each.change for each in motion)]
    gr.on(moved, previews.timeline, motion, inputs.motion.timeline, **common)
    others = [each for name, each in inputs.settings.items() if name not in ALIGNMENT_SETTINGS]
    forecasts: list[Any] = [previews.forecast, inputs.all, forecast]
    fitting.then(*forecasts, **BESIDE)
    changes = [described.prompt.change, *(each.change for each in others)]
    gr.on(changes, *forecasts, **common)


def _show_ready_made(
    handlers: Handlers,
    inputs: InputComponents,
    run: parts.RunSection,
    result: parts.StageSection,
) -> None:
    """Who chooses another pair sees its ready-made clip, or else its draft."""
    source, motion = inputs.source, list[Any](inputs.motion.chosen[:3])
    chosen: list[Any] = [source.example.input, source.picture.upload]  # by hand alone
    chosen += [motion[0].input, motion[1].input, motion[2].upload]
    gr.on(chosen, handlers.chosen, [source.example, *motion[:2]], result.outputs(run), **CHOSEN)


def _run(
    handlers: Handlers,
    previews: PreviewHandlers,
    inputs: InputComponents,
    buttons: parts.RunSection,
    result: parts.StageSection,
    timer: gr.Timer,
    diffusion: dict[str, Any],
) -> None:
    outputs = result.outputs(buttons)
    aside: dict[str, Any] = {"outputs": outputs, **QUIET}
    buttons.generate.click(handlers.begin, None, **aside)
    buttons.generate.click(*_start(timer), **QUIET)
    run = buttons.generate.click(
        handlers.animate,
        inputs.all,
        outputs,
        show_progress="minimal",
        show_progress_on=buttons.bar,
        api_name="generate",
        api_visibility="private",
        **diffusion,
    )
    run.failure(handlers.failed, None, **aside)
    run.then(handlers.pack, None, result.packed, **BESIDE)
    run.then(previews.forecast, inputs.all, buttons.forecast, **BESIDE)
    buttons.stop.click(handlers.stop, None, **aside)


def _wait(handlers: Handlers, bar: gr.HTML) -> gr.Timer:
    """While a run waits and the timer is on, the bar says how long that may take."""
    timer = gr.Timer(WAITING_S, active=False)
    timer.tick(handlers.waiting, None, [bar, timer], **QUIET)
    return timer


def _start(timer: gr.Timer) -> tuple[Any, None, gr.Timer]:
    """An event that starts the timer. A click's events follow one another: it comes after the run has joined the line,
    and before the run, which would hold it back until its end.
    """
    return lambda: gr.Timer(active=True), None, timer


def _compare(
    comparison: ComparisonHandlers,
    inputs: InputComponents,
    run: parts.RunSection,
    comparing: parts.ComparisonSection,
    timer: gr.Timer,
    diffusion: dict[str, Any],
) -> None:
    # as COMPARISON_OUTPUTS
    outputs = [run.bar, comparing.grid, run.generate, comparing.compare, run.stop]
    comparing.compare.click(comparison.begin, None, outputs, **QUIET)
    comparing.compare.click(*_start(timer), **QUIET)
    compared = comparing.compare.click(
        comparison.compare,
        [*comparing.choice, *inputs.all],
        outputs,
        show_progress="hidden",
        api_visibility="private",
        **diffusion,
    )
    compared.failure(comparison.failed, None, outputs, **QUIET)


def _answer_programs(api: Api, diffusion: dict[str, Any]) -> None:
    """The public endpoints share the queues of the page's own events, which are private."""
    gr.api(api.animate, **diffusion)
    gr.api(api.align, **POSES)
    gr.api(api.draft, **POSES)
    gr.api(api.motions)


def _share(
    demo: gr.Blocks,
    sharing: SharingHandlers,
    clip: parts.SharingSection,
    draft: parts.SharingSection,
    inputs: InputComponents,
    back: list[gr.components.Component],
) -> None:
    presses: list[Any] = [
        (clip.share, sharing.share, None, clip),
        (clip.unshare, sharing.unshare, clip.token, clip),
        (draft.share, sharing.share_draft, inputs.all, draft),
        (draft.unshare, sharing.unshare, draft.token, draft),
    ]
    for button, handler, reads, shown in presses:
        button.click(handler, reads, shown.outputs, **BESIDE).then(
            None, shown.id, shown.link, js=LINK, **QUIET
        )
    demo.load(sharing.opened, None, back, **BESIDE)
