"""The backends, renderers and file loaders that are there, and which of them is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .registry import Registry, Statuses
from .words.errors import BackendConflictError, BackendLoadError, FileFormatError, UnknownModelError
from .words.given import is_array

if TYPE_CHECKING:
    from .words.protocols import Backend, Renderer

_backends = Registry("netviz.backends", "backend", ("name", "accepts", "layers", "run", "record"))
_renderers = Registry("netviz.renderers", "renderer", ("name", "suffixes", "plot", "save", "png"))
loaders = Registry("netviz.loaders", "loader")
"""What opens a saved model of a framework, by the file's suffix."""


def list_backends() -> Statuses:
    """Every backend by name, with its state; imports none of them."""
    return _backends.statuses()


def get_backend(name: str) -> Backend:
    """Load the backend `name`.

    Raises
    ------
    InputError
        If there is none of that name.
    BackendConflictError
        If two distributions claim the name.
    BackendLoadError
        If it cannot be loaded; the cause is chained.
    """
    return cast("Backend", _backends.get(name))


def register_backend(name: str, target: Any) -> None:
    """Add a backend for this process, ahead of an installed one of the same name.

    Parameters
    ----------
    name : str
        The root module of its framework.
    target : Backend, its class, or str
        A string names it as ``"module:attribute"``; it is imported only when needed.
    """
    _backends.register(name, target)


def refresh_backends() -> None:
    """Look for installed backends again, and give those that failed another try."""
    _backends.refresh()


def list_renderers() -> Statuses:
    """Every renderer by name, with its state; imports none of them."""
    return _renderers.statuses()


def get_renderer(name: str) -> Renderer:
    """Load the renderer `name`; raises as `get_backend` does."""
    return cast("Renderer", _renderers.get(name))


_default_renderer = ["matplotlib"]


def set_default_renderer(name: str) -> None:
    """Draw with the renderer `name` for the rest of this process, wherever no other is named.

    Files that it does not write are still written by one that does, and pictures in notebooks are matplotlib's.

    Raises
    ------
    InputError, BackendLoadError
        As of `get_renderer`.
    """
    get_renderer(name)
    _default_renderer[:] = [name]


def default_renderer() -> Renderer:
    """What draws where no renderer is named."""
    return get_renderer(_default_renderer[0])


def renderer_for(suffix: str) -> Renderer:
    """What writes files of a suffix where no renderer is named: the default one, else the first that loads and can.

    Where none can, it is the default one, which says so; those that did not load are named.
    """
    not_asked = []
    for name in dict.fromkeys((*_default_renderer, "matplotlib", *list_renderers())):
        try:
            renderer = get_renderer(name)
        except (BackendConflictError, BackendLoadError) as error:
            not_asked.append(str(error))
            continue
        if suffix.lower() in renderer.suffixes:
            return renderer
    default = default_renderer()
    if suffix and not_asked:
        raise FileFormatError(
            f"the renderer {_default_renderer[0]!r} writes {', '.join(default.suffixes)} and not {suffix}; what others "
            f"write is not known, for {'; '.join(not_asked)}"
        )
    return default


def register_renderer(name: str, target: Any) -> None:
    """Add a renderer for this process; arguments as for `register_backend`."""
    _renderers.register(name, target)


def refresh_renderers() -> None:
    """Look for installed renderers again, and give those that failed another try."""
    _renderers.refresh()


def tensor_to_numpy(tensor: Any) -> np.ndarray[Any, Any]:
    """Bring a tensor of any framework to NumPy, through its backend where that knows how."""
    root = type(tensor).__module__.partition(".")[0]
    backend = get_backend(root) if root in _backends.names() else None
    convert = getattr(backend, "to_numpy", np.asarray)
    return cast("np.ndarray[Any, Any]", convert(tensor))


def backend_for(model: object) -> Backend:
    """Find the backend of a native model by the modules its classes stem from.

    The classes of ``type(model).__mro__`` are walked from the model's own upwards; the first
    whose root module names a backend that accepts the model decides. So a Keras model that
    runs on torch, and is an ``nn.Module`` too, is Keras'.

    Raises
    ------
    UnknownModelError
        If no backend knows the object.
    BackendConflictError, BackendLoadError
        If the backend it belongs to cannot be had.
    """
    known = _backends.names()
    roots = dict.fromkeys(cls.__module__.partition(".")[0] for cls in type(model).__mro__)
    for root in roots:
        if root in known:
            backend = get_backend(root)
            if backend.accepts(model):
                return backend
    raise UnknownModelError(_unknown_model(model, list(roots)))


def _unknown_model(model: object, roots: list[str]) -> str:
    if model is None:
        return "None was given as a model; give a model, a state dict, or the path of a saved one"
    described = f"{type(model).__module__}.{type(model).__qualname__}"
    states = list_backends()
    installed = [name for name, s in states.items() if s.status in ("loaded", "available")]
    lines = [f"no backend knows an object of type {described}"]
    matched = [root for root in roots if root in states]
    if isinstance(model, type):
        lines.append("this is a class: give an instance of it")
    elif is_array(model):
        lines.append("this is an array: the model comes first, its input after it")
    elif matched:
        lines.append(f"it stems from {matched[0]}, but is no model to the {matched[0]} backend")
    lines.append(f"installed backends: {', '.join(installed) or 'none'}")
    to_install = [s.install for s in states.values() if s.install]
    if to_install:
        lines.append("more can be had with " + " or ".join(to_install))
    lines.append("another framework's backend is a package with an entry point in 'netviz.backends'")
    return "; ".join(lines)
