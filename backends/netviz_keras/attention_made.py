"""Attention that a model makes itself, of Keras' operations: seen in a pass without values, and computed anew.

It is known by what it is: what descends from products of queries and keys, bent by a softmax or another curve, and is
then summed over in a product with values. What is shown is the factor of that product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np

from netviz_core.backend_api import AxisBook, Origin, RecorderLike, leaves, replaced

from .engines import ENGINE
from .inputs import Arguments
from .kinds import keras_class
from .layers import KerasLayer
from .origin_rules import Rule, letters_of
from .origins import Follower
from .passes import unchanged
from .tensors import is_tensor
from .without_values import following, nodes_kept, symbols, tensors

Array = np.ndarray[Any, Any]

_STRAIGHT = frozenset(
    """Dropout Add Subtract Multiply Divide DivideNoNan TrueDivide Negative Where Maximum Minimum Clip Cast
    SaturateCast Copy ConvertToTensor Identity StopGradient NanToNum Tril Triu BroadcastTo Concatenate
    ExpandDims Flip GetItem Moveaxis Pad Repeat Reshape Roll Slice Split Squeeze Stack Swapaxes Take
    TakeAlongAxis Tile Transpose Unstack View""".split()
)
"""Operations on single places, and on where these stand, that leave products of queries and keys what they are."""
_REDUCING = frozenset("Amax Logsumexp Max Mean Sum".split())
_CURVES = {
    "Softmax": "softmax",
    "LogSoftmax": "softmax",
    "Exp": "exponential",
    "Exponential": "exponential",
    "Sigmoid": "sigmoid",
}
"""Curves of which attention is known, by the operations that draw them."""
_PRODUCTS = frozenset({"Matmul", "Einsum"})
_LOSING = _PRODUCTS | frozenset("Conv DepthwiseConv SeparableConv ConvTranspose Argmax Argmin Shape".split())
_UNUSED = (
    "it computes a {} of products of two values, as attention does, and does not use it in a matrix product with a "
    "third, from which the weights would be read"
)
_UNSEEN = (
    "it computes what cannot be followed without values, so that attention which it makes itself is not seen"
)


class Weights(NamedTuple):
    """Weights with which one call of a layer looks, and the names of their axes."""

    values: Any
    axes: tuple[str, ...]


MadeByCall = Mapping[str, Sequence[Sequence[Weights]]]
"""By path, what each call of a layer made itself."""


def made_by_hand(
    model: Any,
    arguments: Arguments,
    layers: Sequence[KerasLayer],
    book: AxisBook,
    recorder: RecorderLike,
    tells: Callable[[Any], bool],
) -> MadeByCall:
    """The weights of the attention that layers make themselves, but for those of which Keras `tells`."""
    without = symbols(arguments, book)
    maker = Maker(layers, book)
    maker.start(arguments[0][0] if len(arguments[0]) == 1 and not arguments[1] else arguments, *without)
    native = {layer.path: layer.native for layer in layers}
    own = {path for path in recorder.paths if not tells(native[path])}
    with (
        unchanged(model, arguments),
        keras.StatelessScope(),
        ENGINE.no_gradients(),
        nodes_kept(layers),
    ):
        try:
            with following(maker):
                model(*without[0], **without[1], training=False)
        except Exception:
            # What is the model's own fault, it raises again.
            maker.unseen |= {layer.path for layer in layers if _is_own(layer.native)}
        found = {path: calls for path, calls in maker.calls.items() if path in own and any(calls)}
        wanted = [made.factor for calls in found.values() for call in calls for made in call]
        values = dict(
            zip(map(id, wanted), maker.computed_of(wanted, without, tensors(arguments, book)), strict=True)
        )
    for path in sorted(own & maker.unseen):
        recorder.miss(path, _UNSEEN, "unsupported")
    for curve in maker.curves:
        if curve.path in own and not curve.is_used:
            recorder.miss(curve.path, _UNUSED.format(curve.name), "unsupported")
    return {
        path: [
            [_arranged(values[id(made.factor)], made, maker.of(made.factor)) for made in call]
            for call in calls
        ]
        for path, calls in found.items()
    }


def _is_own(layer: Any) -> bool:
    """Whether what a layer computes is written by somebody else than Keras."""
    return not str(type(layer).call.__module__).startswith("keras.")


@dataclass(eq=False)
class Curve:
    """A curve that was put on products of queries and keys."""

    path: str
    name: str
    is_used: bool = False


class Made(NamedTuple):
    """A factor of values, and which of its axes are those of queries and keys."""

    factor: Any
    queries: Sequence[int]
    keys: Sequence[int]


class _Step(NamedTuple):
    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any


class Maker(Follower):
    """Writes down the operations of a pass, and which of them attend."""

    def __init__(self, layers: Sequence[KerasLayer], book: AxisBook) -> None:
        super().__init__(layers, book)
        self.calls: dict[str, list[list[Made]]] = {}
        self.curves: list[Curve] = []
        self.unseen: set[str] = set()
        """Layers of the user's own that could not be seen into."""
        self._steps: list[_Step] = []
        self._open: list[str] = []
        # By the identity of tensors, which the steps that made them keep:
        self._scores: set[int] = set()
        self._curves: dict[int, frozenset[Curve]] = {}

    def entering(self) -> None:
        super().entering()
        self._open.append(self._open[-1] if self._open else "")

    def given(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        path = self._paths.get(id(layer)) if isinstance(layer, keras.Layer) else None
        if path is not None:
            self._open[-1] = path
            self.calls.setdefault(path, []).append([])
        return super().given(layer, args, kwargs)

    def leaving(self, layer: Any) -> None:
        super().leaving(layer)
        self._open.pop()

    def _place(
        self, rule: Rule | None, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        super()._place(rule, operation, args, kwargs, output)
        self._steps.append(_Step(operation, args, kwargs, output))
        if isinstance(operation, keras.Layer) and _is_own(operation):
            self.unseen.update(filter(None, [self._paths.get(id(operation))]))
            return
        given = [tensor for tensor in _parts((args, kwargs)) if self.of(tensor)]
        made = list(map(id, _parts(output)))
        name = _name_of(operation)
        if name in _PRODUCTS and len(given) == 2:
            self._multiplied(operation, given, output)
        elif name == "DotProductAttention":
            self._fused(operation, args, kwargs)
        else:
            self._passed_on(name, given, made)

    def _multiplied(self, operation: Any, given: Sequence[Any], output: Any) -> None:
        curves = [self._curves.get(id(tensor)) for tensor in given]
        if all(curves):
            self._curves[id(output)] = frozenset().union(*filter(None, curves))
            return
        for place, factor in enumerate(given):
            queries, keys = _looked(operation, given, place, len(output.shape)) if curves[place] else ([], [])
            if keys:
                self._find(Made(factor, queries, keys))
                return
        self._scores.add(id(output))

    def _find(self, found: Made) -> None:
        for curve in self._curves[id(found.factor)]:
            curve.is_used = True
        call = self.calls.setdefault(self._path, [[]])[-1]
        if all(found.factor is not made.factor for made in call):
            call.append(found)

    def _fused(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Compute its weights by operations, which are written down like those of the model."""
        factor = _fused_weights(operation, *args, **kwargs)
        self._find(Made(factor, [2], [3]))

    def _passed_on(self, name: str, given: Sequence[Any], made: Sequence[int]) -> None:
        if name in _LOSING and not (len(given) == 1 and len(given[0].shape) > 3):  # a kernel may mix heads
            return
        curves = frozenset().union(*(self._curves.get(id(tensor), ()) for tensor in given))
        if not curves and any(id(tensor) in self._scores for tensor in given):
            if name in _STRAIGHT | _LOSING:
                self._scores.update(made)
                return
            if name in _REDUCING:
                return
            curves = frozenset({Curve(self._path, _CURVES.get(name, ""), name not in _CURVES)})
            self.curves += curves
        if curves:
            self._curves.update(dict.fromkeys(made, curves))

    @property
    def _path(self) -> str:
        return self._open[-1] if self._open else ""

    def computed_of(self, wanted: Sequence[Any], given: Arguments, values: Arguments) -> list[Any]:
        """Compute what stands for these tensors, when the model is given these values."""
        known = dict(zip(map(id, _parts(given)), _parts(values), strict=True))
        needed = set(map(id, wanted))
        steps = []
        for step in reversed(self._steps):
            if needed & set(map(id, _parts(step.output))):
                needed.update(map(id, _parts((step.args, step.kwargs))))
                steps.append(step)

        def value(tensor: Any) -> Any:
            return known.get(id(tensor), tensor)

        for operation, args, kwargs, output in reversed(steps):
            returned = operation(*replaced(args, is_tensor, value), **replaced(kwargs, is_tensor, value))
            known.update(zip(map(id, _parts(output)), _parts(returned), strict=True))
        return list(map(value, wanted))


def _name_of(operation: Any) -> str:
    """The name of the class of an operation, or of a layer's activation."""
    if not isinstance(operation, keras.Layer):
        return type(operation).__name__
    activation = getattr(operation, "activation", None)
    return getattr(activation, "__name__", "").title() or keras_class(operation, ("Softmax", "Dropout"))


def _parts(structure: Any) -> list[Any]:
    return [tensor for _, tensor in leaves(structure, is_tensor)]


def _looked(operation: Any, given: Sequence[Any], place: int, rank: int) -> tuple[list[int], list[int]]:
    """The axes of queries and of keys of one factor of a product; no keys where it is not summed over."""
    ranks = [len(tensor.shape) for tensor in given]
    if type(operation).__name__ == "Matmul":
        first, second = ranks[place] - 2, ranks[place] - 1
        return ([], []) if min(ranks) < 2 else ([second], [first]) if place else ([first], [second])
    inputs, _, output = operation.subscripts.replace(" ", "").partition("->")
    terms = list(map(letters_of, inputs.split(","), ranks))
    own, other, kept = terms[place], terms[1 - place], letters_of(output, rank)
    queries = [axis for axis, letter in enumerate(own) if letter in kept and letter not in other]
    keys = [axis for axis, letter in enumerate(own) if letter not in kept and letter in other]
    return queries, keys


def _fused_weights(
    operation: Any, query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, scale: Any = None
) -> Any:
    """The weights of ``keras.ops.dot_product_attention``, ``(batch, head, query, key)``."""
    ops = keras.ops
    if key.shape[2] != query.shape[2]:
        key = ops.repeat(key, query.shape[2] // key.shape[2], axis=2)
    scores = ops.einsum("btnh,bsnh->bnts", ops.cast(query, "float32"), ops.cast(key, "float32"))
    scores = scores * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if operation.attn_logits_soft_cap is not None:
        scores = ops.tanh(scores / operation.attn_logits_soft_cap) * operation.attn_logits_soft_cap
    if bias is not None:
        scores = scores + ops.cast(bias, "float32")
    if mask is not None:
        scores = ops.where(mask, scores, _HIDDEN)
    if operation.is_causal:
        scores = ops.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, _HIDDEN)
    return ops.softmax(scores, axis=-1)


_HIDDEN = -0.7 * float(np.finfo(np.float32).max)  # as Keras has it


def _arranged(values: Any, made: Made, origin: Origin) -> Weights:
    """Weights with the axes (batch, window if there are any, head, query, key), told by where they come from."""
    shape = tuple(values.shape)
    leading = [axis for axis in range(len(shape)) if axis not in (*made.queries, *made.keys)]
    parts = _Leading(origin, shape, leading, made.queries)
    order = [*leading, *made.queries, *made.keys]
    looking = [shape[axis] for axis in order[len(leading) :]]
    values = keras.ops.reshape(keras.ops.transpose(values, order), [*parts.sizes, *looking])
    roles = [*parts.roles, *["query"] * len(made.queries), *["key"] * len(made.keys)]
    names = ["batch", "window", "head", "query", "key"]
    groups = [[axis for axis, role in enumerate(roles) if role == name] for name in names]
    lengths = [math.prod(values.shape[axis] for axis in group) for group in groups]
    values = keras.ops.transpose(values, [axis for group in groups for axis in group])
    if not parts.samples_are_known:
        names[0] = "axis0"
    if lengths[1] == 1:
        del lengths[1], names[1]
    return Weights(keras.ops.reshape(values, lengths), tuple(names))


class _Leading:
    """The axes of weights before those of queries and keys: of samples, windows and heads, folded together or not."""

    def __init__(
        self, origin: Origin, shape: Sequence[int], axes: Sequence[int], queries: Sequence[int]
    ) -> None:
        self.sizes = [shape[axis] for axis in axes]
        self.roles = ["head"] * len(axes)
        self.samples_are_known = False
        places = []
        for key, stretch in origin.items():
            low, high = (np.broadcast_to(end, shape) for end in stretch)
            others = tuple(axis for axis in range(len(shape)) if axis not in axes)
            start, end = low.min(axis=others), high.max(axis=others)
            if key.axis == 0 and not self.samples_are_known:
                self._part(start, end)
            elif any((low != low.take([0], axis)).any() for axis in queries):
                places.append(start)
        for place in range(len(self.sizes)):
            # What lies at other places than its neighbour does not look at the same tokens.
            if self.roles[place] == "head" and any(self._differs(start, place) for start in places):
                self.roles[place] = "window"
        if not self.samples_are_known:
            self.roles = ["batch"] * len(axes)

    def _part(self, start: Array, end: Array) -> None:
        """Find the axis of samples, and part it from what was folded into it."""
        if not (end - start < _ONE).all():
            return
        samples = start.astype(int)
        count = int(samples.max()) + 1 if samples.size else 0
        along = [axis for axis in range(samples.ndim) if (samples != samples.take([0], axis)).any()]
        if not along:
            self.samples_are_known = count == 1
            return
        axis = along[0]
        numbers = np.moveaxis(samples, axis, 0).reshape(samples.shape[axis], -1)[:, 0]
        folded = len(numbers) // count
        for parts, known, roles in (
            ((count, folded), np.repeat(np.arange(count), folded), ["batch", "head"]),
            ((folded, count), np.tile(np.arange(count), folded), ["head", "batch"]),
        ):
            if len(along) == 1 and np.array_equal(numbers, known):
                self.sizes[axis : axis + 1], self.roles[axis : axis + 1] = parts, roles
                self.samples_are_known = True
                return

    def _differs(self, start: Array, place: int) -> bool:
        start = start.reshape(self.sizes)
        return bool((start != start.take([0], place)).any())


_ONE = 1.01
"""The length of one sample, and what rounding adds."""
