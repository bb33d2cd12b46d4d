"""Workers of a cluster in Ray actors: which answer, which are busy, and which takes a job. All that uses Ray is here.

Notable:
- A worker that is lost comes back as soon as its machine, or another one, has room for it. Ray retries no job: a retry
  would send frames again.
- Each worker is asked from time to time whether it answers. While it has a job the question waits behind that, and
  fails with the worker; the stream alone might wait for ever (ray#39109).
- A stream that is merely dropped would go on to its end, so its job is cancelled; it then ends after its step.
- What a stream hands out is copied: the original lies in Ray's shared memory, which is small, and can't be written to.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from poseanimate.engines.address import ClusterAddress
from poseanimate.engines.dispatch import rank
from poseanimate.engines.worker import Answer, Identity, Worker
from poseanimate.errors import DeviceError, SettingsError, first_line

if TYPE_CHECKING:
    from poseanimate.animator import Animator

STORE_BYTES = (
    512_000_000  # shared memory for pictures on their way, of a cluster that is this machine alone
)
PREFIX = "poseray-"
SOCKETS = "/tmp"  # the path of a socket may have 107 letters, and TMPDIR is long in places
UNREAD = 8  # events that a worker may be ahead of who reads them
ANSWERS_S = 10.0  # the head of a cluster, at the latest
PAUSE_S = 1.0  # between two questions to a worker that doesn't answer
BEAT_S = 10.0  # between two questions to one that does
SILENT_S = 1.0  # until a stream looks whether its worker was lost

OnMessage = Callable[[str], None]


class LostWorker(Exception):
    """A worker ended in the middle of a job, or can't be reached any more."""


@dataclass(eq=False)
class Place:
    """A worker's place; another process takes it when the worker is lost.

    number: from 1. answer: None while it doesn't answer. trouble: why it isn't used, where that is known. losses: how
    often its worker was lost.
    """

    number: int
    actor: Any
    answer: Answer | None = None
    busy: bool = False
    trouble: str = ""
    losses: int = 0

    @property
    def label(self) -> tuple[str, str]:
        """Its machine, and its name there."""
        assert self.answer is not None
        return self.answer.machine, self.answer.name or str(self.number)


class Fleet:
    """The workers of a cluster; connecting starts none, see `start`.

    A process has one connection to Ray: one that it already has is used, and left open.

    Raises:
        SettingsError: Ray isn't installed, or this machine has fewer cores than workers are wanted.
        DeviceError: the cluster can't be joined, or has no GPU.
    """

    def __init__(self, address: ClusterAddress, on_message: OnMessage = lambda _: None) -> None:
        self._ray = ray = _import_ray()
        self.address, self._on_message = address, on_message
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._connected = not ray.is_initialized()
        self._places: list[Place] = []
        self._changed, self._closed = threading.Condition(), threading.Event()
        atexit.register(self.close)  # otherwise its processes and files would stay
        if self._connected:
            self._connect()
        resources = ray.cluster_resources()
        self.places = self._count(resources)
        cores = int(resources.get("CPU", 0))
        self._threads = None if address.device == "gpu" else max(cores // self.places, 1)

    def start(self, load: Callable[[], Animator], expected: Identity) -> None:
        """Starts the workers and doesn't wait for them; one that differs from what is expected is never used.

        Args:
            load: makes a worker's animator; it is sent to the workers.
        """
        self._load, self._expected = load, expected
        self._places = [Place(number, self._create()) for number in range(1, self.places + 1)]
        for place in self._places:
            threading.Thread(target=self._watch, args=(place,), daemon=True).start()

    @property
    def answering(self) -> int:
        """How many workers can be used, busy ones included."""
        return sum(place.answer is not None for place in self._places)

    @property
    def busy(self) -> int:
        """How many workers have a job."""
        return sum(place.busy for place in self._places)

    @property
    def trouble(self) -> str:
        """Why no worker will ever answer; empty while one does or may."""
        troubles = [place.trouble for place in self._places]
        return troubles[0] if troubles and all(troubles) and not self.answering else ""

    def take(self, picture: str, wait_s: float) -> Place | None:
        """The free worker that suits a picture best, once there is one; None if there is none for so long.

        Args:
            picture: see `dispatch.rank`.
        """
        with self._changed:
            self._changed.wait_for(self._free, wait_s)
            free = {place.label: place for place in self._free()}
            if not free:
                return None
            place = free[rank(picture, free)[0]]
            place.busy = True
            return place

    def suits(self, picture: str) -> Answer | None:
        """The worker that a picture's job would go to if all were free; None where none answers."""
        with self._changed:
            known = {place.label: place.answer for place in self._places if place.answer}
        return known[rank(picture, known)[0]] if known else None

    def stream(self, place: Place, *job: Any) -> Iterator[Any]:
        """What `Worker.run` yields on a place that was taken, which is free again afterwards.

        Raises:
            LostWorker: the place needs some time.
        """
        errors = self._ray.exceptions
        ended = False
        refs, losses = None, place.losses
        try:
            refs = place.actor.run.options(
                num_returns="streaming", _generator_backpressure_num_objects=UNREAD
            ).remote(*job)
            while True:
                while not self._ray.wait([refs], timeout=SILENT_S)[0]:
                    if place.losses > losses:
                        raise LostWorker
                ref = next(refs, None)
                if ref is None:
                    break
                yield deepcopy(self._ray.get(ref))
            ended = True
        except errors.RayTaskError:
            ended = True
            raise
        except errors.RayError as error:
            ended = True
            self._lose(place)
            raise LostWorker from error
        finally:
            if not ended and refs is not None:
                self._ray.cancel(refs)
            with self._changed:
                place.busy = False
                self._changed.notify_all()

    def close(self) -> None:
        """Ends the workers, and the cluster where it is this machine alone."""
        if self._closed.is_set():
            return
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        atexit.unregister(self.close)
        if self._ray.is_initialized():
            for place in self._places:
                self._ray.kill(place.actor)
            if self._connected:
                self._ray.shutdown()
        if self._folder is not None:
            self._folder.cleanup()

    def _connect(self) -> None:
        head = self.address.head
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        logging.getLogger("ray").setLevel(logging.ERROR)
        more: dict[str, Any] = {"address": head}
        if head is None:
            cores = len(os.sched_getaffinity(0))
            if self.address.device == "cpu" and (self.address.workers or 1) > cores:
                raise SettingsError(
                    f"{self.address.workers} workers are wanted, but there are {cores} CPU cores here.",
                    f"Give ray:cpu={cores} or less.",
                )
            # a secret of this cluster alone; otherwise Ray keeps one in the user's home
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            _remove_abandoned()
            self._folder = tempfile.TemporaryDirectory(
                prefix=f"{PREFIX}{os.getpid()}-", dir=SOCKETS, ignore_cleanup_errors=True
            )
            more = {
                "address": "local",
                "num_cpus": cores,
                "include_dashboard": False,
                "object_store_memory": STORE_BYTES,
                "_temp_dir": self._folder.name,
            }
        try:
            if head is not None and head != "auto":  # Ray would ask in vain for minutes
                host, _, port = head.rpartition(":")
                socket.create_connection((host.strip("[]"), int(port)), ANSWERS_S).close()
            with _keep_termination():
                self._ray.init(**more, log_to_driver=False, configure_logging=False)
        except (OSError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
            self.close()
            raise DeviceError(
                f"The cluster {head or 'of this machine'} can't be joined ({first_line(error):.200}).",
                "Its head must run, with the same versions of Ray and Python and the same token, and this machine be "
                "one of its nodes (ray start --address=HOST:6379 --num-cpus=0 --num-gpus=0).",
            ) from error

    def _count(self, resources: dict[str, float]) -> int:
        if self.address.workers is not None:
            return self.address.workers
        gpus = int(resources.get("GPU", 0))
        if not gpus:
            self.close()
            raise DeviceError(
                "The cluster has no GPU.",
                "Add a machine that has one, or name workers on the CPU: --engines ray:cpu=2.",
            )
        return gpus

    def _create(self) -> Any:
        needs = {"num_gpus": 1} if self.address.device == "gpu" else {"num_cpus": 1}
        actor = self._ray.remote(
            **needs, max_restarts=-1, max_task_retries=0, scheduling_strategy="SPREAD"
        )(Worker)
        return actor.remote(self._load, self._threads)

    def _lose(self, place: Place) -> None:
        with self._changed:
            if place.answer is None:
                return
            place.answer = None
            place.losses += 1
            self._changed.notify_all()
        self._on_message(f"Engine {place.number} was lost.")

    def _watch(self, place: Place) -> None:
        """Asks a place's worker again and again, beside everything else."""
        while not self._closed.is_set():
            try:
                answer: Answer = self._ray.get(place.actor.answer.remote())
            except self._ray.exceptions.ActorDiedError as error:  # Ray doesn't start it again
                if not self._closed.is_set():
                    self._lose(place)
                    why = str(error).strip().splitlines()[-1]
                    self._complain(place, f"it can't start ({why:.200})")
                    place.actor = self._create()
            except self._ray.exceptions.RayError:
                if not self._closed.is_set():
                    self._lose(place)  # or it is still on its way
            else:
                self._take_answer(place, answer)
            self._rest(place)

    def _rest(self, place: Place) -> None:
        """Waits until it is time to ask again: sooner where the worker is lost meanwhile."""
        with self._changed:
            losses, seconds = place.losses, PAUSE_S if place.answer is None else BEAT_S
            self._changed.wait_for(lambda: self._closed.is_set() or place.losses > losses, seconds)

    def _take_answer(self, place: Place, answer: Answer) -> None:
        differs = answer.trouble or (
            self._expected.difference(answer.identity) if answer.identity else ""
        )
        if differs:
            self._complain(place, differs)
            return
        with self._changed:
            known, place.answer, place.trouble = place.answer, answer, ""
            self._changed.notify_all()
        if known is None:
            self._on_message(
                f"Engine {place.number} of {self.places} answers ({answer.device} on {answer.machine})."
            )

    def _complain(self, place: Place, why: str) -> None:
        trouble = f"Engine {place.number} is not used: {why}"
        if trouble != place.trouble:
            self._on_message(trouble)
        with self._changed:
            place.answer, place.trouble = None, trouble
            self._changed.notify_all()

    def _free(self) -> list[Place]:
        return [place for place in self._places if place.answer is not None and not place.busy]


@contextmanager
def _keep_termination() -> Iterator[None]:
    """Keeps what SIGTERM does: Ray's own handler prints a trace and aborts within seconds. By default it exits."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may change it, and Ray doesn't in others
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, _exit if handler is signal.SIG_DFL else handler)


def _exit(number: int, _: Any) -> None:
    sys.exit(128 + number)


def _remove_abandoned() -> None:
    """Removes the folders of processes that were killed."""
    for folder in Path(SOCKETS).glob(f"{PREFIX}*"):
        process = folder.name.split("-")[1]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise SettingsError(
            "Engines elsewhere need the package ray.",
            "Install it: pip install 'poseanimate[cluster]', or pip install 'ray>=2.60,<3'.",
        ) from None
    return ray
