"""Extensions are modules: a package's own files are what it offers, and the file's name is its name in config.yaml."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


class NoSuchExtension(LookupError):
    """A name that no module of the package has; the message names what there is."""


def offered(package: ModuleType) -> tuple[str, ...]:
    """Names of the public modules in `package`, sorted."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")))


def load(package: ModuleType, name: str) -> ModuleType:
    """The module `name` of `package`. Raises NoSuchExtension, naming what there is, when there is no such module."""
    names = offered(package)
    if name not in names:
        raise NoSuchExtension(f"{package.__name__} has no '{name}'; there is: {', '.join(names)}")
    return importlib.import_module(f"{package.__name__}.{name}")
