"""For tests of ports: two models must agree, layer by layer."""

from __future__ import annotations

from typing import Any

from ..comparing.compared import compare
from ..comparing.telling.view import Comparison
from ..models.alignment import LayerMapping


def assert_models_close(
    a: Any,
    b: Any,
    x: Any = None,
    mapping: LayerMapping | None = None,
    *,
    tolerance: float | None = None,
    loss: str | None = None,
    targets: Any = None,
    other_head: bool = False,
) -> Comparison:
    """Raise unless two models agree; the message is the report: where they first differ, and why.

    Parameters
    ----------
    a, b, x, mapping, tolerance, loss, targets
        As for `netviz_core.compare`.
    other_head : bool
        Accept that one of the two ends in a softmax or sigmoid, or the logarithm of one, and the other does not, so
        that what they return is not the same.

    Returns
    -------
    Comparison

    Raises
    ------
    AssertionError
        If they differ, or, unless `other_head` accepts it, end in other heads.
    InputError, LayerNotFoundError
        As `netviz_core.compare`.

    Examples
    --------
    >>> import numpy as np
    >>> from netviz_core.testing import example_model
    >>> found = assert_models_close(example_model(), example_model(), np.ones((2, 1, 8, 8)))
    >>> len(found.pairs)
    2
    """
    __tracebackhide__ = True
    found = compare(a, b, x, mapping, tolerance=tolerance, loss=loss, targets=targets)
    if not found.agrees:
        raise AssertionError(str(found))
    if found.heads and not other_head:
        raise AssertionError(
            f"what the two return is not the same: {'; '.join(found.heads)}; if that is meant, "
            f"give other_head=True\n\n{found}"
        )
    return found
