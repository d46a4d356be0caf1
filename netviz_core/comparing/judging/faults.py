"""Finds every place at which two models differ though they are given the same, and what is only built otherwise."""

from __future__ import annotations

from .judging import Judge
from .noise import FAULT, coarsest, coarsest_of, is_exact, noise_of
from .places import Found, Place, between
from .regions import join_neighbours, join_what_agrees, side_with_function
from .rerun import Rerun
from .search import Search


def find_faults(judge: Judge) -> Found:
    """Judge each place by itself.

    Parameters
    ----------
    judge : Judge
        Of both models as they ran freely.
    """
    if _agree_in_the_end(judge):
        return Found(compensated={n for n, found in enumerate(judge.judged) if not found.output.within})
    found = Search(judge).found() if Rerun.is_possible(judge) else None
    if found is None or (found.as_far_as and not found.places and _is_exact(judge)):
        return _as_they_ran(judge)
    return found


def _agree_in_the_end(judge: Judge) -> bool:
    """Whether what the models return is the same beyond doubt, as far as floats that are exact can tell."""
    whole = judge.whole
    if whole is None or not whole.within:
        return False
    if judge.tolerance is not None:
        return True
    if not _is_exact(judge):
        return False
    is_smooth = all(
        found.output.within and (found.given is None or found.given.within) for found in judge.judged
    )
    dtypes = (coarsest_of(found.pair.stations) for found in judge.judged)
    return is_smooth or noise_of(coarsest(dtypes)).ratio(whole) < FAULT


def _is_exact(judge: Judge) -> bool:
    return all(is_exact(coarsest_of(found.pair.stations)) for found in judge.judged)


def _as_they_ran(judge: Judge) -> Found:
    """Where nothing can be run again: the first pair that is given what agrees and returns what does not."""
    join_neighbours(judge)
    built_in: set[int] = set()
    as_far_as = ("the first difference, since nothing can be run again: what comes behind it was not judged",)
    for number, found in enumerate(judge.judged):
        is_given_the_same = found.given is None or found.given.within
        if found.output.within or (is_given_the_same and join_what_agrees(judge, judge, number)):
            continue
        function_of = side_with_function(found, judge) if is_given_the_same else ""
        if function_of:
            found.function_of = function_of
            built_in.add(number)
            continue
        place = Place(found) if is_given_the_same else between(found, judge)
        place.seen, place.judge = (found.output if is_given_the_same else found.given), judge
        return Found([place], compensated=built_in, as_far_as=as_far_as)
    if judge.whole is None or judge.whole.within:
        return Found(compensated=built_in)
    place = between(None, judge)
    place.seen, place.judge = judge.whole, judge
    return Found([place], compensated=built_in)
