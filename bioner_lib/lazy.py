"""Names of a package that are loaded when they are first used.

A notebook that only reads rows must not wait two seconds for torch.
"""

from collections.abc import Callable, Mapping
from importlib import import_module


def lazy(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """A package's `__getattr__`, `__dir__` and `__all__`.

    `modules` maps a module of the package to the names that it gives, separated by blanks.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}
    names = sorted(homes)

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {names}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get, lambda: names, names
