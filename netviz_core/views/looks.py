"""Options of a figure that every renderer has, and what they do to a view."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any, ClassVar, TypeVar

from ..words.errors import InputError
from ..words.given import shown
from .side_by_side import SideBySide

AnyLook = TypeVar("AnyLook", bound="Look")


@dataclass(frozen=True)
class Look:
    """The options of a figure that every renderer has; a subclass adds its own, and describes to users what all do.

    What is `given` are the names of those that the caller gave.
    """

    title: str | None = None
    cmap: Any = None
    colorbar: bool = True
    figsize: tuple[float, float] | None = None
    limits: tuple[float, float] | None = None
    fontsize: float | None = None
    given: frozenset[str] = frozenset()

    renderer: ClassVar[str]
    """The name of the renderer whose options they are."""

    @classmethod
    def from_options(cls: type[AnyLook], options: Mapping[str, Any]) -> AnyLook:
        """Check the options of a caller.

        Raises
        ------
        InputError
            If one is unknown or has a value it cannot have.
        """
        known = cls.options()
        for name in options:
            if name not in known:
                raise InputError(
                    f"the {cls.renderer} renderer has no option {name!r}; it has {', '.join(known)}"
                )
        look = cls(**options, given=frozenset(options))
        look.check()
        return look

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """The names of all that there are."""
        return tuple(field.name for field in fields(cls) if field.name != "given")

    def check(self) -> None:
        """Refuse values that options cannot have; a subclass does so for its own.

        Raises
        ------
        InputError
        """
        for name, (can_be, told) in _CHECKS.items():
            value, usual = (getattr(owner, name, None) for owner in (self, type(self)))
            if value is not usual and not can_be(value):
                raise InputError(f"{name}={shown(value)} {told}")


def within(view: Any, limits: tuple[float, float] | None) -> Any:
    """The view with the limits asked for, if any were."""
    if limits is None:
        return view
    if isinstance(view, SideBySide):
        return replace(view, views=tuple(within(part, limits) for part in view.views))
    low, high = limits
    return replace(view, limits=(float(low), float(high)))


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


def _is_size(size: Any) -> bool:
    return isinstance(size, tuple | list) and len(size) == 2 and all(map(_is_positive, size))


_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "title": (lambda title: isinstance(title, str), "is not a string"),
    "colorbar": (lambda colorbar: isinstance(colorbar, bool), "is neither True nor False"),
    "figsize": (_is_size, "is not a width and height in inches such as (6, 4)"),
    "dpi": (_is_positive, "is not a positive number"),
    "limits": (_are_limits, "are not a lower and a higher number such as (-1, 1)"),
    "fontsize": (_is_positive, "is not a positive number of points"),
}
"""Of an option, whichever renderers have it: what it can be, beside what it is by default, and what is said else."""
