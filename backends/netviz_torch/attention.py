"""The weights with which attention looks from query to key, however a model computes them.

Attention that a model writes out itself is known by what it is: what descends from a softmax, or from a curve put on
the products of queries and keys, and is then summed over in a matrix product with values. What is shown is the factor
of that product, whatever happened to it since the softmax.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

import torch

from netviz_core.backend_api import RecorderLike, UnsupportedError

from .attention_fused import FusedAttention
from .attention_seen import Running, SeenAttention
from .axes import AxisFollower
from .axis_parts import Origin, Part, Parts, kind_of_axis, roots_of, whole
from .lineage import Lineage
from .lineage_rules import tensors_in
from .listening import watching
from .passes import evaluation
from .tensors import memory_of
from .watch import Watch

aten = torch.ops.aten


def record_attention(model: Any, inputs: Any, recorder: RecorderLike) -> None:
    """See `netviz_core.backend_api.SupportsAttention`."""
    running = Running()
    seen = SeenAttention(running, recorder)
    watch = AttentionWatch(seen)
    with evaluation(model, inputs, watch) as (module, forward):
        watch.parameters = {memory_of(parameter) for parameter in module.parameters()}
        try:
            given = module.register_forward_pre_hook(watch.begin, with_kwargs=True)
        except RuntimeError as error:
            raise UnsupportedError(
                "a scripted module takes no hooks, and hides how it attends; look at the unscripted model"
            ) from error
        try:
            with running.following(module, recorder), watching(watch), FusedAttention(seen), torch.no_grad():
                forward()
        finally:
            given.remove()
    watch.explain_unread()


@dataclass(eq=False)
class Attended:
    """What may be attention: the result of a softmax, or of a curve put on scores.

    Parameters
    ----------
    path : str
        The layer that computed it.
    curve : str
        What was put on the scores, where that alone makes attention of it.
    is_used : bool
        Whether it went into a product with values.
    """

    path: str
    curve: str
    is_used: bool = False
    latest: torch.Tensor | None = None


class AttentionWatch(Watch):
    """While active, also sees the attention that a model writes out itself."""

    def __init__(self, seen: SeenAttention) -> None:
        super().__init__(AxisFollower())
        self.parameters: set[int] = set()
        """The memory of the model's parameters."""
        self._seen = seen
        self._lineages = seen.lineages
        self._attended: dict[int, Attended] = {}
        self._roots = count(1)

    def begin(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note which axes of the input are what; those as long as the first one's batch are its samples.

        Where it is not known whether samples or steps come first, what is looked from and at tells it later.
        """
        if self._seen.path:
            return
        samples: Origin | None = None
        for tensor in tensors_in((args, kwargs)):
            if not tensor.ndim:
                continue
            names = self.follower.axes(tensor)
            first = next((name for name in ("batch", "axis0") if name in names), None)
            batch = names.index(first) if first is not None else None
            if samples is None and batch is not None:
                samples = Origin("sample", tensor.shape[batch])
                self._seen.samples = samples.length
            axes = [
                whole("place" if name in "xyz" else "given", length)
                for name, length in zip(names, tensor.shape, strict=True)
            ]
            if batch is not None and samples is not None and 1 < tensor.shape[batch] == samples.length:
                axes[batch] = (Part(samples, 1, samples.length),)
            self._lineages.note(tensor, Lineage(tuple(axes)))

    def explain_unread(self) -> None:
        """Say which layers attend without a product with values from which their weights could be read."""
        for attended in self._attended.values():
            if attended.curve and not attended.is_used:
                self._seen.miss(
                    f"it computes a {attended.curve} of products of two values, as attention does, and does not use it "
                    f"in a matrix product with a third, from which the weights would be read",
                    attended.path,
                )

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """See `Watch.run`; also look for attention in it."""
        result = super().run(func, args, kwargs)
        if not isinstance(func, torch._ops.OpOverload):
            if not self._seen.in_fused and _hides_weights(func):
                self._seen.miss(f"{func} computes its attention without showing the weights")
            return result
        with torch._C.DisableTorchFunction():
            before = [self._lineages.get(tensor) for tensor in args[-2:]]
            self._lineages.after(func, args, kwargs, result)
            if not self._seen.in_fused:
                self._look(func, args, before, result)
        return result

    def _look(self, func: Any, args: tuple[Any, ...], before: list[Lineage | None], result: Any) -> None:
        packet = func.overloadpacket
        if _hides_weights(func):
            self._seen.miss(f"{func} computes its attention without showing the weights")
        elif packet in _SOFTMAXES and result.ndim > 1:
            self._soften(result, args[1] % result.ndim)
        elif packet in _PRODUCTS:
            self._look_at(args[-2], args[-1], before, result)
        elif (
            torch.Tag.pointwise in func.tags and packet not in _STRAIGHT and isinstance(result, torch.Tensor)
        ):
            lineage = self._lineages.get(result)
            if lineage is not None and lineage.is_scores and not lineage.is_weights:
                self._bend(result, lineage, _CURVES.get(packet, ""))

    def _soften(self, result: torch.Tensor, axis: int) -> None:
        lineage = self._lineages.or_unknown(result)
        if not lineage.is_scores and result.ndim < 3:
            return  # such as the probabilities of classes
        self._bend(result, lineage, "softmax" if lineage.is_scores else "", axis)

    def _bend(self, result: torch.Tensor, lineage: Lineage, curve: str, axis: int | None = None) -> None:
        """A curve put on scores: either axis may be that of the keys, until one is summed over."""
        if axis is None and not any(map(roots_of, lineage.axes)):
            return
        root = self._expect(curve)
        axes = tuple(
            _rooted(parts, root) if position == axis or roots_of(parts) else parts
            for position, parts in enumerate(lineage.axes)
        )
        curves = lineage.curves | {root}
        self._lineages.note(
            result, Lineage(axes, is_scores=lineage.is_scores, is_weights=True, curves=curves)
        )

    def _expect(self, curve: str) -> int:
        root = next(self._roots)
        self._attended[root] = Attended(self._seen.path, curve)
        return root

    def _look_at(
        self, left: torch.Tensor, right: torch.Tensor, before: list[Lineage | None], result: torch.Tensor
    ) -> None:
        """See whether a product sums over what may be the keys. A product with a parameter is a layer."""
        if memory_of(left) in self.parameters or memory_of(right) in self.parameters:
            return
        of_left, of_right = before
        made = self._lineages.or_unknown(result)
        for factor, own, other, summed, kept in (
            (left, of_left, of_right, -1, -2),
            (right, of_right, of_left, -2, -1),
        ):
            attended = self._attended_along(own, summed)
            if own is None or attended is None or (not own.is_scores and _is_choice(other, summed)):
                continue
            for root in own.curves:
                self._attended[root].is_used = True
            if other is None or not other.is_weights:
                self._report(attended, factor, own, kept, summed)
                self._lineages.note(result, Lineage(tuple(map(_rootless, made.axes))))
                return
        if of_left is not None and of_right is not None:
            is_chain = of_left.is_weights and of_right.is_weights
            root = self._expect("") if is_chain else next(self._roots)
            *batch, rows, columns = made.axes
            axes = (*map(_rootless, batch), _rooted(rows, root), _rooted(columns, root))
            curves = frozenset({root}) if is_chain else frozenset()
            self._lineages.note(result, Lineage(axes, is_scores=True, is_weights=is_chain, curves=curves))

    def _attended_along(self, lineage: Lineage | None, axis: int) -> Attended | None:
        if lineage is None or not lineage.is_weights:
            return None
        roots = sorted(roots_of(lineage.axes[axis]))
        return next((self._attended[root] for root in roots if root in self._attended), None)

    def _report(
        self, attended: Attended, factor: torch.Tensor, lineage: Lineage, kept: int, summed: int
    ) -> None:
        latest = attended.latest
        if latest is not None and latest.shape == factor.shape and torch.equal(latest, factor):
            return  # the same weights with other values, such as those of positions
        if self._seen.is_wanted:
            attended.latest = factor.clone()
            self._seen.add(factor, lineage.axes, kept, summed)


def _is_choice(values: Lineage | None, summed: int) -> bool:
    """Whether a softmax without a query weighs features or tensors, such as what experts made, not tokens."""
    along = -2 if summed == -1 else -1
    return values is not None and kind_of_axis(values.axes[along]) in ("feature", "choice")


def _rooted(parts: Parts, root: int) -> Parts:
    """The same axis as one of scores; one place alone is an axis too."""
    parts = parts or (Part(Origin("", 1), 1, 1),)
    made = (Origin(part.origin.kind, part.length, frozenset({root})) for part in parts)
    return tuple(Part(origin, 1, origin.length) for origin in made)


def _rootless(parts: Parts) -> Parts:
    return tuple(
        part
        if not part.origin.roots
        else Part(Origin(part.origin.kind, part.origin.length), part.stride, part.length)
        for part in parts
    )


_PRODUCTS = frozenset({aten.bmm, aten.baddbmm, aten.mm, aten.addmm})
_SOFTMAXES = frozenset({aten._softmax, aten._safe_softmax})
_CURVES = {
    aten.sigmoid: "sigmoid",
    aten.sigmoid_: "sigmoid",
    aten.exp: "exponential",
    aten.exp_: "exponential",
}
"""Curves of which attention is known, by the operators that draw them."""

_STRAIGHT = frozenset(
    {
        aten.add, aten.add_, aten.sub, aten.sub_, aten.rsub, aten.mul, aten.mul_, aten.div, aten.div_, aten.neg,
        aten.where, aten.masked_fill, aten.masked_fill_, aten._to_copy, aten.clone, aten.copy_, aten.fill_,
    }
)  # fmt: skip
"""Operators on single places that leave products of queries and keys what they are."""

_HIDING = re.compile(
    "flash_?att|flex_attention|efficient_attention|varlen_att|cudnn_attention|fmha|"
    "_scaled_dot_product|_native_multi_head|_transform_encoder_layer"
)


@cache
def _hides_weights(func: Any) -> bool:
    """Whether an operator computes attention in one piece, from the name it goes by."""
    return _HIDING.search(str(func)) is not None
