"""What an interactive window says of the place under the cursor."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes


def tell_under_cursor(ax: Axes, describe: Callable[[float, float], str]) -> None:
    """Have an Axes describe what lies at ``(x, y)``, in its own coordinates."""
    ax.format_coord = describe  # type: ignore[method-assign, assignment]
