"""A kernel manager that gives its kernel an environment of its own: threads, a GPU, where to report."""

import os
import signal
from threading import Event

from jupyter_client.manager import AsyncKernelManager
from traitlets import Dict

STOPPED = Event()  # nothing is to be started any more
_RUNNING: set[int] = set()  # process ids


class Kernel(AsyncKernelManager):
    """A kernel in this process's environment and, on top of it, `environment`."""

    environment = Dict().tag(config=True)

    async def _async_pre_start_kernel(self, **options):
        if STOPPED.is_set():
            raise KeyboardInterrupt
        return await super()._async_pre_start_kernel(env={**os.environ, **self.environment}, **options)

    async def _async_post_start_kernel(self, **options):
        await super()._async_post_start_kernel(**options)
        self._pid = self.provisioner.pid
        _RUNNING.add(self._pid)
        if STOPPED.is_set():  # since it was asked for
            stop_all()

    async def _async_cleanup_resources(self, restart: bool = False):
        await super()._async_cleanup_resources(restart)
        _RUNNING.discard(getattr(self, "_pid", 0))


def stop_all() -> None:
    """Kill the kernels of this process and what they have started, those too that are being started."""
    STOPPED.set()
    for pid in list(_RUNNING):
        try:
            if os.name == "nt":
                os.kill(pid, signal.SIGTERM)
            else:
                os.killpg(pid, signal.SIGKILL)  # a kernel leads a group of its own
        except ProcessLookupError:
            _RUNNING.discard(pid)
