"""Replacing functions of the pinned MiniStack, and noticing at once when one of them is not there any more."""

import inspect


class PatchError(Exception):
    """The installed MiniStack is not the one that these patches were written for."""


def replace(module, name, parameters, build):
    """Puts ``build(original)`` in the place of ``module.name``.

    ``parameters`` are the names of the original's parameters: a function that kept its name but not its meaning would
    otherwise be replaced by one that answers another question.
    """
    original = getattr(module, name, None)
    if not callable(original):
        raise PatchError(f"MiniStack has no function {module.__name__}.{name} any more")
    found = list(inspect.signature(original).parameters)
    if found != parameters:
        raise PatchError(
            f"the parameters of {module.__name__}.{name} are {found} and not {parameters} any more"
        )
    setattr(module, name, build(original))


def require(module, *names):
    """Asserts that what a patch calls exists."""
    missing = [name for name in names if not hasattr(module, name)]
    if missing:
        raise PatchError(f"MiniStack has no {module.__name__}.{', '.join(missing)} any more")
