"""Finds which layers of two models correspond: by what is given, by names, by contents, and by order and form.

What is aligned may be anything with a path: layers, parts of them, calls of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from typing import Generic, NamedTuple, Protocol, TypeVar

from ..words.errors import InputError, LayerNotFoundError, nearest
from ..words.given import shown
from ..words.protocols import Layer

Paths = str | Sequence[str]
LayerMapping = Mapping[str, Paths] | Mapping[str | tuple[str, ...], Paths] | Callable[[Layer], "Paths | None"]
"""From a path of the one model to one of the other: names, globs with one ``*`` on both sides, or a function.

On either side there may be a tuple of paths, where several layers do what one does on the other side."""


AMONG_EQUALS = "order among equals"
"""Evidence of a pair of which other layers have the form, so that the order may tell the wrong ones."""


class Forms(NamedTuple):
    """What two layers must have in common to be taken for partners; None is in common with nothing.

    Parameters
    ----------
    in_order : tuple
        If they stand at the same place, the narrowest form first.
    alone : hashable
        If they are the only ones of this form.
    named : hashable
        If they have the same name; any of the others does, too.
    anywhere : hashable, optional
        If both models have equally many of this form without a partner, wherever they stand.
    """

    in_order: tuple[Hashable, ...]
    alone: Hashable
    named: Hashable
    anywhere: Hashable = None

    @property
    def any_of(self) -> set[Hashable]:
        """All of them."""
        return {*self.in_order, self.alone, self.named} - {None}

    def at(self, level: int) -> Hashable:
        """The form by which it is paired in order, wider at each level."""
        return self.in_order[min(level, len(self.in_order) - 1)]


class Item(Protocol):
    """What can be aligned."""

    @property
    def path(self) -> str:
        """Of the layer that it is, or belongs to."""


T = TypeVar("T", bound=Item)
L = TypeVar("L", bound=Item)


class LayerMatch(NamedTuple, Generic[T]):
    """Two layers that correspond, and what says so."""

    source: T
    target: T
    evidence: str


def align(
    sources: Sequence[T],
    targets: Sequence[T],
    forms: Callable[[T], Forms],
    given: Iterable[tuple[Sequence[T], Sequence[T]]] = (),
    *,
    ordered: bool = True,
    contents: Callable[[T], Iterable[Hashable]] | None = None,
) -> list[LayerMatch[T]]:
    """Pair the layers of two models.

    Parameters
    ----------
    sources, targets : sequence
        Those to be paired, each in its model's order.
    forms : callable
        Returns the `Forms` of one of them.
    given : iterable of pairs of sequences
        What is known to correspond, group by group: within each, pairs are found as usual, and then in order.
    ordered : bool
        Whether the order of both means something; else only names, contents and forms do.
    contents : callable, optional
        What one holds, in marks that are equal where the numbers are; none where they say nothing.

    Returns
    -------
    list of LayerMatch
        In the order of `sources`; `evidence` is ``given``, ``name``, ``contents``, ``order``, ``form`` for the only
        ones of their form, or where the two models list their layers in different orders, ``order among equals``.
    """
    pairing = _Pairing(sources, targets, forms)
    for ours, theirs in given:
        pairing.add_given(ours, theirs)
    pairing.by_name()
    if contents is not None:
        pairing.by_contents(contents)
    if ordered:
        pairing.by_order()
        pairing.by_count()
    pairing.only_ones(lambda item: forms(item).in_order[0], of_all=ordered)
    pairing.only_ones(lambda item: forms(item).alone, of_all=ordered)
    return pairing.found


class _Pairing(Generic[T]):
    """What has been paired of two models, and what is left."""

    def __init__(self, sources: Sequence[T], targets: Sequence[T], forms: Callable[[T], Forms]) -> None:
        self._sources, self._targets, self._forms = list(sources), list(targets), forms
        self._by_source: dict[int, LayerMatch[T]] = {}
        self._taken: set[int] = set()

    @property
    def found(self) -> list[LayerMatch[T]]:
        """All pairs, in the order of the sources."""
        return [self._by_source[id(item)] for item in self._sources if id(item) in self._by_source]

    @property
    def left(self) -> tuple[list[T], list[T]]:
        """Those of either side without a partner."""
        return (
            [item for item in self._sources if id(item) not in self._by_source],
            [item for item in self._targets if id(item) not in self._taken],
        )

    def add(self, matches: Iterable[LayerMatch[T]]) -> None:
        for match in list(matches):
            self._by_source[id(match.source)] = match
            self._taken.add(id(match.target))

    def add_given(self, ours: Sequence[T], theirs: Sequence[T]) -> None:
        """Pair what is given as a group, and nothing of it with anything else."""
        group = _Pairing(ours, theirs, self._forms)
        group.by_order()
        group.add(LayerMatch(one, other, "given") for one, other in zip(*group.left, strict=False))
        self.add(match._replace(evidence="given") for match in group.found)
        left = {id(item) for side in group.left for item in side}
        self._sources, self._targets = (
            [item for item in side if id(item) not in left] for side in (self._sources, self._targets)
        )

    def by_name(self) -> None:
        """Pair those of one name that have any form in common."""
        ours, theirs = ({_name(item): item for item in items} for items in self.left)
        same_names = {_name(i) for i in self._sources} == {_name(i) for i in self._targets}
        for name in ours.keys() & theirs.keys():
            left, right = self._forms(ours[name]), self._forms(theirs[name])
            if (same_names or _is_telling(name[0])) and left.any_of & right.any_of:
                self.add([LayerMatch(ours[name], theirs[name], "name")])

    def by_contents(self, contents: Callable[[T], Iterable[Hashable]]) -> None:
        """Pair those that hold something which nothing else holds; those first that have most of it in common."""
        held: list[dict[Hashable, list[T]]] = [{}, {}]
        for found, items in zip(held, self.left, strict=True):
            for item in items:
                for mark in contents(item):
                    found.setdefault(mark, []).append(item)
        shared: dict[tuple[int, int], list[tuple[T, T]]] = {}
        for mark in held[0].keys() & held[1].keys():
            if len(held[0][mark]) == len(held[1][mark]) == 1:
                source, target = held[0][mark][0], held[1][mark][0]
                shared.setdefault((id(source), id(target)), []).append((source, target))
        for pairs in sorted(shared.values(), key=len, reverse=True):
            source, target = pairs[0]
            if id(source) not in self._by_source and id(target) not in self._taken:
                self.add([LayerMatch(source, target, "contents")])

    def only_ones(self, key: Callable[[T], Hashable], of_all: bool) -> None:
        """Pair what is left and has a form that nothing else has: of all there is, or of what is left."""
        ours, theirs = (
            _grouped(items, key) for items in ((self._sources, self._targets) if of_all else self.left)
        )
        for one in ours.keys() & theirs.keys() - {None}:
            source, target = ours[one][0], theirs[one][0]
            is_left = id(source) not in self._by_source and id(target) not in self._taken
            if is_left and len(ours[one]) == len(theirs[one]) == 1:
                self.add([LayerMatch(source, target, "form")])

    def by_order(self) -> None:
        """Pair what stands at the same place, by ever wider forms."""
        sure = dict(self._by_source)
        for level in range(max((len(self._forms(item).in_order) for item in self._sources), default=0)):
            form = partial(_form_at, self._forms, level)
            # What was paired by order may be listed elsewhere than where it runs, and parts nothing for sure.
            self.add(chain.from_iterable(_by_form(*both, form) for both in self._between(sure, form)))
            self.add(
                chain.from_iterable(
                    _by_form(*both, form) or _longest_run(*both, form)
                    for both in self._between(self._by_source, form)
                )
            )

    def by_count(self) -> None:
        """Pair what may be listed far from where it is used, such as the tensors of containers, first with first."""
        ours, theirs = (_grouped(items, lambda item: self._forms(item).anywhere) for items in self.left)
        for one in ours.keys() & theirs.keys() - {None}:
            if len(ours[one]) == len(theirs[one]):
                pairs = zip(ours[one], theirs[one], strict=True)
                self.add(LayerMatch(source, target, AMONG_EQUALS) for source, target in pairs)

    def _between(
        self, anchors: Mapping[int, LayerMatch[T]], form: Callable[[T], Hashable]
    ) -> Iterator[tuple[list[T], list[T]]]:
        """What is left between pairs that are known, on both sides."""
        places = {id(item): place for place, item in enumerate(self._targets)}
        start = reached = 0
        for place, source in enumerate([*self._sources, None]):
            match = anchors.get(id(source)) if source is not None else None
            if source is not None and match is None:
                continue
            end = places[id(match.target)] if match is not None else len(self._targets)
            if end < reached:
                continue  # a pair that goes back parts nothing
            left = [item for item in self._sources[start:place] if id(item) not in self._by_source]
            right = [item for item in self._targets[reached:end] if id(item) not in self._taken]
            left, right = ([item for item in items if form(item) is not None] for items in (left, right))
            yield left, right
            start, reached = place + 1, end + 1


def _form_at(forms: Callable[[T], Forms], level: int, item: T) -> Hashable:
    return forms(item).at(level)


def _name(item: Item) -> tuple[str, str]:
    return item.path, getattr(item, "step", "")


def _is_telling(path: str) -> bool:
    """Whether a path says more than a place: that both models have a layer ``2`` means little."""
    return not re.split(r"[./]", path)[-1].isdigit()


def given_groups(
    sources: Sequence[L], targets: Mapping[str, L], mapping: LayerMapping | None
) -> list[tuple[list[L], list[L]]]:
    """The layers that a mapping names, and their partners; several where a path or its partner is a tuple.

    Raises
    ------
    LayerNotFoundError
        If it names a layer that is not there.
    InputError
        If it is no mapping, or maps a layer twice.
    """
    groups = []
    for ours, paths in _named(sources, mapping):
        for path in paths:
            if path not in targets:
                raise LayerNotFoundError(
                    f"mapping: there is no layer {path!r} to map to; {nearest(path, targets)}"
                )
        groups.append((ours, [targets[path] for path in paths]))
    for side, words in ((0, "is mapped more than once"), (1, "are all mapped to")):
        counted = Counter(item.path for group in groups for item in group[side])
        twice = next((path for path, count in counted.items() if count > 1), None)
        if twice is not None:
            given = [
                item.path for group in groups if twice in {i.path for i in group[side]} for item in group[0]
            ]
            raise InputError(
                f"mapping: {', '.join(map(repr, given))} {words} {twice!r}; choose one"
                if side
                else f"mapping: {twice!r} {words}; name it once, with a tuple of its partners"
            )
    return groups


def _named(sources: Sequence[L], mapping: LayerMapping | None) -> Iterator[tuple[list[L], list[str]]]:
    """What stands in a mapping, its globs resolved: layers, and the paths of their partners."""
    if mapping is None:
        return
    if callable(mapping):
        for layer in sources:
            wanted = mapping(layer)  # type: ignore[arg-type]
            if wanted is not None:
                yield [layer], _paths(wanted, layer.path, wanted)
        return
    if not isinstance(mapping, Mapping):
        raise InputError(
            f"mapping={shown(mapping)} is neither a mapping {{path: path}} nor a function of a layer"
        )
    for pattern, wanted in mapping.items():
        patterns, paths = (_paths(one, pattern, wanted) for one in (pattern, wanted))
        several = [_matching(one, sources) for one in patterns]
        if len(patterns) > 1:
            yield [layer for layers in several for layer in layers], paths
            continue
        for layer in several[0]:
            yield [layer], [_substituted(layer.path, patterns[0], path) for path in paths]


def _paths(given: object, pattern: object, wanted: object) -> list[str]:
    paths = list(given) if isinstance(given, (tuple, list)) else [given]
    if not paths or not all(isinstance(path, str) for path in paths):
        raise InputError(
            f"mapping has {shown(pattern)}: {shown(wanted)}; give a path, a glob, or a tuple of paths for a path"
        )
    return [str(path) for path in paths]


def _matching(pattern: str, sources: Sequence[L]) -> list[L]:
    matched = [layer for layer in sources if fnmatchcase(layer.path, pattern)]
    if not matched:
        known = [layer.path for layer in sources]
        raise LayerNotFoundError(f"mapping: there is no layer {pattern!r}; {nearest(pattern, known)}")
    return matched


def _substituted(path: str, pattern: str, wanted: str) -> str:
    """Put what ``*`` stood for in `pattern` in the place of ``*`` in `wanted`."""
    before, star, after = pattern.partition("*")
    return wanted.replace("*", path[len(before) : len(path) - len(after)]) if star else wanted


def _by_form(
    sources: Sequence[T], targets: Sequence[T], form: Callable[[T], Hashable]
) -> list[LayerMatch[T]]:
    """Pair the first of a form with the first, the second with the second, if both have equally many of all.

    So layers are found that are listed where they were made on one side, and where they run on the other.
    """
    left, right = (
        {one: _as_made(group) for one, group in _grouped(items, form).items()} for items in (sources, targets)
    )
    shared = left.keys() & right.keys()
    if any(len(left[one]) != len(right[one]) for one in shared):
        return []
    partners = {
        id(source): target for one in shared for source, target in zip(left[one], right[one], strict=True)
    }
    places = {id(item): place for place, item in enumerate(targets)}
    paired = [source for source in sources if id(source) in partners]
    reached = [places[id(partners[id(source)])] for source in paired]
    evidence = "order" if reached == sorted(reached) else AMONG_EQUALS
    return [LayerMatch(source, partners[id(source)], evidence) for source in paired]


def _as_made(items: list[T]) -> list[T]:
    """Layers that their framework numbered as they were made, in that order: that of a graph parts branches."""
    numbered = [re.fullmatch(r"(.*?)(?:_(\d+))?", item.path) for item in items]
    if len({found[1] for found in numbered if found}) != 1:
        return items
    numbers = {id(item): int(found[2] or 0) for item, found in zip(items, numbered, strict=True) if found}
    return sorted(items, key=lambda item: numbers[id(item)])


def _grouped(items: Sequence[T], key: Callable[[T], Hashable]) -> dict[Hashable, list[T]]:
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _longest_run(
    sources: Sequence[T], targets: Sequence[T], form: Callable[[T], Hashable]
) -> Iterator[LayerMatch[T]]:
    from difflib import SequenceMatcher  # here, as most models are aligned without it

    left, right = [form(item) for item in sources], [form(item) for item in targets]
    for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
        for offset in range(block.size):
            yield LayerMatch(sources[block.a + offset], targets[block.b + offset], "order")
