"""One run in several processes (torchrun, accelerate launch, notebook_launcher).

The first process owns the run: its lock, its folder, its row. The others train with it and wait.
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
_PATIENCE = timedelta(days=2)  # the first process may wait for a lock, and scores alone


def count() -> int:
    """How many processes make this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def launch(function: Callable, argument: object, n: int) -> None:
    """Call a function in n processes that this notebook forks (library: accelerate).

    They die with this process, however it ends, so that none keeps the lock of a run.
    """
    from accelerate import notebook_launcher

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    notebook_launcher(function, (argument,), num_processes=n, use_port=str(port))


def _die_with_parent() -> None:
    """End this process when its parent ends: alone it would wait for ever and keep the lock."""
    parent = os.getppid()
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before the kernel was told
            os._exit(1)
    elif os.name != "nt":
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def join() -> None:
    """Connect to the other processes (library: accelerate)."""
    if count() > 1:
        _die_with_parent()
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available(), timeout=_PATIENCE)


def leave() -> None:
    """Disconnect, all at once: a process that ends while connected may crash another one.

    A process among several ends here, with exit status 0. While Python shuts down, threads of the
    connection have aborted it on a busy machine, after all its work was done.
    """
    if count() > 1 and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def tell(message: object = None) -> object:
    """The first process's `message`, in every process."""
    if count() == 1:
        return message
    messages = [message]
    torch.distributed.broadcast_object_list(messages, src=0)
    return messages[0]


def gather(part: list) -> list:
    """The whole list, of which each process holds its share [rank::count]."""
    if count() == 1:
        return part
    parts: list = [None] * count()
    torch.distributed.all_gather_object(parts, part)
    whole = [None] * sum(map(len, parts))
    for i, share in enumerate(parts):
        whole[i :: count()] = share
    return whole
