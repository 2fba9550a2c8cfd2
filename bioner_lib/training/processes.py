"""One run in several processes (torchrun, accelerate launch, notebook_launcher): who this process is, and what the first tells the others.

The first process owns the run: its lock, its folder, its row. The others take part in the training and wait.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import torch

_PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal that a process gets when its parent dies
_PATIENCE = timedelta(days=2)  # the first may wait for a lock, and scores alone


def count() -> int:
    """How many processes make this run together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ.get("RANK", "0"))


def launch(function: Callable, argument: object, n: int) -> None:
    """Call a function in n processes that this notebook forks (library: accelerate), over a port that is free.

    They die with this process, however it ends: none is left that holds a run's lock.
    """
    from accelerate import notebook_launcher

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    notebook_launcher(function, (argument,), num_processes=n, use_port=str(port))


def _die_with_parent() -> None:
    """End this process when its parent is gone: a rank alone would wait for ever, and hold the run's lock."""
    parent = os.getppid()
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it went before the kernel was told
            os._exit(1)
    elif os.name != "nt":
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def join() -> None:
    """Meet the others (library: accelerate); nothing to do for one process."""
    if count() > 1:
        _die_with_parent()
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
