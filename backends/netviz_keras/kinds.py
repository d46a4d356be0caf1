"""What each Keras layer, and each operation of a functional graph, is in netviz' words."""

from __future__ import annotations

from types import FunctionType
from typing import Any

_KIND_OF_CLASS = {
    "Model": "container",
    "Wrapper": "container",
    "InputLayer": "input",
    "Conv1D": "conv1d",
    "Conv2D": "conv2d",
    "Conv3D": "conv3d",
    "Conv1DTranspose": "conv1d_transpose",
    "Conv2DTranspose": "conv2d_transpose",
    "Conv3DTranspose": "conv3d_transpose",
    "DepthwiseConv1D": "depthwise_conv1d",
    "DepthwiseConv2D": "depthwise_conv2d",
    "SeparableConv1D": "separable_conv1d",
    "SeparableConv2D": "separable_conv2d",
    "Dense": "dense",
    "EinsumDense": "einsum_dense",
    "Embedding": "embedding",
    "BatchNormalization": "batch_norm",
    "LayerNormalization": "layer_norm",
    "GroupNormalization": "group_norm",
    "RMSNormalization": "rms_norm",
    "LSTM": "lstm",
    "LSTMCell": "lstm",
    "GRU": "gru",
    "GRUCell": "gru",
    "SimpleRNN": "rnn",
    "SimpleRNNCell": "rnn",
    "ConvLSTM": "other",
    "RNN": "rnn",
    "Bidirectional": "rnn",
    "MultiHeadAttention": "attention",
    "GroupedQueryAttention": "attention",
    "Attention": "attention",
    **dict.fromkeys(("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"), "activation"),
    **dict.fromkeys(("BasePooling", "BaseGlobalPooling", "BaseAdaptivePooling"), "pool"),
    **dict.fromkeys(("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"), "dropout"),
    **dict.fromkeys(("Flatten", "Reshape", "Permute", "RepeatVector"), "reshape"),
    "Merge": "merge",
}
"""By the name of the class or of the nearest base class that Keras itself defines."""

_KIND_OF_OPERATION = {
    **dict.fromkeys(
        "Add Subtract Multiply Divide TrueDivide Maximum Minimum Concatenate Stack Dot Matmul Einsum".split(),
        "merge",
    ),
    **dict.fromkeys(
        """Celu Elu Gelu Glu HardShrink HardSigmoid HardSilu HardTanh LeakyRelu LogSigmoid LogSoftmax Relu Relu6
        Selu Sigmoid Silu SoftShrink Softmax Softplus Softsign SparsePlus SparseSigmoid Sparsemax Squareplus Tanh
        TanhShrink Threshold""".split(),
        "activation",
    ),
    **dict.fromkeys(
        "ExpandDims Flatten Moveaxis Ravel Reshape Squeeze Swapaxes Transpose".split(), "reshape"
    ),
    **dict.fromkeys("MaxPool AveragePool AdaptiveMaxPool AdaptiveAveragePool".split(), "pool"),
}
"""The same for the nodes that ``keras.ops`` functions leave in a functional graph."""

_RECURRENT = frozenset({"lstm", "gru", "rnn"})
_DEPTHWISE = {"conv1d": "depthwise_conv1d", "conv2d": "depthwise_conv2d"}


def keras_class(native: Any, table: Any) -> str:
    """The name of the nearest class above `native` that is Keras' own and stands in `table`; else empty."""
    for cls in type(native).__mro__:
        if cls.__name__ in table and cls.__module__.partition(".")[0] == "keras":
            return str(cls.__name__)
    return ""


def is_of_keras(value: Any) -> bool:
    """Whether a function is defined in Keras, or any other value of a class that is."""
    defined_by = value if isinstance(value, (FunctionType, type)) else type(value)
    return defined_by.__module__.partition(".")[0] == "keras"


def kind_of(native: Any) -> str:
    """The kind of a layer or operation, users' subclasses of Keras' layers included."""
    if not hasattr(native, "_layers"):
        return _KIND_OF_OPERATION.get(keras_class(native, _KIND_OF_OPERATION), "other")
    name = keras_class(native, _KIND_OF_CLASS)
    if not name:
        return "container" if native._layers else "other"
    return _refined(_KIND_OF_CLASS[name], native)


def _refined(kind: str, layer: Any) -> str:
    """Settle what the class alone does not tell."""
    if keras_class(layer, ("Bidirectional",)):
        return kind_of(layer.forward_layer)
    if kind == "rnn":
        cells = {kind_of(cell) for cell in cells_of(layer)}
        return cells.pop() if len(cells) == 1 and cells < _RECURRENT else "rnn"
    if kind in _DEPTHWISE and layer.groups > 1 and layer.built and layer.kernel.shape[-2] == 1:
        return _DEPTHWISE[kind]
    if kind == "group_norm" and layer.groups in (-1, _channels(layer)):
        return "instance_norm"
    return kind


def cells_of(layer: Any) -> list[Any]:
    """The cells of a recurrent layer, one for each of its stacked layers."""
    cell = getattr(layer, "cell", None)
    return list(getattr(cell, "cells", [cell])) if cell is not None else []


def _channels(layer: Any) -> int | None:
    return layer.input_spec.axes.get(layer.axis) if layer.built else None
