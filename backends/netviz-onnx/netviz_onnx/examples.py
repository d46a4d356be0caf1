"""Makes inputs for those who have no data at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ValueInfoProto

from netviz_core.backend_api import InputError

from .held import Held
from .inputs import dtype_of, lengths


def example_of(held: Held, shapes: Sequence[Sequence[int]] | None) -> Any:
    """See `netviz_core.backend_api.SupportsInputForms`."""
    if shapes is not None and len(shapes) != len(held.inputs):
        raise InputError(f"the model takes {len(held.inputs)} inputs; {len(shapes)} shapes were given")
    wanted = (
        [tuple(shape) for shape in shapes] if shapes is not None else [_shape(one) for one in held.inputs]
    )
    random = np.random.default_rng(0)
    made = []
    for value, shape in zip(held.inputs, wanted, strict=True):
        dtype = np.dtype(dtype_of(value) or "float32")
        made.append(random.normal(size=shape).astype(dtype) if dtype.kind == "f" else np.zeros(shape, dtype))
    return made[0] if len(made) == 1 else tuple(made)


def _shape(value: ValueInfoProto) -> tuple[int, ...]:
    """The declared shape, with a batch of one where that is open."""
    known = lengths(value)
    known = [1, *known[1:]] if known and not isinstance(known[0], int) else known
    if not all(isinstance(length, int) for length in known):
        raise InputError(
            f"input {value.name!r} has open lengths, ({', '.join(map(str, known))}); say which, for example with shapes"
        )
    return tuple(int(length) for length in known)
