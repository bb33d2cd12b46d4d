"""What `--engines` names: a cluster, and the engine that runs there."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from poseanimate.cli.arguments import chosen_models
from poseanimate.engines.address import ClusterAddress
from poseanimate.models.hub import OnMessage
from poseanimate.models.imports import fast_imports
from poseanimate.models.weight_files import make_absolute
from poseanimate.storage.stage_cache import StageCache

if TYPE_CHECKING:
    from poseanimate.engines.cluster import Cluster
    from poseanimate.engines.fleet import Fleet


def join_cluster(engines: str, on_message: OnMessage) -> Fleet | None:
    """Joins the cluster that `--engines` names, and starts no worker yet; None where it names none.

    Raises:
        SettingsError, DeviceError: see `ClusterAddress.parse` and `Fleet`.
    """
    if not engines:
        return None
    address = ClusterAddress.parse(engines)
    from poseanimate.engines.fleet import Fleet

    return Fleet(address, on_message)


def create_cluster(
    options: argparse.Namespace,
    name: str,
    cache: StageCache | None,
    fleet: Fleet,
    on_message: OnMessage,
) -> Cluster:
    """Loads what stays here, on the CPU, and starts the workers, which load what runs need.

    Args:
        options: with those of `arguments.add_models`. name: of the models.
        cache: of this machine; workers on others have their own.

    Raises:
        PoseAnimateError: models or size can't be used.
    """
    with fast_imports():
        from poseanimate.engines import worker
        from poseanimate.engines.cluster import Cluster
        from poseanimate.models.loading import load_models

    chosen = chosen_models(options)
    on_gpus = fleet.address.device == "gpu"
    # said outright: here it would follow from this machine
    chosen["precision"] = chosen["precision"] or ("half" if on_gpus else "full")
    max_side = getattr(options, "max_side", None)
    open_cache: Callable[[], StageCache | None]
    if cache is None:
        open_cache = worker.open_no_cache
    elif fleet.address.head is None:
        open_cache = partial(StageCache, cache.folder, cache.max_bytes)
    else:
        open_cache = worker.open_own_cache
    chosen["lora"] = make_absolute(chosen["lora"])
    load = partial(
        worker.load_animator,
        str(Path(name).absolute()) if Path(name).exists() else name,
        "cuda" if on_gpus else "cpu",
        open_cache,
        max_side,
        chosen,
    )
    models = load_models(name, "cpu", "cpu", **chosen, weights=False, on_message=on_message)
    return Cluster(models, cache, max_side, fleet, load)
