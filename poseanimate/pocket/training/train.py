"""Trains the pocket family: `python -m poseanimate.pocket.training.train {vae,decoder,diffusion,perception}`.

Decoder and diffusion need the autoencoder's weights; a new autoencoder makes those of diffusion useless, a decoder
that is trained on does not. Rendered sets, checkpoints and
finished weights lie under --runs; `export` puts finished weights into the package as fp16 safetensors, and `adopt`
takes them out of it, so that training goes on from what is shipped.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path
from socket import socket

import diffusers
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from poseanimate.pocket.training.export import adopt, export
from poseanimate.pocket.training.tasks import TASKS
from poseanimate.pocket.training.trainer import TrainingPlan, train

DEFAULTS = {  # batch per process, learning rate
    "vae": (8, 2e-3),
    "decoder": (8, 1e-3),
    "diffusion": (12, 1e-3),
    "perception": (8, 1e-3),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m poseanimate.pocket.training.train", description=__doc__
    )
    parser.add_argument("part", choices=[*TASKS, "export", "adopt"])
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="training time, over all resumptions"
    )
    parser.add_argument("--pictures", type=int, default=24_000, help="rendered training pictures")
    parser.add_argument("--batch", type=int, help="samples per process and step")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, help="processes; on a CPU one per core")
    parser.add_argument("--no-bf16", action="store_true", help="float32 throughout")
    parser.add_argument(
        "--compile", action="store_true", help="5 to 7 minutes, then up to a third faster"
    )
    args = parser.parse_args()
    if args.part in ("export", "adopt"):
        try:
            (export if args.part == "export" else adopt)(args.runs)
        except FileExistsError as error:
            parser.error(str(error))
        return
    batch, rate = DEFAULTS[args.part]
    workers = args.workers or (1 if args.device == "cuda" else os.cpu_count() or 1)
    plan = TrainingPlan(
        minutes=args.minutes,
        batch=args.batch or batch,
        learning_rate=args.learning_rate or rate,
        runs=args.runs,
        workers=workers,
        device=args.device,
        bf16=not args.no_bf16 and computes_bf16(args.device),
        compiled=args.compile,
    )
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    with socket() as probe:  # a free port, so that two trainings don't clash
        probe.bind(("127.0.0.1", 0))
        os.environ.setdefault("MASTER_PORT", str(probe.getsockname()[1]))
    TASKS[args.part].prepare(args.runs, args.pictures, os.cpu_count() or 1)
    mp.spawn(_process, (args.part, plan, args.pictures), nprocs=workers)


def computes_bf16(device: str) -> bool:
    """Whether a device computes in bfloat16; a CPU that only emulates it is ten times slower with it."""
    told = getattr(torch.cpu, "get_capabilities", None)  # absent from older releases
    return device == "cuda" or bool(told and told().get("avx512_bf16"))


def _process(rank: int, part: str, plan: TrainingPlan, pictures: int) -> None:
    warnings.filterwarnings("ignore", category=FutureWarning)
    diffusers.utils.logging.set_verbosity_error()  # it warns of missing accelerate each time
    torch.manual_seed(0)
    if plan.device == "cpu":
        torch.set_num_threads(1)
    if plan.workers > 1:
        dist.init_process_group("gloo", rank=rank, world_size=plan.workers)
    task = TASKS[part](plan.runs, pictures, plan.device)
    summary = train(task, plan, rank)
    if rank == 0:
        with torch.no_grad():
            summary |= {"pictures": pictures, **task.finish(plan.runs)}
        (plan.runs / part / "summary.json").write_text(json.dumps(summary, indent=1))
        print(json.dumps(summary), flush=True)
    if plan.workers > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
