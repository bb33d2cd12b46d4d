"""The page: its sections together. What a section shows, reads and does is in its own file."""

from __future__ import annotations

import gradio as gr

from poseanimate.engines.engine import Engine
from poseanimate.poses.motion import PRESETS_FOLDER
from poseanimate.storage.own_clips import OwnClips
from poseanimate.storage.shared_clips import SharedClips
from poseanimate.ui import texts
from poseanimate.ui.api import Api
from poseanimate.ui.event_options import BESIDE, POSES, QUIET
from poseanimate.ui.sections.about import add_about
from poseanimate.ui.sections.character import CharacterHandlers, add_character, connect_character
from poseanimate.ui.sections.comparison import (
    ComparisonHandlers,
    add_comparison,
    connect_comparison,
)
from poseanimate.ui.sections.description import (
    DescriptionHandlers,
    add_description,
    connect_description,
    connect_examples,
)
from poseanimate.ui.sections.draft import DraftHandlers, add_alignment, connect_draft, connect_fixes
from poseanimate.ui.sections.header import add_header
from poseanimate.ui.sections.inputs import InputComponents
from poseanimate.ui.sections.motion import MotionHandlers, add_motion, connect_motion
from poseanimate.ui.sections.opening import OpeningHandlers, add_opening, restore_outputs
from poseanimate.ui.sections.run import (
    CLIP_TAB,
    COMPARE_TAB,
    DRAFT_TAB,
    Handlers,
    add_run,
    add_timer,
    connect_forecast,
    connect_run,
)
from poseanimate.ui.sections.settings import Presets, add_quality, add_settings
from poseanimate.ui.sections.sharing import (
    SharingHandlers,
    add_sharing,
    connect_sharing,
    shared_folder,
)
from poseanimate.ui.sections.stage import (
    StageHandlers,
    StageSection,
    add_before_after,
    add_clip,
    add_downloads,
    add_frames,
    connect_stage,
)
from poseanimate.ui.sections.your_clips import YourClipsHandlers, add_your_clips, connect_your_clips
from poseanimate.ui.server.page_blocks import PageBlocks
from poseanimate.ui.theme import CLIPS, EXAMPLES

IN_LINE = 40  # runs and previews together, per engine; opening a page queues five previews


def create_demo(
    engine: Engine, shared_clips: SharedClips | None = None, own_clips: OwnClips | None = None
) -> PageBlocks:
    """The page for an engine; see `serve` for how to launch it.

    Args:
        shared_clips: None for those in `shared_folder`. own_clips: None for those in the cache's folder.

    Raises:
        OutputError, SettingsError: the folder of shared clips or an environment variable can't be used.
    """
    gr.set_static_paths([str(PRESETS_FOLDER), str(EXAMPLES), str(CLIPS)])
    handlers = Handlers(engine, own_clips=own_clips)
    reading = engine, handlers.inputs
    stage, opening, drafting = (
        StageHandlers(handlers),
        OpeningHandlers(handlers),
        DraftHandlers(*reading),
    )
    diffusion = {"concurrency_limit": engine.places, "concurrency_id": "diffusion"}
    with PageBlocks(
        title=texts.TITLE,
        analytics_enabled=False,
        fill_width=True,
    ) as demo:
        add_header()
        restored = gr.HTML(elem_id="restored")
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=9, min_width=320, elem_id="inputs"):
                source = add_character()
                motion, found = add_motion()
                settings_of = Presets(engine.family)
                part = add_quality(settings_of)
                run = add_run()
            with gr.Column(scale=11, min_width=320, elem_id="stage"):
                with gr.Tabs(elem_id="views") as tabs:
                    with gr.Tab(texts.CLIP, id=CLIP_TAB):
                        ready, clip, contact_sheet, own = add_clip()
                        with gr.Row(elem_id="keeping"):
                            with gr.Column(min_width=200):
                                files = add_downloads()
                            with gr.Column(min_width=200):
                                shares = add_sharing()
                        notes = gr.HTML(elem_id="notes")
                    with gr.Tab(texts.DRAFT_TAB, id=DRAFT_TAB):
                        fit = add_alignment(*found)
                        drafts = add_sharing(texts.SHARE_DRAFT, texts.SHARE_DRAFT_HELP, "draft-")
                    with gr.Tab(texts.BEFORE_AFTER, id="before-after") as before_tab:
                        before_after = add_before_after()
                    with gr.Tab(texts.FRAMES_TAB, id="frames") as frames_tab:
                        frames = add_frames()
                        verdict = gr.HTML(elem_id="verdict")
                    with gr.Tab(texts.COMPARE, id=COMPARE_TAB) as compare_tab:
                        comparing = add_comparison(compare_tab)
                yours = add_your_clips()
        with gr.Sidebar(texts.EXPERT, open=False, position="right", width=440, elem_id="expert"):
            gr.Markdown(texts.EXPERT_HEADING)
            described = add_description()
            settings = add_settings(part, settings_of, engine.image_prompts)
            gr.Markdown(texts.FIGURES_HEADING)
            figures, review = gr.HTML(elem_id="report"), gr.HTML(elem_id="review")
        bundle = add_opening()
        add_about()
        result = StageSection(
            tabs,
            ready,
            clip,
            contact_sheet,
            own,
            before_after,
            frames,
            notes,
            verdict,
            files,
            figures,
            review,
            comparing,
        )
        inputs = InputComponents(source, described, motion, settings)
        outputs = result.outputs(run)
        connect_examples(source, described)
        connect_fixes(fit, settings, motion)
        # an event's handlers follow one another: the quick one comes first
        connect_stage(stage, inputs, run, result, before_tab, frames_tab)
        presets = motion.chosen[:2]
        connect_character(demo, CharacterHandlers(*reading), source, described.prompt, presets)
        naming = settings["character_words"]
        connect_description(demo, DescriptionHandlers(*reading), source, described, naming)
        fitted = connect_draft(demo, drafting, inputs, fit)
        connect_motion(demo, MotionHandlers(*reading), motion)
        timer = add_timer(handlers, run.bar)
        ran = connect_run(handlers, inputs, run, outputs, yours.key, timer, diffusion)
        packed = ran.then(stage.pack, None, result.packed, **BESIDE)
        connect_forecast(handlers, inputs, run.forecast, [fitted, ran])
        comparison = ComparisonHandlers(handlers)
        compared = connect_comparison(
            comparison, inputs, comparing, outputs, yours.key, timer, diffusion
        )
        back = restore_outputs(inputs, restored, result.restored(run))
        restoring = bundle.upload(opening.restore, bundle, back, **BESIDE)
        kept = shared_clips or SharedClips(shared_folder())
        sharing = SharingHandlers(stage, drafting, opening, kept)
        opened = connect_sharing(demo, sharing, shares, drafts, inputs, back)
        for event in (restoring, opened):
            event.then(stage.pack, None, result.packed, **BESIDE)
        owning = YourClipsHandlers(handlers, comparison, opening)
        reopened = connect_your_clips(
            demo, owning, stage, yours, result, run, back, [packed, compared]
        )
        for event in (ran, restoring, reopened):
            event.then(sharing.another, shares.token, shares.outputs, **QUIET)
        # what was said of an opened clip is over
        gr.on([run.generate.click, *source.chosen], lambda: "", None, restored, **QUIET)
        demo.unload(handlers.leave)
        demo.on_forgotten = handlers.forget_session
        # the public endpoints share the queues of the page's own events, which are private
        api = Api(handlers)
        gr.api(api.animate, **diffusion)
        gr.api(api.align, **POSES)
        gr.api(api.draft, **POSES)
        gr.api(api.motions)
    demo.engine, demo.counts, demo.shared_clips = engine, handlers.queue.counts, kept
    demo.queue(max_size=IN_LINE * engine.places, default_concurrency_limit=1, api_open=False)
    return demo
