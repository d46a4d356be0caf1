"""Attention weights against those that modules return themselves, and against the formula."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv
from benchmarks.torchvision_models import models
from netviz_core.captures.recorder import Recorder

AXES = ("batch", "head", "query", "key")


def looked_at(model: nn.Module, inputs, layers="*") -> nv.Capture:
    network = nv.wrap(model)
    recorder = Recorder(network.select(layers))
    network.adapter.attention(model, inputs, recorder)
    capture = nv.Capture("torch", recorder)
    for key in capture:
        assert capture[key].axes == AXES
        assert capture[key].values.dtype in (np.float32, np.float64)
    return capture


def assert_close(found: np.ndarray, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-5)


class Calling(nn.Module):
    """Calls what it holds with more than tensors."""

    def __init__(self, layer: nn.Module, **options) -> None:
        super().__init__()
        self.layer = layer
        self.options = options

    def forward(self, *tensors):
        return self.layer(*tensors, **self.options)


torch.manual_seed(0)  # for the masks below


def named(options: dict) -> str:
    return " ".join(options) or "plain"


def causal(length: int) -> torch.Tensor:
    return torch.ones(length, length, dtype=torch.bool).triu(1)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(
    ("layer", "call"),
    [
        ({}, {}),
        ({"batch_first": True}, {}),
        ({"batch_first": True, "add_bias_kv": True}, {}),
        ({"batch_first": True, "add_zero_attn": True}, {}),
        ({"batch_first": True, "bias": False, "kdim": 6, "vdim": 4}, {}),
        ({"batch_first": True}, {"attn_mask": torch.randn(4, 5)}),
        ({"batch_first": True}, {"attn_mask": torch.randn(6, 4, 5) > 1}),
        ({"batch_first": True}, {"key_padding_mask": torch.tensor([[False] * 5, [False] * 3 + [True] * 2])}),
        ({"batch_first": True}, {"average_attn_weights": False}),
        ({"batch_first": True, "dropout": 0.5}, {}),
    ],
    ids=named,
)
def test_multihead_attention(layer, call, need_weights):
    torch.manual_seed(0)
    module = nn.MultiheadAttention(9, 3, **layer)
    query, key = torch.randn(2, 4, 9), torch.randn(2, 5, module.kdim)
    value = torch.randn(2, 5, module.vdim)
    if not module.batch_first:
        query, key, value = (part.transpose(0, 1) for part in (query, key, value))
    module.eval()
    _, expected = module(query, key, value, **{**call, "average_attn_weights": False})
    found = looked_at(Calling(module.train(), need_weights=need_weights, **call), (query, key, value))
    assert list(found) == ["layer"]
    assert_close(found["layer"].values, expected)
    assert module.training


def test_multihead_attention_without_a_batch():
    module = nn.MultiheadAttention(8, 2).eval()
    x = torch.randn(5, 8)
    for need_weights in (True, False):
        found = looked_at(Calling(module, need_weights=need_weights), (x, x, x))
        assert_close(found["layer"].values[0], module(x, x, x, average_attn_weights=False)[1])


def test_multihead_attention_that_is_causal():
    module, x = nn.MultiheadAttention(8, 2, batch_first=True).eval(), torch.randn(2, 5, 8)
    options = {"attn_mask": causal(5), "is_causal": True}
    expected = module(x, x, x, average_attn_weights=False, **options)[1]
    for need_weights in (True, False):
        found = looked_at(Calling(module, need_weights=need_weights, **options), (x, x, x))
        assert_close(found["layer"].values, expected)


@pytest.mark.parametrize(("need_weights", "average"), [(True, True), (True, False), (False, True)])
def test_what_the_model_gets_back_is_its_own(need_weights, average):
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2)
            self.seen: list = []

        def forward(self, x):
            given = self.attention(x, x, x, need_weights=need_weights, average_attn_weights=average)
            seen.append(given)
            return given[0]

    seen: list = []
    model, x = Model().eval(), torch.randn(3, 2, 8)
    with torch.no_grad():
        model(x)
    looked_at(model, x)
    (output, weights), (same, given) = seen
    assert torch.equal(output, same)
    assert (weights is None and given is None) or torch.equal(weights, given)


def encoder(**options) -> nn.TransformerEncoder:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **options)
    return nn.TransformerEncoder(layer, 2)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning")
def test_the_layers_of_a_fused_transformer(norm_first):
    model, x = encoder(norm_first=norm_first), torch.randn(2, 5, 8)
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    for inputs in ({"src": x}, {"src": x, "src_key_padding_mask": padding}):
        found = looked_at(model, inputs)
        assert list(found) == ["layers.0.self_attn", "layers.1.self_attn"]
        first = model.layers[0]
        y = first.norm1(x) if norm_first else x
        first.eval()
        mask = inputs.get("src_key_padding_mask")
        expected = first.self_attn(y, y, y, key_padding_mask=mask, average_attn_weights=False)[1]
        first.train()
        assert_close(found["layers.0.self_attn"].values, expected)
        if mask is not None:
            assert not found["layers.1.self_attn"].values[1, :, :, 3:].any()
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_whole_transformer():
    torch.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    found = looked_at(model, (torch.randn(2, 5, 8), torch.randn(2, 3, 8)))
    shapes = {key: found[key].shape for key in found}
    assert shapes == {
        "encoder.layers.0.self_attn": (2, 2, 5, 5),
        "decoder.layers.0.self_attn": (2, 2, 3, 3),
        "decoder.layers.0.multihead_attn": (2, 2, 3, 5),
    }


class ScaledDotProduct(nn.Module):
    def __init__(self, **options) -> None:
        super().__init__()
        self.options = options

    def forward(self, query, key, value):
        return F.scaled_dot_product_attention(query, key, value, **self.options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 0.3},
        {"attn_mask": torch.randn(4, 5)},
        {"attn_mask": torch.tensor([[True, True, False, True, False]])},
        {"attn_mask": torch.randn(2, 1, 4, 5) > -1},
        {"is_causal": True},
        {"dropout_p": 0.5},
        {"enable_gqa": True},
    ],
    ids=named,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_scaled_dot_product_attention(options, dtype):
    torch.manual_seed(0)
    heads = 2 if options.get("enable_gqa") else 6
    query = torch.randn(2, 6, 4, 3, dtype=dtype)
    key = torch.randn(2, heads, 5, 3, dtype=dtype)
    if options.get("attn_mask") is not None and options["attn_mask"].is_floating_point():
        options = {"attn_mask": options["attn_mask"].to(dtype)}
    found = looked_at(ScaledDotProduct(**options), (query, key, key))[""]
    assert found.dtype == ("float64" if dtype == torch.float64 else "float32")
    # What attention makes of the unit vectors are its weights.
    units = torch.eye(5, dtype=dtype).expand(2, heads, 5, 5)
    expected = F.scaled_dot_product_attention(query, key, units, **{**options, "dropout_p": 0.0})
    tolerance = 1e-2 if dtype == torch.bfloat16 else 1e-5
    np.testing.assert_allclose(found.values, expected.double().numpy(), atol=tolerance)


def test_queries_that_may_look_nowhere():
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[1] = False
    query, key = torch.randn(1, 1, 4, 3), torch.randn(1, 1, 5, 3)
    found = looked_at(ScaledDotProduct(attn_mask=mask), (query, key, key))[""].values
    np.testing.assert_allclose(found.sum(-1), [[[1, 0, 1, 1]]], atol=1e-6)


def test_scaled_dot_products_without_heads_or_batch():
    for shape in ((4, 3), (2, 4, 3), (2, 7, 6, 4, 3)):
        x = torch.randn(shape)
        found = looked_at(ScaledDotProduct(), (x, x, x))[""].values
        expected = (x @ x.mT / math.sqrt(3)).softmax(-1)
        assert found.shape == {2: (1, 1, 4, 4), 3: (2, 1, 4, 4), 5: (14, 6, 4, 4)}[len(shape)]
        assert_close(found.reshape(expected.shape), expected)


class Written(nn.Module):
    """Attention in a model's own words."""

    def __init__(self, look) -> None:
        super().__init__()
        self.look = look
        self.softmax = nn.Softmax(dim=-1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, q, k, v):
        return self.look(self, q, k, v)


@pytest.mark.parametrize(
    "look",
    [
        lambda m, q, k, v: F.softmax(q @ k.mT, dim=-1) @ v,
        lambda m, q, k, v: m.dropout(m.softmax(q @ k.mT)).matmul(v),
        lambda m, q, k, v: F.softmax(q @ k.mT, dim=-1, dtype=torch.float64).to(v.dtype) @ v,
        lambda m, q, k, v: (q @ k.mT).softmax(-1).masked_fill_(torch.tensor(False), 0.0).clone() @ v,
        lambda m, q, k, v: torch.bmm(
            (q @ k.mT).softmax(-1).view(-1, q.shape[-2], k.shape[-2]), v.reshape(-1, *v.shape[-2:])
        ).view(*q.shape[:-1], -1),
        lambda m, q, k, v: (k @ q.mT).softmax(-2).mT @ v,
        lambda m, q, k, v: (v.mT @ (k @ q.mT).softmax(-2)).mT,
        lambda m, q, k, v: F.dropout((q @ k.mT).softmax(-1), 0.5, m.training, inplace=True) @ v,
    ],
)
@pytest.mark.parametrize("shape", [(2, 3), (2, 1), (1, 1), (2,), (1,)])
def test_attention_that_is_written_out(look, shape):
    torch.manual_seed(0)
    q, k, v = torch.randn(*shape, 4, 8), torch.randn(*shape, 5, 8), torch.randn(*shape, 5, 6)
    found = looked_at(Written(look), (q, k, v))
    assert list(found) == [""]
    assert_close(found[""].values.reshape(*shape, 4, 5), (q @ k.mT).softmax(-1))


@pytest.mark.parametrize(
    "look",
    [
        lambda m, q, k, v: torch.einsum(
            "bhqk,bhkd->bqhd", torch.einsum("bhqd,bhkd->bhqk", q, k).softmax(-1), v
        ),
        lambda m, q, k, v: torch.einsum(
            "bqkh,bhkd->bqhd", torch.einsum("bhqd,bhkd->bqkh", q, k).softmax(2), v
        ),
        lambda m, q, k, v: torch.einsum(
            "bhkq,bhkd->bhqd", torch.einsum("bhqd,bhkd->bhkq", q, k).softmax(2), v
        ),
    ],
)
@pytest.mark.parametrize("sizes", [(2, 3, 4, 5), (1, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 5), (1, 1, 4, 4)])
def test_attention_in_einsum(look, sizes):
    torch.manual_seed(0)
    batch, heads, queries, keys = sizes
    q, k = torch.randn(batch, heads, queries, 8), torch.randn(batch, heads, keys, 8)
    found = looked_at(Written(look), (q, k, torch.randn(batch, heads, keys, 6)))
    assert_close(found[""].values, (q @ k.mT).softmax(-1))


def test_what_happens_to_the_weights_afterwards_is_not_seen():
    def look(module, q, k, v):
        weights = (q @ k.mT).softmax(-1)
        return weights.mul_(2) @ v

    q = torch.randn(2, 3, 4, 8)
    assert_close(looked_at(Written(look), (q, q, q))[""].values, (q @ q.mT).softmax(-1))


@pytest.mark.parametrize(
    "look",
    [
        lambda m, q, k, v: F.softmax(q.mean(1), dim=-1),
        lambda m, q, k, v: F.softmax(q, dim=-1),
        lambda m, q, k, v: F.softmax(q, dim=-1) * v,
        lambda m, q, k, v: F.softmax(q, dim=-1) @ m.table,
        lambda m, q, k, v: F.linear(F.softmax(q, dim=-1), m.table),
        lambda m, q, k, v: torch.einsum("bqc,dc->bqd", F.softmax(q, dim=-1), m.table),
        lambda m, q, k, v: F.softmax(q, dim=1) @ k.mT,
        lambda m, q, k, v: q @ k.mT @ v,
    ],
)
def test_other_softmaxes_are_no_attention(look):
    model = Written(look)
    model.table = nn.Parameter(torch.randn(8, 8))
    q = torch.randn(2, 8, 8)
    assert list(looked_at(model, (q, q, q))) == []


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_networks_without_attention(name):
    found = looked_at(models.get_model(name), torch.randn(1, 3, 64, 64))
    assert list(found) == []


@pytest.mark.parametrize(
    ("name", "size", "count", "first", "shape"),
    [
        ("swin_t", 64, 12, "features.1.0.attn", (9, 3, 49, 49)),
        ("swin_v2_t", 64, 12, "features.1.0.attn", (4, 3, 64, 64)),
        ("vit_b_16", 224, 12, "encoder.layers.encoder_layer_0.self_attention", (1, 12, 197, 197)),
    ],
)
def test_networks_of_torchvision(name, size, count, first, shape):
    found = looked_at(models.get_model(name), torch.randn(1, 3, size, size))
    assert len(found) == count
    assert next(iter(found)) == first
    assert found[first].shape == shape
    for key in found:
        np.testing.assert_allclose(found[key].values.sum(-1), 1, atol=1e-5)


def self_attention_of_fastai() -> nn.Module:
    """As fastai.layers.SelfAttention is written, without its norms: its softmax runs over the first axis."""

    class SelfAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value = (nn.Conv1d(16, channels, 1) for channels in (2, 2, 16))

        def forward(self, x):
            size = x.size()
            x = x.view(*size[:2], -1)
            f, g, h = self.query(x), self.key(x), self.value(x)
            beta = F.softmax(torch.bmm(f.transpose(1, 2), g), dim=1)
            return (torch.bmm(h, beta) + x).view(*size).contiguous()

    return SelfAttention()


def test_a_softmax_over_the_first_of_two_axes():
    model, x = self_attention_of_fastai(), torch.randn(2, 16, 3, 4)
    found = looked_at(model, x)[""].values
    flat = x.flatten(2)
    scores = torch.bmm(model.query(flat).transpose(1, 2), model.key(flat))
    assert found.shape == (2, 1, 12, 12)
    assert_close(found[:, 0], F.softmax(scores, dim=1).transpose(1, 2))


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "vit"])
def test_hugging_face(family, implementation):
    import transformers

    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "intermediate_size": 37}
    config, cls = {
        "bert": (transformers.BertConfig(vocab_size=99, **sizes), transformers.BertModel),
        "gpt2": (
            transformers.GPT2Config(
                n_embd=32, n_layer=2, n_head=4, vocab_size=99, bos_token_id=0, eos_token_id=0
            ),
            transformers.GPT2LMHeadModel,
        ),
        "vit": (transformers.ViTConfig(image_size=32, patch_size=8, **sizes), transformers.ViTModel),
    }[family]
    config._attn_implementation = implementation
    model = cls(config)
    if family == "vit":
        inputs = {"pixel_values": torch.randn(2, 3, 32, 32)}
    else:
        mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
        inputs = {"input_ids": torch.randint(0, 99, (2, 7)), "attention_mask": mask}
    found = looked_at(model, inputs)
    model.eval()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = model(**inputs, output_attentions=True).attentions
    assert len(found) == len(expected) == 2
    for key, weights in zip(found, expected, strict=True):
        seen, weights = found[key].values, weights.numpy()
        if family != "vit":  # what padding looks at means nothing, and differs
            seen, weights = (np.where(mask.numpy()[:, None, :, None], part, 0) for part in (seen, weights))
        np.testing.assert_allclose(seen, weights, atol=1e-5)


def test_each_call_is_one_of_its_own():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2)

        def forward(self, x):
            x = self.attention(x, x, x)[0]
            return F.scaled_dot_product_attention(x, *self.attention(x, x, x)[:1] * 2)

    found = looked_at(Model(), torch.randn(3, 2, 8))
    assert list(found) == ["attention:0", "attention:1", ""]
    assert list(looked_at(Model(), torch.randn(3, 2, 8), "attention")) == ["attention:0", "attention:1"]


def test_compiled_models_are_seen_through():
    model = torch.compile(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), backend="eager")
    assert list(looked_at(model, torch.randn(2, 3, 8))) == ["self_attn"]


def test_attention_that_hides_its_weights_says_so():
    from torch.nn.attention.flex_attention import flex_attention

    class Flex(nn.Module):
        def forward(self, x):
            return flex_attention(x, x, x)

    class Fused(nn.Module):
        def forward(self, x):
            return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(x, x, x)[0]

    for model, name in ((Flex(), "flex_attention"), (Fused(), "_scaled_dot_product_flash_attention_for_cpu")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = looked_at(model, torch.randn(1, 2, 16, 16))
        assert not found
        assert found.coverage[""].status == "unsupported"
        assert f"{name}" in found.coverage[""].reason
        assert "without showing the weights" in found.coverage[""].reason


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_scripted_models_say_why_not():
    model = nn.Sequential(torch.jit.script(nn.MultiheadAttention(8, 2)))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = model[0]

        def forward(self, x):
            return self.attention(x, x, x)[0]

    found = looked_at(Model(), torch.randn(3, 2, 8), "attention")
    assert "TorchScript" in found.coverage["attention"].reason


def test_too_many_weights_are_refused_before_they_are_computed():
    network = nv.wrap(ScaledDotProduct())
    recorder = Recorder(network.select("*"), max_bytes=1000)
    x = torch.randn(1, 2, 4000, 2)
    with pytest.raises(nv.CaptureTooLargeError, match="128,000,000 bytes"):
        network.adapter.attention(network.native, (x, x, x), recorder)


def test_the_model_stays_as_it_came():
    model = encoder(dropout=0.5)
    state, hooks = torch.get_rng_state(), [len(m._forward_hooks) for m in model.modules()]
    looked_at(model, torch.zeros(2, 3, 8))
    assert all(module.training for module in model.modules())
    assert hooks == [len(m._forward_hooks) for m in model.modules()]
    assert not any(m._forward_pre_hooks for m in model.modules())
    assert torch.equal(state, torch.get_rng_state())
    with pytest.raises(nv.InputError):
        looked_at(encoder(), "not an array")
