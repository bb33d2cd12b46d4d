"""Where the workers of a cluster are, as `--engines` names it; nothing here needs Ray."""

from __future__ import annotations

import re
from dataclasses import dataclass

from poseanimate.errors import SettingsError

PORT = 6379  # where the head of a Ray cluster listens
CLIENT_PORT = 10001  # where it listens for Ray Client, which streams no results
FORMS = "ray, ray:cpu=2, ray://HOST:6379, or HOST:6379"

_SHARE = re.compile(r":(cpu|gpu)=(\d{1,4})$")
_HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:]+\])(?::(\d{1,5}))?")


@dataclass(frozen=True)
class ClusterAddress:
    """A cluster and the workers wanted of it.

    head: HOST:PORT of a running cluster, or auto for the one that this machine belongs to; None for workers on this
        machine alone. device: "gpu" or "cpu". workers: how many; None for one per GPU.
    """

    head: str | None
    device: str = "gpu"
    workers: int | None = None

    @staticmethod
    def parse(text: str) -> ClusterAddress:
        """Reads `ray`, `ray://HOST[:PORT]`, `HOST:PORT` or `auto`, each also with `:cpu=N` or `:gpu=N` at its end.

        Raises:
            SettingsError: it is none of these.
        """
        device, workers, where = "gpu", None, text.strip()
        if share := _SHARE.search(where):
            device, workers, where = share[1], int(share[2]), where[: share.start()]
        if workers == 0:
            raise SettingsError(f"{text!r:.80} has no workers.", "Give 1 or more.")
        if where in ("ray", "auto"):
            return ClusterAddress(None if where == "ray" else where, device, workers)
        named = _HOST.fullmatch(where.removeprefix("ray://"))
        port = int(named[2] or PORT) if named else 0
        if named is None or not 0 < port < 1 << 16 or not (named[2] or where.startswith("ray://")):
            raise SettingsError(f"{text!r:.80} names no engines.", f"Write {FORMS}.")
        if port == CLIENT_PORT:
            raise SettingsError(
                f"{text!r:.80} is the port of Ray Client, which streams no results.",
                f"Join this machine to the cluster (ray start --address={named[1]}:{PORT} --num-cpus=0 "
                f"--num-gpus=0), and give {named[1]}:{PORT}.",
            )
        return ClusterAddress(f"{named[1]}:{port}", device, workers)
