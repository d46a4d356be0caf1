"""Finds which layers of two models correspond: by name where the names agree, else by order and shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from ..words.errors import InputError, LayerNotFoundError, nearest
from ..words.given import shown
from ..words.protocols import Layer

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
    ordered: bool = True,
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
    ordered : bool
        Whether the order of both means something; else only names do.

    Returns
    -------
    list of LayerMatch
        In the order of `sources`; `evidence` is ``given``, ``name``, ``order``, or where the two models list
        their layers in different orders, ``order among equals``.

    Raises
    ------
    LayerNotFoundError
        If `mapping` names a layer that is not there.
    InputError
        If it is no mapping, or maps two layers to one.
    """
    by_path = {layer.path: layer for layer in targets}
    found: dict[str, LayerMatch] = {}
    for source, path in given_pairs(sources, by_path, mapping):
        found[source.path] = LayerMatch(source, by_path[path], "given")
    taken = {match.target.path for match in found.values()}
    same_names = {layer.path for layer in sources} == set(by_path)
    for source in sources:
        target = by_path.get(source.path)
        if source.path in found or target is None or target.path in taken:
            continue
        if (same_names or _is_telling(source.path)) and signature(source) == signature(target):
            found[source.path] = LayerMatch(source, target, "name")
            taken.add(target.path)
    if ordered:
        for match in list(_in_order(sources, targets, signature, found)):
            found[match.source.path] = match
    return [found[layer.path] for layer in sources if layer.path in found]


def _is_telling(path: str) -> bool:
    """Whether a path says more than a place: that both models have a layer ``2`` means little."""
    return not re.split(r"[./]", path)[-1].isdigit()


def given_pairs(
    sources: Sequence[Layer], targets: Mapping[str, Layer], mapping: LayerMapping | None
) -> list[tuple[Layer, str]]:
    """The layers that a mapping names, each with the path of its partner.

    Raises
    ------
    LayerNotFoundError
        If it names a layer that is not there.
    InputError
        If it is no mapping, or maps two layers to one.
    """
    if mapping is None:
        return []
    pairs = []
    if not callable(mapping) and not isinstance(mapping, Mapping):
        raise InputError(
            f"mapping={shown(mapping)} is neither a mapping {{path: path}} nor a function of a layer"
        )
    if callable(mapping):
        pairs = [(layer, path) for layer in sources if (path := mapping(layer)) is not None]
    else:
        for pattern, wanted in mapping.items():
            if not isinstance(pattern, str) or not isinstance(wanted, str):
                raise InputError(
                    f"mapping has {shown(pattern)}: {shown(wanted)}; give a path, or a glob, for a path"
                )
            matched = [layer for layer in sources if fnmatchcase(layer.path, pattern)]
            if not matched:
                known = [layer.path for layer in sources]
                raise LayerNotFoundError(f"mapping: there is no layer {pattern!r}; {nearest(pattern, known)}")
            pairs += [(layer, _substituted(layer.path, pattern, wanted)) for layer in matched]
    twice = [path for path, count in Counter(path for _, path in pairs).items() if count > 1]
    if twice:
        given = [layer.path for layer, path in pairs if path == twice[0]]
        raise InputError(f"mapping: {', '.join(map(repr, given))} are all mapped to {twice[0]!r}; choose one")
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
    sources: Sequence[Layer],
    targets: Sequence[Layer],
    signature: Callable[[Layer], Hashable],
    found: Mapping[str, LayerMatch],
) -> Iterator[LayerMatch]:
    """Pair what lies between the pairs that are known: equal signatures, in the same order on both sides."""
    places = {layer.path: place for place, layer in enumerate(targets)}
    taken = {match.target.path for match in found.values()}
    start = reached = 0
    for place, source in enumerate([*sources, None]):
        match = found.get(source.path) if source is not None else None
        if source is not None and match is None:
            continue
        end = places[match.target.path] if match is not None else len(targets)
        if end < reached:
            continue  # a pair that goes back parts nothing
        left = [layer for layer in sources[start:place] if layer.path not in found]
        right = [layer for layer in targets[reached:end] if layer.path not in taken]
        yield from _by_signature(left, right, signature) or _longest_run(left, right, signature)
        start, reached = place + 1, end + 1


def _by_signature(
    sources: Sequence[Layer], targets: Sequence[Layer], signature: Callable[[Layer], Hashable]
) -> list[LayerMatch]:
    """Pair the first of a signature with the first, the second with the second, if both have equally many of all.

    So layers are found that are listed where they were made on one side, and where they run on the other.
    """
    left, right = (_grouped(layers, signature) for layers in (sources, targets))
    shared = left.keys() & right.keys()
    if any(len(left[one]) != len(right[one]) for one in shared):
        return []
    partners = {
        id(source): target for one in shared for source, target in zip(left[one], right[one], strict=True)
    }
    places = {id(layer): place for place, layer in enumerate(targets)}
    paired = [source for source in sources if id(source) in partners]
    reached = [places[id(partners[id(source)])] for source in paired]
    evidence = "order" if reached == sorted(reached) else "order among equals"
    return [LayerMatch(source, partners[id(source)], evidence) for source in paired]


def _grouped(layers: Sequence[Layer], signature: Callable[[Layer], Hashable]) -> dict[Hashable, list[Layer]]:
    groups: dict[Hashable, list[Layer]] = {}
    for layer in layers:
        groups.setdefault(signature(layer), []).append(layer)
    return groups


def _longest_run(
    sources: Sequence[Layer], targets: Sequence[Layer], signature: Callable[[Layer], Hashable]
) -> Iterator[LayerMatch]:
    from difflib import SequenceMatcher  # here, as most models are aligned without it

    left, right = [signature(layer) for layer in sources], [signature(layer) for layer in targets]
    for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
        for offset in range(block.size):
            yield LayerMatch(sources[block.a + offset], targets[block.b + offset], "order")
