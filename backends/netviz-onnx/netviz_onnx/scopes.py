"""The scopes in which nodes stand: what exporters leave of the modules and layers that they came from."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import NamedTuple

from .held import Node

_OF_TORCH = "pkg.torch.onnx.name_scopes"
_CLASSES_OF_TORCH = "pkg.torch.onnx.class_hierarchy"


class Place(NamedTuple):
    """Where a node stands.

    Parameters
    ----------
    scopes : tuple of str
        The paths of the scopes around it, the outermost first.
    name : str
        What it is called in the innermost.
    classes : tuple of str
        What the scopes were, where that is told.
    """

    scopes: tuple[str, ...]
    name: str
    classes: tuple[str, ...] = ()


def places(nodes: Sequence[Node]) -> dict[int, Place]:
    """Where each node stands, by its index."""
    found = {node.index: _place(node) for node in nodes}
    return _without_root(found)


def _place(node: Node) -> Place:
    told = {entry.key: entry.value for entry in node.proto.metadata_props}
    if _OF_TORCH in told:
        names, classes = _listed(told[_OF_TORCH]), _listed(told.get(_CLASSES_OF_TORCH, "[]"))
        around = [name for name in names[:-1] if name]
        if names:
            return Place(tuple(around), _plain(names[-1]), tuple(classes[1 : 1 + len(around)]))
    name = node.proto.name
    parts = [part for part in name.split("/") if part]
    if len(parts) < 2:
        return Place((), _plain(name) or node.op)
    is_of_torch = name.startswith("/")
    return Place(_of_torch(parts[:-1]) if is_of_torch else _joined(parts[:-1]), _plain(parts[-1]))


def _listed(text: str) -> list[str]:
    """A list of texts as Python writes it; empty where it is none."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return []
    return [str(part) for part in value] if isinstance(value, list) else []


def _of_torch(parts: Sequence[str]) -> tuple[str, ...]:
    """PyTorch's tracing exporter repeats the name of what holds a list of modules: ``layer1/layer1.0/conv1``."""
    paths: list[str] = []
    last = ""
    for part in parts:
        outer = paths[-1] if paths else ""
        if last and part.startswith(f"{last}."):
            paths.append(f"{outer}{part[len(last) :]}")
        else:
            paths.append(f"{outer}.{part}" if outer else part)
        last = part
    return tuple(paths)


def _joined(parts: Sequence[str]) -> tuple[str, ...]:
    return tuple("/".join(parts[: end + 1]) for end in range(len(parts)))


def _without_root(found: dict[int, Place]) -> dict[int, Place]:
    """Leave out the name of the model itself, around all that stands in a scope, and the number that it brought.

    TensorFlow numbers the scopes of a model that was called before: ``functional_1/conv_1``.
    """
    scoped = {index: place for index, place in found.items() if place.scopes and "/" not in place.scopes[0]}
    roots = {place.scopes[0] for place in scoped.values()}
    seconds = [place.scopes[1] for place in scoped.values() if len(place.scopes) > 1]
    if len(roots) != 1 or not seconds or not all("/" in scope for scope in seconds):
        return found
    root = roots.pop()
    number = re.search(r"_\d+$", root)
    tail = number[0] if number and all(scope.endswith(number[0]) for scope in seconds) else ""

    def inner(scope: str) -> str:
        parts = scope.split("/")[1:]
        return "/".join(part.removesuffix(tail) if tail else part for part in parts)

    return {
        index: place._replace(scopes=tuple(inner(scope) for scope in place.scopes[1:]))
        if index in scoped
        else place
        for index, place in found.items()
    }


def _plain(name: str) -> str:
    """A name without the letters that mean something in paths and keys."""
    return re.sub(r"[^\w-]+", "_", name).strip("_")
