"""Finds which layers of two models correspond: by name where the names agree, else by order and shape."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from .errors import LayerNotFoundError, nearest
from .protocols import Layer

LayerMapping = Mapping[str, str] | Callable[[Layer], "str | None"]
"""From a path of the one model to one of the other: names, globs with one ``*`` on both sides, or a function."""


class LayerMatch(NamedTuple):
    """Two layers that correspond, and what says so."""

    source: Layer
    target: Layer
    evidence: str


def align(
    sources: Sequence[Layer],
    targets: Sequence[Layer],
    signature: Callable[[Layer], Hashable],
    mapping: LayerMapping | None = None,
) -> list[LayerMatch]:
    """Pair the layers of two models.

    Parameters
    ----------
    sources, targets : sequence of Layer
        Those to be paired, each in its model's order.
    signature : callable
        What must be equal for two layers to be paired by their order.
    mapping : mapping or callable, optional
        Pairs that are given; the rest is found as usual.

    Returns
    -------
    list of LayerMatch
        In the order of `sources`; `evidence` is ``given``, ``name`` or ``order``.

    Raises
    ------
    LayerNotFoundError
        If `mapping` names a layer that is not there.
    """
    by_path = {layer.path: layer for layer in targets}
    found: dict[str, LayerMatch] = {}
    for source, path in _given(sources, by_path, mapping):
        found[source.path] = LayerMatch(source, by_path[path], "given")
    taken = {match.target.path for match in found.values()}
    for source in sources:
        target = by_path.get(source.path)
        if source.path in found or target is None or target.path in taken:
            continue
        if signature(source) == signature(target):
            found[source.path] = LayerMatch(source, target, "name")
            taken.add(target.path)
    rest = [layer for layer in sources if layer.path not in found]
    free = [layer for layer in targets if layer.path not in taken]
    for source, target in _in_order(rest, free, signature):
        found[source.path] = LayerMatch(source, target, "order")
    return [found[layer.path] for layer in sources if layer.path in found]


def _given(
    sources: Sequence[Layer], targets: Mapping[str, Layer], mapping: LayerMapping | None
) -> list[tuple[Layer, str]]:
    if mapping is None:
        return []
    pairs = []
    if callable(mapping):
        pairs = [(layer, path) for layer in sources if (path := mapping(layer)) is not None]
    else:
        for pattern, wanted in mapping.items():
            matched = [layer for layer in sources if fnmatchcase(layer.path, pattern)]
            if not matched:
                known = [layer.path for layer in sources]
                raise LayerNotFoundError(f"mapping: there is no layer {pattern!r}; {nearest(pattern, known)}")
            pairs += [(layer, _substituted(layer.path, pattern, wanted)) for layer in matched]
    for _, path in pairs:
        if path not in targets:
            raise LayerNotFoundError(
                f"mapping: there is no layer {path!r} to map to; {nearest(path, targets)}"
            )
    return pairs


def _substituted(path: str, pattern: str, wanted: str) -> str:
    """Put what ``*`` stood for in `pattern` in the place of ``*`` in `wanted`."""
    before, star, after = pattern.partition("*")
    return wanted.replace("*", path[len(before) : len(path) - len(after)]) if star else wanted


def _in_order(
    sources: Sequence[Layer], targets: Sequence[Layer], signature: Callable[[Layer], Hashable]
) -> list[tuple[Layer, Layer]]:
    """The longest run of equal signatures in the same order on both sides."""
    from difflib import SequenceMatcher

    left, right = [signature(layer) for layer in sources], [signature(layer) for layer in targets]
    blocks = SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
    return [
        (sources[block.a + offset], targets[block.b + offset])
        for block in blocks
        for offset in range(block.size)
    ]
