"""Joins to a pair what one side has in a layer of its own and the other built in: norms, activations, padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..sides import INPUT, Side, Station
from .pairing import StationPair


def join_neighbours(pairs: Sequence[StationPair], a: Side, b: Side) -> None:
    """Let layers without a partner join the pair that they belong to.

    A batch norm after a layer into which the other side has folded it; an activation after a layer whose partner
    has it built in; a padding before a convolution or pooling. Where the activation that a layer has built in is a
    plain function on the other side, the pair is told to apply it.
    """
    joiner = _Joiner(pairs, a, b)
    for pair in pairs:
        joiner.join_norm(pair)
        joiner.join_activation(pair)
        joiner.join_padding(pair)


class _Joiner:
    """Knows which stations have no partner, and who follows whom."""

    def __init__(self, pairs: Sequence[StationPair], a: Side, b: Side) -> None:
        self._sides = (a, b)
        self._taken = {id(station) for pair in pairs for station in pair.stations}
        self._after = tuple(_only_followers(side.stations) for side in self._sides)

    def join_norm(self, pair: StationPair) -> None:
        """The batch norm of one side, if the other has none."""
        if not pair.a[0].layer.kind.startswith(("conv", "depthwise", "dense")):
            return
        norms = [
            self._free_after(place, side[-1], "batch_norm") for place, side in enumerate((pair.a, pair.b))
        ]
        if (norms[0] is None) is (norms[1] is None):
            return
        for name, side, norm in zip("ab", (pair.a, pair.b), norms, strict=True):
            if norm is not None:
                self._join(
                    pair, side, norm, f"the batch norm of {name} is folded into the layer of the other"
                )

    def join_activation(self, pair: StationPair) -> None:
        """The activation of one side, if the layer of the other has it built in."""
        built_in = [_has_activation(side[0]) for side in (pair.a, pair.b)]
        if built_in[0] is built_in[1]:
            return
        place = built_in.index(False)
        own, other = (pair.a, pair.b)[place], (pair.a, pair.b)[1 - place]
        if own[-1].layer.kind == "activation":
            return
        activation = self._free_after(place, own[-1], "activation")
        if activation is not None:
            self._join(pair, own, activation, f"the activation is part of {'ba'[place]}'s layer")
            return
        if not self._may_be_followed(place, own[-1], other[0]):
            return
        if place == 0:
            pair.function_of_a = other[0]
        else:
            pair.function_of_b = other[0]
        pair.notes.append(f"the activation was applied to what {'ab'[place]}'s layer returned")

    def join_padding(self, pair: StationPair) -> None:
        """The padding before the layer of one side, which needs no partner."""
        pair.padding_of_a, pair.padding_of_b = (
            self._padding_before(side, head)
            for side, head in zip(self._sides, (pair.a[0], pair.b[0]), strict=True)
        )
        for name, padding in (("a", pair.padding_of_a), ("b", pair.padding_of_b)):
            if padding is not None:
                pair.notes.append(f"the padding of {name} is a layer of its own")

    def _may_be_followed(self, place: int, own: Station, other: Station) -> bool:
        """Whether a plain function may do what the layer of the other side has built in.

        Not where the next layer takes what this one returned as it is; at the model's end only what makes
        probabilities of scores may be missing.
        """
        side = self._sides[place]
        if side.whole is not None and own.number in side.whole.sources:
            return other.layer.config.get("activation") in ("softmax", "sigmoid", "log_softmax")
        return not any(own.number in station.sources for station in side.stations)

    def _free_after(self, place: int, station: Station, kind: str) -> Station | None:
        """The one layer that takes what a station returned, if it is of this kind and has no partner."""
        after = self._after[place].get(station.number)
        return (
            after if after is not None and after.layer.kind == kind and id(after) not in self._taken else None
        )

    def _padding_before(self, side: Side, head: Station) -> Station | None:
        windows = head.layer.kind.startswith(("conv", "depthwise", "separable", "pool"))
        if not windows or len(head.sources) != 1 or head.sources[0] in (None, INPUT):
            return None
        before = side.stations[head.sources[0] or 0]
        only_pads = before.layer.kind == "other" and "padding_mode" in before.layer.config
        return before if only_pads and id(before) not in self._taken else None

    def _join(self, pair: StationPair, own: list[Station], station: Station, note: str) -> None:
        own.append(station)
        self._taken.add(id(station))
        pair.notes.append(note)


def _has_activation(station: Station) -> bool:
    """Whether an activation is part of a layer which is more than that."""
    is_more = station.layer.kind not in ("activation", "lstm", "gru", "rnn")
    return is_more and station.layer.config.get("activation") not in (None, "linear")


def _only_followers(stations: Sequence[Station]) -> Mapping[int, Station]:
    """For each station the one that took what it returned, where there is exactly one."""
    found: dict[int, list[Station]] = {}
    for station in stations:
        for source in set(station.sources):
            if source is not None:
                found.setdefault(source, []).append(station)
    return {number: users[0] for number, users in found.items() if len(users) == 1}
