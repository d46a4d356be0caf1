"""The words for what happens to tensors between layers, the same in every framework."""

from __future__ import annotations

import re
from collections.abc import Mapping

OUTPUT = "output"
"""The operation with which every trace ends: the model returns its inputs. It has no outputs."""

NOT_FOLLOWED = "not followed"
"""The operation that stands for what could not be seen: its outputs may stem from its inputs."""

_WORDS_OF_KIND = {
    "merge": """
        add subtract multiply divide maximum minimum matmul einsum outer concatenate stack where
        logical_and logical_or logical_xor equal not_equal greater greater_equal less less_equal
    """,
    "reshape": """
        reshape flatten unflatten transpose squeeze expand_dims broadcast tile repeat split unstack slice
        gather scatter pad crop flip roll pixel_shuffle channel_shuffle unfold fold space_to_depth
    """,
    "activation": """
        relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish swiglu glu sigmoid log_sigmoid tanh
        hard_sigmoid hard_swish hard_tanh softplus softsign softmax softmin log_softmax sparsemax
        threshold hard_shrink soft_shrink tanh_shrink squareplus
    """,
    "pool": """
        max_pool average_pool lp_pool adaptive_max_pool adaptive_average_pool global_max_pool
        global_average_pool max_unpool fractional_max_pool
    """,
    "dropout": "dropout alpha_dropout spatial_dropout stochastic_depth",
    "attention": "attention",
    "embedding": "embedding",
    "dense": "dense",
    "conv1d": "conv1d",
    "conv2d": "conv2d",
    "conv3d": "conv3d",
    "conv1d_transpose": "conv1d_transpose",
    "conv2d_transpose": "conv2d_transpose",
    "conv3d_transpose": "conv3d_transpose",
    "batch_norm": "batch_norm",
    "layer_norm": "layer_norm",
    "group_norm": "group_norm",
    "instance_norm": "instance_norm",
    "rms_norm": "rms_norm",
    "other": """
        mean sum product max min variance std norm logsumexp cumulative_sum argmax argmin topk sort all any
        normalize interpolate grid_sample one_hot power sqrt rsqrt square exp log sin cos erf abs negative
        reciprocal sign floor ceil round clip cast logical_not fft inverse_fft distance cosine_similarity
    """,
}

OPERATIONS: Mapping[str, str] = {
    **{word: kind for kind, words in _WORDS_OF_KIND.items() for word in words.split()},
    OUTPUT: "other",
}
"""From each word for an operation to its kind, one of `netviz_core.words.protocols.KINDS`.

Which word an operation of a framework has:

- `flatten` makes one axis of several, `unflatten` several of one, `reshape` is any other; views and
  copies are not told apart. `transpose` is any order of axes; `expand_dims` and `squeeze` add and drop
  axes of length one. `slice` is every reading by index or range, `split` every parting into several tensors.
- `max` and `min`, `mean` and `sum` go along axes; `maximum` and `minimum` compare two tensors.
- Pools go by what they do, whatever the number of axes: `adaptive_average_pool` has a size of
  output given, `global_average_pool` has no axes of space left.
- `attention` is scaled dot-product attention in one piece; `dense`, the convolutions, the norms and
  `embedding` are the functional forms of these layers.
- `normalize` divides by a norm; `interpolate` is any change of resolution.
- `not followed` stands for what could not be seen, such as what NumPy does.
- `output` is the last call of a trace, whose inputs are the tensors that the model returned.
"""

_SYNONYMS = {
    "avg": "average",
    "pooling": "pool",
    "zeropadding": "pad",
    "cropping": "crop",
    "hardsilu": "hardswish",
    "thresholdedrelu": "threshold",
    "permute": "transpose",
    "repeatvector": "repeat",
}


def word_for(name: str) -> str | None:
    """The word for an operation or a layer by a name that it has in some framework, if there is one.

    Examples
    --------
    >>> word_for("AdaptiveAvgPool2d"), word_for("leaky_relu_"), word_for("Conv2d"), word_for("Swizzle")
    ('adaptive_average_pool', 'leaky_relu', 'conv2d', None)
    """
    letters = name.replace("_", "").lower()
    for theirs, ours in _SYNONYMS.items():
        letters = letters.replace(theirs, ours)
    return _BY_LETTERS.get(letters) or _BY_LETTERS.get(re.sub(r"[123]d$", "", letters))


_BY_LETTERS = {word.replace("_", ""): word for word in OPERATIONS}
