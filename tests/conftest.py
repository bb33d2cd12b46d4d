"""The environment of every test, set before torch, gradio and the hub's client are imported."""

import os
import signal

from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("OMP_NUM_THREADS", "2")  # the same order of sums on every machine

# a shell's background job ignores interrupts, and the servers that it starts would, too
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
