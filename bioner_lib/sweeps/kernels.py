"""A kernel manager that gives its kernel an environment of its own: threads, a GPU, where to report."""

import os
import signal
from contextlib import suppress
from threading import Event

from jupyter_client.manager import AsyncKernelManager
from traitlets import Dict

STOPPED = Event()  # nothing is to be started any more
_RUNNING: set[int] = set()  # process ids; each kernel leads a process group of its own


class Kernel(AsyncKernelManager):
    """A kernel in this process's environment and, on top of it, `environment`."""

    environment = Dict().tag(config=True)

    async def _async_pre_start_kernel(self, **options):
        if STOPPED.is_set():
            raise KeyboardInterrupt
        return await super()._async_pre_start_kernel(
            env={**os.environ, **self.environment}, **options
        )

    async def _async_post_start_kernel(self, **options):
        await super()._async_post_start_kernel(**options)
        self._pid = self.provisioner.pid
        _RUNNING.add(self._pid)
        if STOPPED.is_set():  # since it was asked for
            stop_all()

    async def _async_cleanup_resources(self, restart: bool = False):
        await super()._async_cleanup_resources(restart)
        if pid := getattr(self, "_pid", 0):
            _kill(pid)  # a kernel that died leaves the processes that it started
            _RUNNING.discard(pid)

    cleanup_resources = _async_cleanup_resources  # what nbclient calls where a kernel died


def stop_all() -> None:
    """Kill the kernels of this process, those too that are being started."""
    STOPPED.set()
    for pid in list(_RUNNING):
        _kill(pid)


def _kill(pid: int) -> None:
    """A kernel and all processes of its group: those of a run in several processes are among them."""
    with suppress(ProcessLookupError, PermissionError):  # it is gone, or only its zombie is left
        if os.name == "nt":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)
