"""Follows from operation to operation what tensors descend from, and what their axes are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from netviz_core.backend_api import Book

from .axis_parts import Axes, roots_of, whole
from .lineage_rules import (
    Rule,
    convolution,
    elementwise,
    embedding,
    matrix_product,
    reduction,
    rule_of,
    tensors_in,
)

aten = torch.ops.aten

_MULTIPLYING = frozenset({aten.mul, aten.mul_})


@dataclass
class Lineage:
    """What is known of one tensor.

    Parameters
    ----------
    axes : tuple
        The parts of each axis.
    is_product : bool
        Whether it is one of two values that both depend on the input.
    is_scores : bool
        Whether it descends from a sum of such products, as the scores of queries and keys do.
    is_weights : bool
        Whether it descends from a softmax, or from a curve that was put on scores.
    """

    axes: Axes
    is_product: bool = False
    is_scores: bool = False
    is_weights: bool = False
    curves: frozenset[int] = frozenset()
    """The softmaxes and other curves from which such weights descend."""


class LineageFollower(Book[Lineage]):
    """Knows the lineage of the tensors that are alive and depend on the model's input."""

    def axes_of(self, tensor: Any) -> Axes | None:
        """The parts of each axis of a tensor; None if it does not depend on the input."""
        lineage = self.get(tensor)
        return lineage.axes if lineage is not None else None

    def or_unknown(self, tensor: torch.Tensor) -> Lineage:
        """What is known of a tensor, or that nothing is known of its axes."""
        return self.get(tensor) or Lineage(tuple(whole("", length) for length in tensor.shape))

    def after(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Follow one operation."""
        operands = list(tensors_in((args, kwargs)))
        followed = [lineage for tensor in operands if (lineage := self.get(tensor)) is not None]
        if not followed:
            return
        rule = rule_of(func)
        for place, tensor in enumerate(tensors_in(result)):
            if (
                not tensor.is_floating_point()
                and rule is elementwise
                and any(operand.is_floating_point() for operand in operands)
            ):
                continue  # a comparison: what it says is no value
            axes = rule(self.axes_of, func, args, tensor, place) if rule is not None else None
            if axes is None or len(axes) != tensor.ndim:
                axes = tuple(whole("", length) for length in tensor.shape)
            self.note(tensor, self._descending(func, followed, axes, rule))

    def _descending(self, func: Any, followed: list[Lineage], axes: Axes, rule: Rule | None) -> Lineage:
        is_product = any(one.is_product for one in followed)
        rooted = any(roots_of(parts) for parts in axes)
        if rule in (
            matrix_product,
            convolution,
        ):  # a mix of heads leaves what stands along queries and keys
            mixed = followed[0].axes[-1 if rule is matrix_product else 1]
            keeps = len(followed) == 1 and rooted and not roots_of(mixed)
        else:
            keeps = rule is not None and rule is not embedding
        return Lineage(
            axes,
            (func.overloadpacket in _MULTIPLYING and len(followed) > 1)
            or (keeps and is_product and rule is not reduction),
            (rule is reduction and is_product)
            or ((keeps or rule is None) and any(one.is_scores for one in followed)),
            keeps and rooted and any(one.is_weights for one in followed),
            frozenset().union(*(one.curves for one in followed)) if keeps else frozenset(),
        )
