"""The command `evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from poseanimate.cli.inputs import load_animator, read_settings
from poseanimate.cli.reports import Report, show_all
from poseanimate.errors import SettingsError
from poseanimate.evaluation.metrics.networks import Networks
from poseanimate.evaluation.plan import plan
from poseanimate.evaluation.protocols.samples import write_samples
from poseanimate.events import Stage
from poseanimate.models.files import find_files


def run(options: argparse.Namespace, report: Report) -> None:
    """See `commands.evaluate`."""
    options.models = options.models or "pocket"  # with a GPU too: its world has the truth
    files = find_files(options.models, vae=options.vae, weights=False)
    evaluation = plan(
        "pocket" if options.protocol == "samples" else options.protocol,
        read_settings(options),
        split=options.split,
        characters=options.characters,
        first=options.first,
        motions=options.motions,
        captions=options.captions,
        data=options.data,
        rows=options.rows,
        sweep=options.sweep,
        networks=_load_networks(options),
        image_prompts=files.ip_adapter is not None,
        family=files.family,
    )
    if options.protocol == "samples":
        if options.captions != "full":
            raise SettingsError(
                "Samples are made from full captions.", "Leave --captions out, or measure pocket."
            )
        if options.engines:
            raise SettingsError("Samples are made in this process.", "Leave --engines out.")
        models = load_animator(options).models
        drawn = write_samples(
            models, options.split, options.first, options.characters, options.output
        )
        table = show_all(drawn, report)
        report.result({"report": str(options.output / "samples.md")}, table)
        return
    options.cache = options.cache or options.output / "cache"
    report.show(Stage("models", 1))
    animator = load_animator(options)
    models = animator.models
    identity = " ".join((animator.identity, models.detector.identity, models.segmenter.identity))
    store = evaluation.open_store(options.output, options.models, identity)
    report.show(Stage("evaluation", evaluation.clips))
    for event in evaluation.run(animator, store):
        report.show(event)
    page, table = evaluation.write_report(store)
    report.result({"report": str(page)}, f"{table}\n\n{page}")


def _load_networks(options: argparse.Namespace) -> Networks:
    if not options.networks:
        return Networks()
    folder = None if options.networks == "hub" else Path(options.networks)
    if folder is not None and not folder.is_dir():
        raise SettingsError(
            f"There is no folder of networks {options.networks!r}.", "Name one, or 'hub'."
        )
    from poseanimate.evaluation.metrics.loaders import load_networks

    return load_networks(folder, options.device)
