"""Options of a figure that every renderer has, and what they do to a view."""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Real
from typing import Any

from ..words.errors import InputError
from ..words.given import shown
from .side_by_side import SideBySide


def within(view: Any, limits: tuple[float, float] | None) -> Any:
    """The view with the limits asked for, if any were."""
    if limits is None:
        return view
    if isinstance(view, SideBySide):
        return replace(view, views=tuple(within(part, limits) for part in view.views))
    low, high = limits
    return replace(view, limits=(float(low), float(high)))


def check_look(look: Any) -> None:
    """Check options of a figure: ``title``, ``colorbar``, ``limits``, ``fontsize``, ``figsize``, ``dpi``.

    Raises
    ------
    InputError
        If one has a value that it cannot have.
    """
    if look.title is not None and not isinstance(look.title, str):
        raise InputError(f"title={shown(look.title)} is not a string")
    if not isinstance(look.colorbar, bool):
        raise InputError(f"colorbar={shown(look.colorbar)} is neither True nor False")
    if look.limits is not None and not _are_limits(look.limits):
        raise InputError(f"limits={shown(look.limits)} are not a lower and a higher number such as (-1, 1)")
    if look.dpi is not None and not _is_positive(look.dpi):
        raise InputError(f"dpi={shown(look.dpi)} is not a positive number")
    if look.fontsize is not None and not _is_positive(look.fontsize):
        raise InputError(f"fontsize={shown(look.fontsize)} is not a positive number of points")
    if look.figsize is not None and not _is_size(look.figsize):
        raise InputError(f"figsize={shown(look.figsize)} is not a width and height in inches such as (6, 4)")


def _is_positive(number: Any) -> bool:
    is_number = isinstance(number, Real) and not isinstance(number, bool)
    return is_number and math.isfinite(number) and float(number) > 0


def _are_limits(limits: Any) -> bool:
    is_pair = isinstance(limits, tuple | list) and len(limits) == 2
    return (
        is_pair
        and all(isinstance(end, Real) and math.isfinite(end) for end in limits)
        and limits[0] < limits[1]
    )


def _is_size(size: object) -> bool:
    return isinstance(size, tuple | list) and len(size) == 2 and all(map(_is_positive, size))
