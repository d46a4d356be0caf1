"""Where elements lie, carried through operations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from netviz_core.captures.origins import Origins
from netviz_core.captures.placing import concatenated, hull, joined, reshaped, with_margins
from netviz_core.words.supports_flow import Coordinate, Stretch

X, SAMPLE = Coordinate("", 3), Coordinate("", 0)


def started(*shape: int):
    origins = Origins()
    return origins, origins.start("", shape)


def stretches(origin, key=X):
    low, high = origin[key]
    return list(zip(low[0, 0, 0].tolist(), high[0, 0, 0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (4, 2, [(0, 2), (2, 4)]),
        (2, 4, [(0, 0.5), (0.5, 1), (1, 1.5), (1.5, 2)]),
        (3, 3, [(0, 1), (1, 2), (2, 3)]),
        (3, 2, [(0, 1.5), (1.5, 3)]),
    ],
)
@pytest.mark.parametrize("is_flipped", [False, True])
@pytest.mark.parametrize("margin", [0, 2])
def test_a_convolution_shares_out_the_picture(before, after, expected, is_flipped, margin):
    origins, origin = started(2, 3, 1, before)
    if is_flipped:
        origin = {key: Stretch(*(end[..., ::-1] for end in ends)) for key, ends in origin.items()}
        expected = expected[::-1]
    origin = with_margins(origin, [(0, 0)] * 3 + [(margin, margin)])
    width = before + 2 * margin
    made = origins.convolved(origin, (2, 3, 1, width), (2, 5, 1, after), (2, 3), channel=1)
    assert stretches(made) == expected
    assert origins.sources()[""].axes == (None, "channel", None, "x")


def test_margins_lie_nowhere_and_are_of_the_sample_around_which_they_stand():
    _, origin = started(2, 3, 1, 2)
    widened = with_margins(origin, [(0, 0), (0, 0), (0, 0), (1, -1)])
    assert stretches(widened) == [(np.inf, -np.inf), (0, 1)]
    assert widened[SAMPLE].low[1].tolist() == np.ones((3, 1, 2)).tolist()


def test_a_part_beside_a_summary_of_the_whole_stays_a_part():
    _, origin = started(1, 1, 1, 4)
    whole = {
        key: Stretch(*(np.broadcast_to(end, (1, 1, 1, 4)) for end in ends))
        for key, ends in hull(origin, (3,)).items()
    }
    assert stretches(joined((origin, whole), (1, 1, 1, 4))) == stretches(origin)
    both = concatenated((origin, whole), ((1, 1, 1, 4), (1, 1, 1, 4)), axis=1)
    assert stretches(hull(both, (1,))) == stretches(origin)


def test_two_parts_lie_in_their_hull():
    _, origin = started(1, 1, 1, 3)
    rolled = {key: Stretch(*(np.roll(end, -1, 3) for end in ends)) for key, ends in origin.items()}
    assert stretches(joined((origin, rolled), (1, 1, 1, 3))) == [(0, 2), (1, 3), (0, 3)]


def test_a_map_made_within_the_model_is_a_source():
    origins, origin = started(2, 7)
    made = origins.convolved(
        {
            key: Stretch(*(np.broadcast_to(end[:, :1, None, None], (2, 1, 4, 4)) for end in ends))
            for key, ends in hull(origin, (1,)).items()
        },
        (2, 1, 4, 4),
        (2, 5, 8, 8),
        (2, 3),
        channel=1,
    )
    (name,) = (name for name, source in origins.sources().items() if not source.is_input)
    assert origins.sources()[name].axes == ("y", "x")
    assert stretches(made, Coordinate(name, 1))[:2] == [(0, 0.5), (0.5, 1)]


def test_reshapes_are_those_of_numpy():
    for before, after in itertools.product(
        [(2, 3, 4), (6, 2, 2), (2, 1, 4, 3), (4, 6, 1)], [(24,), (2, 12), (4, 1, 6), (3, 2, 4)]
    ):
        for repeats in itertools.product((True, False), repeat=len(before)):
            some = np.arange(24.0).reshape(before)[tuple(slice(1) if r else slice(None) for r in repeats)]
            end = np.broadcast_to(some, before)
            (low, _) = reshaped({X: Stretch(end, end)}, after)[X]
            np.testing.assert_array_equal(low, end.reshape(after))
