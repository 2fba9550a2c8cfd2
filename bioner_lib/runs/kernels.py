"""A kernel manager that gives its kernel an environment of its own: threads, a GPU, where to report."""

import os

from jupyter_client.manager import AsyncKernelManager
from traitlets import Dict


class Kernel(AsyncKernelManager):
    """A kernel in this process's environment and, on top of it, `environment`."""

    environment = Dict().tag(config=True)

    async def _async_pre_start_kernel(self, **options):
        return await super()._async_pre_start_kernel(env={**os.environ, **self.environment}, **options)
