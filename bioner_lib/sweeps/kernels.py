"""A kernel manager whose kernel has an environment of its own: threads, a GPU, where to report."""

import os
import signal
from contextlib import suppress
from threading import Event

from jupyter_client.manager import AsyncKernelManager
from traitlets import Dict

STOPPED = Event()  # set when no further kernel may start
_RUNNING: set[int] = set()  # process ids; each kernel leads a process group of its own


class Kernel(AsyncKernelManager):
    """A kernel in this process's environment, extended by `environment`."""

    environment = Dict().tag(config=True)

    async def _async_pre_start_kernel(self, **options):
        if STOPPED.is_set():
            raise KeyboardInterrupt
        env = {**os.environ, **self.environment}
        return await super()._async_pre_start_kernel(env=env, **options)

    async def _async_post_start_kernel(self, **options):
        await super()._async_post_start_kernel(**options)
        self._pid = self.provisioner.pid
        _RUNNING.add(self._pid)
        if STOPPED.is_set():  # set while the kernel started
            stop_all()

    async def _async_cleanup_resources(self, restart: bool = False):
        await super()._async_cleanup_resources(restart)
        if pid := getattr(self, "_pid", 0):
            _kill(pid)  # a kernel that died leaves the processes that it started
            _RUNNING.discard(pid)

    cleanup_resources = _async_cleanup_resources  # nbclient calls this one where a kernel died


def stop_all() -> None:
    """Kill all kernels of this process, also those that are being started."""
    STOPPED.set()
    for pid in list(_RUNNING):
        _kill(pid)


def _kill(pid: int) -> None:
    """Kill a kernel and its process group, to which the processes of a run belong."""
    with suppress(ProcessLookupError, PermissionError):  # it is gone, or only a zombie is left
        if os.name == "nt":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)
