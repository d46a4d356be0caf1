"""From the origins of what an operation of Keras' is given to those of what it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import numpy as np

from netviz_core.backend_api import Origin, Origins, leaves, placing

from .kinds import keras_class, kind_of
from .tensors import as_numpy, is_tensor

Array = np.ndarray[Any, Any]


class Book(Protocol):
    """Knows where in the input the elements of tensors lie."""

    origins: Origins

    def of(self, tensor: Any) -> Origin:
        """Where the elements of a tensor lie; empty for what does not depend on the input."""


Rule = Callable[[Book, Any, tuple[Any, ...], dict[str, Any], Sequence[Any]], "list[Origin] | None"]
"""From what an operation is given to the origins of what it made; None where that cannot be said."""


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()))


def _same(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    """Norms, softmax, copies: each element stays where it is."""
    given = _first(args, kwargs)
    return [placing.broadcast(book.of(given), made[0].shape)] if given.shape == made[0].shape else None


def _elementwise(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    given = [book.of(tensor) for _, tensor in leaves((args, kwargs), is_tensor)]
    return [placing.joined(filter(None, given), made[0].shape)]


def _moving(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    """What only moves elements: done to their places too."""
    first, rest = args[0], args[1:]
    values = [tensor for _, tensor in leaves(first, is_tensor)]
    if any(isinstance(tensor, keras.KerasTensor) for _, tensor in leaves((rest, kwargs), is_tensor)):
        return None  # which element goes where depends on the input

    def move(number: int) -> Callable[[list[Array]], Array]:
        def done(ends: list[Array]) -> Array:
            tensors = [keras.ops.convert_to_tensor(np.ascontiguousarray(end)) for end in ends]
            changed = list(tensors) if isinstance(first, (list, tuple)) else tensors[0]
            result = operation.call(changed, *rest, **kwargs)
            return np.array(as_numpy(result[number] if isinstance(result, (list, tuple)) else result))

        return done

    shapes = [tensor.shape for tensor in values]
    return [placing.moved(list(map(book.of, values)), shapes, move(number)) for number in range(len(made))]


def _reshaped(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    return [placing.reshaped(book.of(_first(args, kwargs)), made[0].shape)]


def _concatenated(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    parts = [tensor for _, tensor in leaves((args, kwargs), is_tensor)]
    return [placing.concatenated(list(map(book.of, parts)), [part.shape for part in parts], operation.axis)]


def _reduced(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    """Sums, averages, maxima along axes."""
    given = _first(args, kwargs)
    rank = len(given.shape)
    axes = getattr(operation, "axis", getattr(operation, "axes", None))
    chosen = range(rank) if axes is None else [axes] if isinstance(axes, int) else axes
    chosen = {axis % rank for axis in chosen}
    left = len(made[0].shape)
    if left not in (rank, rank - len(chosen)):
        return None
    return [placing.hull(book.of(given), chosen, keepdims=left == rank)] * len(made)


def _product(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    left, right = args[:2]
    if min(len(left.shape), len(right.shape)) < 2:
        return None
    return [placing.multiplied(book.of(left), book.of(right), made[0].shape)]


def _einsum(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    """Each operand's axes that are not summed over, at their places in the result."""
    inputs, arrow, output = operation.subscripts.replace(" ", "").partition("->")
    terms, rank = inputs.split(","), len(made[0].shape)
    if not arrow or len(terms) != len(args):
        return None
    output = letters_of(output, rank)
    ranks = [len(tensor.shape) for tensor in args]
    found = []
    for term, tensor in zip(terms, args, strict=True):
        letters = letters_of(term, len(tensor.shape))
        if len(set(letters)) < len(letters):
            return None
        origin = placing.hull(
            book.of(tensor), [i for i, letter in enumerate(letters) if letter not in output]
        )
        kept = [letter for letter in output if letter in letters]
        order = [letters.index(letter) for letter in kept] + [
            i for i, s in enumerate(letters) if s not in output
        ]
        where = [i for i, letter in enumerate(output) if letter in letters]

        def move(ends: list[Array], order: Any = order, where: Any = where, kept: Any = kept) -> Array:
            end = ends[0].transpose(order)
            sizes = dict(zip(where, end.shape[: len(kept)], strict=True))
            return end.reshape([sizes.get(axis, 1) for axis in range(rank)])

        thin = [
            1 if letter not in output else size for letter, size in zip(letters, tensor.shape, strict=True)
        ]
        found.append(placing.moved([origin], [thin], move))
    if len(found) != 2:
        return [placing.joined(filter(None, found), made[0].shape)]
    own = [
        {i for i, s in enumerate(output) if s not in term}
        for term in map(letters_of, terms[::-1], ranks[::-1])
    ]
    return [placing.paired(found[0], found[1], own[0], own[1], made[0].shape)]


def letters_of(term: str, rank: int) -> str:
    """A term of an einsum with letters in the place of its ellipsis, the same wherever it stands."""
    missing = rank - len(term.replace("...", ""))
    return term.replace("...", "".join(chr(ord("A") + 25 - i) for i in reversed(range(missing))))


def _convolved(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    return _along_space(book, operation, _first(args, kwargs), made, sums=True)


def _pooled(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    return _along_space(book, operation, _first(args, kwargs), made, sums=False)


def _along_space(book: Book, operation: Any, given: Any, made: Sequence[Any], sums: bool) -> Any:
    rank = len(given.shape)
    data_format = getattr(operation, "data_format", None) or keras.config.image_data_format()
    is_first = data_format == "channels_first"
    space = range(2, rank) if is_first else range(1, rank - 1)
    if rank < 3 or len(made[0].shape) != rank:
        return None
    channel = (1 if is_first else rank - 1) if sums else None
    return [book.origins.convolved(book.of(given), given.shape, made[0].shape, space, channel)] * len(made)


def _taken(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    """Entries of the input, or, as in an embedding, of a table by the numbers in the input."""
    table, index = args[:2]
    if book.of(table):
        return _moving(book, operation, args, kwargs, made)
    rank = len(made[0].shape)
    if operation.axis != 0 or len(index.shape) > rank:
        return None
    shape = (*index.shape, *(1,) * (rank - len(index.shape)))
    found = placing.moved([book.of(index)], [index.shape], lambda ends: ends[0].reshape(shape))
    return [placing.broadcast(found, made[0].shape)]


def _padded(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    widths = operation.pad_width if len(operation.pad_width) > 1 else operation.pad_width * len(made[0].shape)
    return [placing.with_margins(book.of(args[0]), widths)]


def _cropped(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    """The middle of pictures; where they are smaller they are resized."""
    given, rank = _first(args, kwargs), len(made[0].shape)
    over = [before - after for before, after in zip(given.shape, made[0].shape, strict=True)]
    if rank != len(given.shape) or min(over) < 0:
        return None
    return [placing.with_margins(book.of(given), [(-(cut // 2), cut // 2 - cut) for cut in over])]


def _attention(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    """Fused attention of ``(batch, token, head, feature)``."""
    query, _, value = args[:3]
    parts = placing.hull(book.of(query), (-1,)), placing.hull(book.of(value), (1, -1))
    return [placing.paired(*parts, {1}, (), made[0].shape)]


def _recurrent(book: Book, operation: Any, args: Any, kwargs: Any, made: Sequence[Any]) -> Any:
    """What a recurrent layer returns for a step lies at that step; its last states at all of them."""
    given = _first(args, kwargs)
    origin = book.of(given)
    if keras_class(operation, ("ConvLSTM",)):
        return None
    by_step, last = placing.hull(origin, (-1,)), placing.hull(origin, (1, -1))
    return [
        placing.broadcast(by_step, tensor.shape)
        if len(tensor.shape) == 3
        and tensor.shape[1] == given.shape[1]
        and operation.return_sequences
        and not number
        else placing.broadcast(
            placing.moved([last], [(given.shape[0], 1, 1)], lambda ends: ends[0][:, 0]), tensor.shape
        )
        for number, tensor in enumerate(made)
    ]


_RULES: dict[str, Rule] = {
    **dict.fromkeys(
        """
        BatchNorm LayerNorm RMSNorm Normalize Softmax LogSoftmax Sparsemax Cast SaturateCast ConvertToTensor Copy
        StopGradient Identity Cumsum NanToNum
        """.split(),
        _same,
    ),
    **dict.fromkeys(
        """
        Absolute Abs Add Angle Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh BitwiseAnd BitwiseNot BitwiseOr
        BitwiseXor Cbrt Ceil Clip Cos Cosh Equal Exp Exp2 Expm1 Floor Greater GreaterEqual Heaviside Hypot Isfinite
        Isinf Isnan Less LessEqual Log Log10 Log1p Log2 Logaddexp LogicalAnd LogicalNot LogicalOr LogicalXor Maximum
        Minimum Fmax Fmin Mod NotEqual Reciprocal Round Sign Sin Sinc Sinh Tan Tanh Trunc Where Subtract Multiply
        Divide DivideNoNan TrueDivide Power Negative Square Sqrt FloorDivide Relu Relu6 Sigmoid SparseSigmoid
        Softplus Softsign SoftShrink SparsePlus Silu Squareplus LogSigmoid LeakyRelu HardSigmoid HardSilu Elu Selu
        Gelu Celu ReLU TanhShrink HardTanh HardShrink Threshold Rsqrt Erf Erfc
        """.split(),
        _elementwise,
    ),
    **dict.fromkeys(
        """
        Rot90 BroadcastTo Diagonal ExpandDims Flip Fliplr Flipud GetItem Moveaxis Repeat Roll Split
        Stack Swapaxes Tile Tril Triu Squeeze Transpose Unstack Slice View ExtractPatches DepthToSpace SpaceToDepth
        Hsplit Vsplit Dsplit ArraySplit
        """.split(),
        _moving,
    ),
    **dict.fromkeys(
        """
        All Any Amax Amin Argmax Argmin CountNonzero Max Min Mean Nanmax Nanmean Nanmin Nansum Prod Std Var Sum
        Logsumexp Moments Norm Median
        """.split(),
        _reduced,
    ),
    **dict.fromkeys("Conv DepthwiseConv SeparableConv ConvTranspose".split(), _convolved),
    **dict.fromkeys("MaxPool AveragePool AdaptiveMaxPool AdaptiveAveragePool Resize".split(), _pooled),
    "Concatenate": _concatenated,
    "Matmul": _product,
    "Reshape": _reshaped,
    "Ravel": _reshaped,
    "Einsum": _einsum,
    "Take": _taken,
    "Pad": _padded,
    "DotProductAttention": _attention,
}

_RULES_OF_LAYERS: dict[str, Rule] = {
    **dict.fromkeys(("UpSampling1D", "UpSampling2D", "UpSampling3D", "Resizing"), _pooled),
    **dict.fromkeys(("Rescaling", "Normalization"), _same),
    "CenterCrop": _cropped,
    "BaseImagePreprocessingLayer": _same,  # a picture of the same size is not altered in evaluation mode
    "RNN": _recurrent,
}


_KEEPING = frozenset("batch_norm layer_norm group_norm instance_norm rms_norm activation dropout".split())


def rule_of(operation: Any) -> Rule | None:
    if not isinstance(operation, keras.Layer):
        return _RULES.get(type(operation).__name__)
    kind = kind_of(operation)
    if kind in _KEEPING:
        return _same
    if (
        kind.startswith(("conv", "depthwise_conv", "separable_conv"))
        and type(operation).call.__module__[:6] == "keras."
    ):
        return _convolved
    return _RULES_OF_LAYERS.get(keras_class(operation, _RULES_OF_LAYERS))
