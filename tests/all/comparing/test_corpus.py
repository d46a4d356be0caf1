"""A slice of the corpus of ports (``benchmarks.ports``): each comparison says what is so, and nothing else."""

from __future__ import annotations

import pytest

from benchmarks.ports.cases import all_cases
from benchmarks.ports.judging import judged

pytestmark = pytest.mark.filterwarnings("ignore")

RIGHT = """
right/mlp/torch>torch/float32/as it is
right/unet/torch>torch/float32/as it is
right/bert/torch>torch/float32/as it is
right/deep resnet/torch>torch/float32/folded norms
right/inception/torch>torch/float32/folded norms
right/densenet/torch>torch/float32/functional
right/vit with whole attention/torch>torch/float32/functional
right/deep cnn/torch>torch/float32/padding before
right/gan/torch>torch/bfloat16/as it is
right/unet bilinear/torch>torch/bfloat16/folded norms
right/cnn/torch>torch/float16/folded norms
right/birnn/torch>torch/float16/functional
""".strip().splitlines()

FAULTY = """
faults/cnn/torch>torch/float32/as it is/epsilon/0
faults/inception/torch>torch/float32/permuted heads/training mode/8
faults/mobile/torch>torch/float32/as it is/instance norm for batch norm/15
faults/vit/torch>torch/float32/as it is/RMS norm for layer norm/21
faults/unet bilinear/torch>torch/float32/sdpa/running statistics/35
faults/deep llama/torch>torch/float32/nested otherwise/scale of a norm/43
faults/gpt/torch>torch/float32/settings of training/activation/50
faults/vit/keras>torch/float32/sdpa/exactness of GELU/58
faults/crnn/torch>torch/float32/as it is/missing activation/63
faults/cnn/keras>torch/float32/rescaled units/slope/70
faults/mlp/torch>keras/float32/built in/activation built in/80
faults/cnn/torch>keras/float32/built in and reordered/padding/86
faults/autoencoder/torch>torch/float32/stacked/padding mode/91
faults/cnn/torch>torch/float32/as it is/stride/105
faults/crnn/torch>torch/float32/rescaled units/groups/116
faults/rnn lstm/torch>keras/float32/as it is/transposed kernel/120
faults/cnn/torch>keras/float32/as it is/exchanged y and x/126
faults/deep resnet/keras>torch/float32/as it is/flipped kernel/135
faults/mlp/keras>torch/float32/as it is/missing bias/156
faults/llama/torch>torch/float32/functional/layer norm for RMS norm/28
faults/birnn/torch>torch/float32/identities/rows permuted/140
faults/deep llama/torch>torch/bfloat16/as it is/columns permuted/147
faults/tcn/keras>torch/float16/scaled weights/one value/164
faults/deep mlp/keras>torch/float32/permuted and nested/one channel/170
faults/mlp/torch>torch/float32/branches reordered/2 faults/1000
faults/crnn gru/torch>keras/float32/separable/2 faults/1010
faults/yolo/torch>keras/float32/permuted units/2 faults/1016
faults/cnn/torch>torch/bfloat16/renamed/3 faults/1027
faults/crnn gru/keras>torch/float32/as it is/3 faults/1035
""".strip().splitlines()


@pytest.fixture(scope="module")
def corpus():
    return {case.name: case for case in all_cases()}


def test_the_corpus_is_as_large_as_it_is_said_to_be(corpus):
    groups = [case.group for case in corpus.values()]
    assert groups.count("right") >= 80
    assert groups.count("faults") >= 300
    assert groups.count("real") >= 30


@pytest.mark.parametrize("name", [*RIGHT, *FAULTY])
def test_a_comparison_says_what_is_so(corpus, name):
    verdict = judged(corpus[name])
    assert verdict.status == "compared", verdict.said
    assert verdict.is_right, verdict
