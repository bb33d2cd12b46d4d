"""Several iterators at once, each in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")


def iterate_together(jobs: Sequence[Iterator[Item]], at_once: int) -> Iterator[Item]:
    """The items of all jobs as they come, so many jobs at once; a single one at a time stays in this thread.

    After an error, or when it is closed, no job goes on beyond its next item.
    """
    if at_once == 1:
        for job in jobs:
            yield from job
        return
    stopped = threading.Event()
    # a finished job's future comes as its last item
    items: SimpleQueue[tuple[Item] | Future[None]] = SimpleQueue()

    def work(job: Iterator[Item]) -> None:
        for item in job:
            items.put((item,))
            if stopped.is_set():
                return

    with ThreadPoolExecutor(at_once) as pool:
        try:
            for job in jobs:
                pool.submit(work, job).add_done_callback(items.put)
            left = len(jobs)
            while left:
                item = items.get()
                if isinstance(item, Future):
                    item.result()
                    left -= 1
                else:
                    yield item[0]
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
