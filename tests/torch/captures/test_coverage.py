"""Every layer asked for is captured, or there is a sentence that says why not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv

X = torch.linspace(-1, 1, 12).reshape(3, 4)


def two_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))


def reasons(captured: nv.Capture) -> dict[str, tuple[str, str]]:
    return {
        path: (entry.status, entry.reason)
        for path, entry in captured.coverage.items()
        if entry.status != "captured"
    }


def values_of(model: nn.Module) -> dict[str, np.ndarray]:
    captured = nv.capture(model, X)
    return {key: captured[key].values for key in captured}


def assert_as_uncompiled(captured: nv.Capture, prefix: str = "") -> None:
    expected = values_of(two_layers())
    assert captured[f"{prefix}0"].values.min() < 0
    np.testing.assert_array_equal(captured[f"{prefix}0"].values, expected["0"])
    np.testing.assert_array_equal(captured[f"{prefix}1"].values, expected["1"])


@pytest.mark.parametrize("used_before", [False, True])
@pytest.mark.parametrize("fullgraph", [False, True])
def test_compiled_models_are_seen_through(used_before, fullgraph):
    model = torch.compile(two_layers(), backend="eager", fullgraph=fullgraph)
    if used_before:
        model(X)
    assert_as_uncompiled(nv.capture(model, X))
    with nv.recording(model) as captured:
        model(X)
    assert_as_uncompiled(captured)


@pytest.mark.parametrize("used_before", [False, True])
def test_compiled_parts_of_a_model_are_seen_through(used_before):
    model = nn.Sequential(torch.compile(two_layers(), backend="eager", fullgraph=True), two_layers())
    model[1].compile(backend="eager")
    if used_before:
        model(X)
    captured = nv.capture(model, X)
    assert_as_uncompiled(captured, "0._orig_mod.")
    assert not reasons(captured)


def test_a_compiled_model_still_runs_compiled_after_a_capture():
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    model = torch.compile(two_layers(), backend=backend)
    model(X)
    nv.capture(model, X)
    model(X)
    assert len(graphs) == 1


def test_flex_attention():
    from torch.nn.attention.flex_attention import flex_attention

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 16)

        def forward(self, x):
            y = self.layer(x)
            return flex_attention(y, y, y)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not reasons(nv.capture(Model(), torch.randn(1, 2, 128, 16)))


def test_data_parallel():
    model = nn.DataParallel(two_layers())
    assert_as_uncompiled(nv.capture(model, X))
    with nv.recording(model) as captured:
        model(X)
    assert_as_uncompiled(captured)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_distributed_data_parallel():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(two_layers())
        assert_as_uncompiled(nv.capture(model, X))
        with nv.recording(model) as captured:
            model(X).sum().backward()
        assert_as_uncompiled(captured)
        assert model.module[0].weight.grad is not None
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_scripted_models_say_why_not():
    captured = nv.capture(torch.jit.script(two_layers()), X)
    assert reasons(captured) == {
        "0": (
            "not_observed",
            "it stands inside TorchScript, which calls layers unseen; capture the unscripted model",
        ),
        "1": (
            "not_observed",
            "it stands inside TorchScript, which calls layers unseen; capture the unscripted model",
        ),
    }


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_traced_models_show_their_output():
    model = torch.jit.trace(two_layers(), X)
    captured = nv.capture(model, X)
    np.testing.assert_array_equal(captured[""].values, values_of(two_layers())["1"])
    assert "inside TorchScript" in captured.coverage["0"].reason


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_scripted_part_of_a_model():
    model = nn.Sequential(two_layers(), torch.jit.script(two_layers()))
    captured = nv.capture(model, X)
    assert_as_uncompiled(captured, "0.")
    assert "takes no hooks" in captured.coverage["1"].reason
    assert "inside TorchScript" in captured.coverage["1.0"].reason
    assert captured[""].values.shape == (3, 4)


@pytest.mark.filterwarnings("ignore:.isinstance:FutureWarning")
def test_exported_programs_and_graphs():
    assert_as_uncompiled(nv.capture(torch.export.export(two_layers(), (X,)), X))
    assert_as_uncompiled(nv.capture(torch.fx.symbolic_trace(two_layers()), X))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_dynamically_quantized_models():
    model = torch.ao.quantization.quantize_dynamic(two_layers(), {nn.Linear})
    captured = nv.capture(model, X)
    with torch.no_grad():
        np.testing.assert_array_equal(captured["0"].values, model[0](X).numpy())
    assert captured["0"].values.min() < 0
    assert set(reasons(captured)) == {"0._packed_params"}


def encoder() -> nn.TransformerEncoder:
    torch.manual_seed(0)
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval()


def test_the_layers_of_a_fused_transformer():
    model, x = encoder(), torch.randn(2, 5, 8)
    with torch.no_grad():
        expected = model(x).numpy()
    captured = nv.capture(model, x)
    np.testing.assert_allclose(captured[""].values, expected, atol=1e-6)
    attention = (
        "not_observed", "its MultiheadAttention uses the weights itself and never calls it",
    )  # fmt: skip
    assert reasons(captured) == {
        "layers": ("not_observed", "a ModuleList only holds others and is never called"),
        "layers.0.self_attn.out_proj": attention,
        "layers.1.self_attn.out_proj": attention,
    }
    assert captured["layers.1.linear1"].axes == ("batch", "time", "channel")


def test_the_layers_of_a_fused_transformer_with_padding():
    model, x = encoder(), torch.randn(2, 5, 8)
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model(x, src_key_padding_mask=padding).numpy()
    captured = nv.capture(model, {"src": x, "src_key_padding_mask": padding})
    kept = ~padding.numpy()
    np.testing.assert_allclose(captured[""].values[kept], expected[kept], atol=1e-6)
    assert "layers.0.linear1" in captured


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_fused_attention_is_for_others_as_it_was(enabled, fails):
    model = nn.Sequential(encoder(), nn.Linear(9 if fails else 8, 1))
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        if fails:
            with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
                nv.capture(model, torch.randn(2, 5, 8))
        else:
            nv.capture(model, torch.randn(2, 5, 8))
        assert torch.backends.mha.get_fastpath_enabled() == enabled
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


class Bypasses(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.layer, self.unused, self.way = nn.Linear(4, 4), nn.Linear(4, 4), way

    def forward(self, x):
        if self.way == "forward":
            return self.layer.forward(x)
        return F.linear(x, self.layer.weight)


@pytest.mark.parametrize("way", ["forward", "functional"])
def test_calls_that_bypass_the_module(way):
    assert reasons(nv.capture(Bypasses(way), X)) == {
        "layer": (
            "not_observed",
            "its weights were used without a call of the layer: the model calls .forward or a function",
        ),
        "unused": ("not_observed", "it did not run during the pass"),
    }


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (lambda x: None, "it returned a NoneType, in which no tensor was found"),
        (lambda x: ["text", 1], "it returned a list, in which no tensor was found"),
        (lambda x: x.tolist(), "it returned a list, in which no tensor was found"),
        (lambda x: object(), "it returned a object, in which no tensor was found"),
    ],
)
def test_layers_that_return_no_tensor(returned, reason):
    class Layer(nn.Module):
        def forward(self, x):
            return returned(x)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = Layer()

        def forward(self, x):
            self.layer(x)
            return x

    captured = nv.capture(Model(), X)
    assert reasons(captured) == {"layer": ("unsupported", reason)}
    with pytest.raises(nv.LayerNotFoundError, match="'layer' was asked for but not captured: it returned"):
        captured["layer"]


def test_layers_within_function_transforms():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            slope = torch.func.grad(lambda z: self.layer(z).sum())(x)
            return slope + torch.func.vmap(self.layer)(x)

    captured = nv.capture(Model(), X)
    assert list(captured) == [""]
    reason = "it ran inside a torch.func transform, which hides its values"
    assert reasons(captured) == {"layer": ("unsupported", reason)}


def test_layers_in_another_thread():
    import threading

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            thread = threading.Thread(target=self.layer, args=(x,))
            thread.start()
            thread.join()
            return x

    captured = nv.capture(Model(), X)
    assert reasons(captured) == {
        "layer": ("not_observed", "it ran in another thread than the one that captures")
    }


@pytest.mark.filterwarnings("ignore:The PyTorch API of MaskedTensors is in prototype stage:UserWarning")
def test_tensors_that_numpy_cannot_hold():
    from torch.masked import masked_tensor

    class Layer(nn.Module):
        def forward(self, x):
            return masked_tensor(x, x > 0)

    captured = nv.capture(Layer(), X)
    assert captured.coverage[""].status == "unsupported"
    assert "a MaskedTensor of dtype float32 cannot be brought to NumPy" in captured.coverage[""].reason


def test_models_without_numbers():
    with pytest.raises(nv.UnsupportedError, match=r"'1.weight' is on the meta device.*to_empty\(\)"):
        nv.capture(nn.Sequential(nn.ReLU(), nn.Linear(4, 4, device="meta")), X)
    with pytest.raises(nv.UnsupportedError, match=r"'0.weight' is not initialised yet; run the model once"):
        nv.capture(nn.Sequential(nn.LazyLinear(4)), X)


def test_lazy_models_in_a_recording():
    model = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    with nv.recording(model) as captured:
        model(X)
    assert list(captured) == ["0", "1", ""]


def test_only_the_layers_asked_for_are_kept_and_reported():
    captured = nv.capture(two_layers(), X, "0")
    assert list(captured) == ["0"]
    assert dict(captured.coverage) == {"0": nv.Coverage("captured")}


class Padded(nn.Module):
    def __init__(self, nested: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested)

    def forward(self, x: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
        return self.encoder(x, src_key_padding_mask=hidden)


@pytest.mark.parametrize(("nested", "masked"), [(True, True), (True, False), (False, True)])
@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
def test_what_an_encoder_returns_at_hidden_places_is_told_where_hooks_change_it(
    nested: bool, masked: bool
) -> None:
    model, x = Padded(nested).eval(), torch.randn(2, 5, 16)
    hidden = torch.tensor([[False] * 3 + [True] * 2, [False] * 5]) if masked else None
    with torch.no_grad():
        plain = model(x, hidden).numpy()
    captured = nv.capture(model, (x, hidden) if masked else x)
    is_other = abs(captured["encoder"].values - plain).max() > 0.01
    assert bool(is_other) is (nested and masked)
    assert ("fast path" in captured.coverage["encoder"].reason) is (nested and masked)
    assert captured.coverage["encoder"].status == "captured"
