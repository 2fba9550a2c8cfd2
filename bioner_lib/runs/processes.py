"""One run in several processes (torchrun, accelerate launch, notebook_launcher): who this process is, and what the first tells the others.

The first process owns the run: its lock, its folder, its row. The others take part in the training and wait.
"""

import os
from datetime import timedelta

import torch

_PATIENCE = timedelta(days=2)  # the first may wait for a lock, and scores alone


def count() -> int:
    """How many processes make this run together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ.get("RANK", "0"))


def join() -> None:
    """Meet the others (library: accelerate); nothing to do for one process."""
    if count() > 1:
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available(), timeout=_PATIENCE)


def leave() -> None:
    """Leave the others, all at once: a process that ends with its connections open may take another down."""
    if count() > 1 and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def tell(what: object = None) -> object:
    """The first process's `what`, in every process."""
    if count() == 1:
        return what
    held = [what]
    torch.distributed.broadcast_object_list(held, src=0)
    return held[0]


def gather(part: list) -> list:
    """Lists of every process's share [rank::count] -> the whole, in order."""
    if count() == 1:
        return part
    parts: list = [None] * count()
    torch.distributed.all_gather_object(parts, part)
    whole = [None] * sum(map(len, parts))
    for i, held in enumerate(parts):
        whole[i :: count()] = held
    return whole
