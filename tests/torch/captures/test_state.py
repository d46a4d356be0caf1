"""A model leaves a capture exactly as it came, whatever happens inside."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import random
import threading
from collections import deque
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv

from ..small import small_cnn

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Does(nn.Module):
    """A model whose forward is a function of it and its input."""

    def __init__(self, forward: Callable[..., object], **attributes: object) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        for name, value in attributes.items():
            setattr(self, name, value)
        self.does = forward

    def forward(self, x):
        self.does(self, x)
        return self.norm(self.layer(x))


def described(value: object) -> object:
    """A copy of everything that can be seen of a value, to be compared with ``==``."""
    if isinstance(value, torch.Tensor):
        grad = described(value.grad) if value.is_leaf else None
        return id(value), value.detach().tolist(), value.requires_grad, grad, value.data_ptr()
    if isinstance(value, np.ndarray):
        return id(value), value.tolist()
    if isinstance(value, nn.Module) or dataclasses.is_dataclass(value):
        return id(value), described(vars(value))
    if isinstance(value, dict):
        return id(value), [(name, described(part)) for name, part in value.items()]
    if isinstance(value, (list, tuple, deque, set)):
        return id(value), [described(part) for part in value]
    return value


def generators() -> list[object]:
    numpys = np.random.get_state()  # noqa: NPY002
    return [torch.get_rng_state().tolist(), random.getstate(), [str(part) for part in numpys]]


@dataclasses.dataclass
class Memory:
    hidden: torch.Tensor
    steps: int = 0


def update_recurrent_state(model, x):
    model.hidden = x.sum(0) if model.hidden is None else model.hidden + x.sum(0)


def write_buffer(model, x):
    model.norm.running_mean.add_(1)
    model.norm.num_batches_tracked += 1


def write_buffer_through_numpy(model, x):
    model.norm.running_mean.numpy()[:] = 7


def replace_buffer(model, x):
    model.norm.running_mean = x[0] * 1
    model.norm.num_batches_tracked = None


def train_a_norm(model, x):
    F.batch_norm(x, model.norm.running_mean, model.norm.running_var, training=True)


def switch_modes(model, x):
    model.norm.train()
    model.norm(x)
    model.norm.momentum = 0.5


def change_parameters(model, x):
    model.layer.weight.data.mul_(2)
    model.layer.bias.data = x[0] * 1
    model.layer.weight.requires_grad_(False)


def replace_parameter(model, x):
    model.layer.weight = nn.Parameter(torch.ones(4, 4))


def run_backward(model, x):
    with torch.enable_grad():
        model.layer(x).sum().backward()


def clear_gradients(model, x):
    model.zero_grad(set_to_none=True)


def zero_gradients(model, x):
    model.zero_grad(set_to_none=False)


def add_and_remove(model, x):
    model.extra = nn.Linear(4, 4)
    model.note = "seen"
    del model.hidden


def grow_containers(model, x):
    model.cache.append(x)
    model.queue.append(x)
    model.table["x"] = [x]
    model.table["there"].append(1)
    model.names.add("x")
    model.cache[0].add_(1)


def count_in_numpy(model, x):
    model.counts += 1


def remember_in_a_dataclass(model, x):
    model.memory.hidden = x
    model.memory.steps += 1


def draw_numbers(model, x):
    torch.randn(3)
    torch.rand(2, generator=model.generator)
    random.random()
    np.random.rand()  # noqa: NPY002


@pytest.mark.parametrize(
    "forward",
    [
        update_recurrent_state,
        write_buffer,
        write_buffer_through_numpy,
        replace_buffer,
        train_a_norm,
        switch_modes,
        change_parameters,
        replace_parameter,
        run_backward,
        clear_gradients,
        zero_gradients,
        add_and_remove,
        grow_containers,
        count_in_numpy,
        remember_in_a_dataclass,
        draw_numbers,
    ],
)
@pytest.mark.parametrize("end", [None, RuntimeError, KeyboardInterrupt])
def test_whatever_a_model_does_to_itself_is_undone(forward, end):
    def does(model, x):
        forward(model, x)
        if end is not None:
            raise end

    model = Does(
        does,
        hidden=None,
        cache=[torch.zeros(3)],
        queue=deque([1], maxlen=1),
        table={"there": []},
        names={"a"},
        counts=np.zeros(3),
        memory=Memory(torch.zeros(3)),
        generator=torch.Generator(),
    )
    model.layer.weight.grad = torch.ones(4, 4)
    before, drawn, own = described(model), generators(), model.generator.get_state().tolist()
    x = X.clone()
    if end is None:
        nv.capture(model, x)
    else:
        with pytest.raises(end):
            nv.capture(model, x)
    assert described(model) == before
    assert generators() == drawn
    assert model.generator.get_state().tolist() == own
    assert torch.equal(x, X)
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()


def test_inputs_are_put_back_however_deep_they_lie():
    class Model(nn.Module):
        def forward(self, batch, cache):
            batch["x"].add_(1)
            cache.append(batch["x"])
            return batch["x"]

    cache: list[torch.Tensor] = [torch.zeros(2)]
    batch = {"x": X.clone()}
    nv.capture(Model(), (batch, cache))
    assert torch.equal(batch["x"], X)
    assert nv.capture(Model(), {"batch": batch, "cache": cache})[""].values.shape == (3, 4)
    assert torch.equal(batch["x"], X)


def test_a_frozen_norm_in_a_training_model_stays_frozen():
    model = small_cnn().train()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    nv.capture(model, torch.zeros(2, 1, 8, 8))
    assert [module.training for module in model.modules()] == modes


def test_models_that_override_train_and_eval():
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.calls = nn.BatchNorm1d(4), 0

        def train(self, mode=True):
            self.calls += 1
            super().train(mode)
            self.norm.eval()
            return self

        def forward(self, x):
            return self.norm(x)

    model = Frozen()
    model.norm.train()
    before = described(model)
    nv.capture(model, X)
    assert described(model) == before


def test_a_model_without_modes():
    program = torch.export.export(nn.Linear(4, 4), (X,))
    assert nv.capture(program.module(), X)[""].values.shape == (3, 4)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_what_can_be_done_with_a_model_afterwards(tmp_path):
    model = small_cnn()
    x = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)
    nv.capture(model, x)
    with nv.recording(model):
        model(x)
    twin = copy.deepcopy(model)
    torch.save(model.state_dict(), tmp_path / "weights")
    clone = pickle.loads(pickle.dumps(model))
    for some in (model, twin, clone):
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in some.modules())
        some.eval()
    with torch.no_grad():
        expected = model(x)
        assert torch.equal(twin(x), expected)
        assert torch.equal(clone(x), expected)
        assert torch.equal(torch.jit.trace(model, x)(x), expected)
        assert torch.equal(torch.compile(model, backend="eager", fullgraph=True)(x), expected)
    model.train()
    torch.optim.SGD(model.parameters(), 0.1).step()
    model(x).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def layer_hooks_of(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_hooks_of_the_users_that_raise(error):
    def fail(module, args, output):
        raise error("mine")

    model = small_cnn()
    handle = model[3].register_forward_hook(fail)
    before = described(model)
    x = torch.zeros(2, 1, 8, 8)
    with pytest.raises(error, match="mine"):
        nv.capture(model, x)
    with pytest.raises(error, match="mine"), nv.recording(model) as captured:
        model.eval()(x)
    assert list(captured) == ["0", "1", "2"]
    assert layer_hooks_of(model) == 1
    model.train()
    assert described(model) == before
    handle.remove()


def test_hooks_of_the_users_that_replace_an_output():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model[0].register_forward_hook(lambda module, args, output: torch.ones_like(output))
    captured = nv.capture(model, X)
    np.testing.assert_array_equal(captured["0"].values, np.ones((3, 4)))
    np.testing.assert_array_equal(captured["1"].values, np.ones((3, 4)))


def test_a_capture_within_a_hook_of_a_captured_model():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 4))
    other = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))
    inner: list[nv.Capture] = []
    handle = model[1].register_forward_hook(lambda *call: inner.append(nv.capture(other, X)))
    outer = nv.capture(model, X)
    handle.remove()
    alone = nv.capture(model, X)
    for key in alone:
        np.testing.assert_array_equal(outer[key].values, alone[key].values)
    for key in inner[0]:
        np.testing.assert_array_equal(inner[0][key].values, nv.capture(other, X)[key].values)
    assert layer_hooks_of(model) == layer_hooks_of(other) == 0


def test_a_capture_within_a_recording_of_the_same_model():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(inplace=True))
    with nv.recording(model) as outer:
        inner = nv.capture(model, X)
        assert model.training
        model(X)
    for path in "012":
        np.testing.assert_array_equal(outer[f"{path}:0"].values, inner[path].values)
    assert not np.array_equal(outer["1:0"].values, outer["1:1"].values)
    assert layer_hooks_of(model) == 0


def test_two_threads_with_two_models():
    """They overlap, and the first to enter is the first to leave: whatever is global must survive that."""
    started, entered, left = threading.Event(), threading.Event(), threading.Event()

    def first(model, x):
        started.set()
        entered.wait(10)

    def second(model, x):
        entered.set()
        left.wait(10)

    models = [Does(first), Does(second)]
    alone = [Does(lambda model, x: None) for _ in models]
    for model, twin in zip(models, alone, strict=True):
        twin.load_state_dict(model.state_dict())
    captures: dict[int, nv.Capture] = {}

    def work(index: int) -> None:
        captures[index] = nv.capture(models[index], X)
        left.set()

    torch.compile(nn.Linear(4, 4), backend="eager")(X)
    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    threads[0].start()
    started.wait(10)
    threads[1].start()
    for thread in threads:
        thread.join()
    for index, twin in enumerate(alone):
        expected = nv.capture(twin, X)
        assert list(captures[index]) == list(expected)
        for key in expected:
            np.testing.assert_array_equal(captures[index][key].values, expected[key].values)
    assert torch.backends.mha.get_fastpath_enabled()
    assert not torch.utils._python_dispatch.is_in_torch_dispatch_mode()
    graphs: list[object] = []
    torch.compile(nn.Linear(4, 4), backend=lambda graph, inputs: graphs.append(graph) or graph.forward)(X)
    assert graphs


def test_gradients_of_a_recorded_training_step_are_the_same_bit_for_bit():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(144, 5),
    )  # fmt: skip
    twin = copy.deepcopy(model)
    model[1].eval()
    twin[1].eval()
    x, y = torch.randn(2, 1, 8, 8), torch.tensor([1, 3])

    def steps(model: nn.Module) -> list[float]:
        torch.manual_seed(1)
        optimizer = torch.optim.Adam(model.parameters())
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    with nv.recording(model) as captured:
        losses = steps(model)
    assert losses == steps(twin)
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert torch.equal(ours.grad, theirs.grad)
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), twin.buffers(), strict=True))
    assert model.training
    assert not model[1].training
    assert [key for key in captured if key.startswith("1")] == ["1:0", "1:1", "1:2"]
    assert captured["1:0"].values.min() < 0


def test_second_derivatives_through_a_recorded_pass():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    x = X.clone().requires_grad_()

    def penalty() -> torch.Tensor:
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), model[0].weight)[0]

    expected = penalty()
    with nv.recording(model):
        assert torch.equal(penalty(), expected)


def test_a_recording_changes_no_mode_and_undoes_nothing():
    model = small_cnn().train()
    x = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)
    with nv.recording(model, "1"):
        model(x)
        assert all(module.training for module in model.modules())
        assert torch.is_grad_enabled()
    assert model[1].num_batches_tracked == 1


def test_an_exception_in_a_recording():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))
    with pytest.raises(ZeroDivisionError), nv.recording(model) as captured:  # noqa: PT012
        y = model(X)
        raise ZeroDivisionError
    y.data.zero_()
    assert captured["0"].values.min() < 0
    assert layer_hooks_of(model) == 0


def test_a_generating_loop():
    embed, cell, head = nn.Embedding(7, 4), nn.GRUCell(4, 4), nn.Linear(4, 7)
    model = nn.ModuleDict({"embed": embed, "cell": cell, "head": head})

    @torch.inference_mode()
    def generate() -> list[int]:
        state, token = torch.zeros(1, 4), torch.tensor([0])
        tokens = []
        for _ in range(5):
            state.copy_(cell(embed(token), state))
            token = head(state).argmax(-1)
            tokens.append(token.item())
        return tokens

    expected = generate()
    with nv.recording(model) as captured:
        assert generate() == expected
    assert [captured[f"head:{step}"].values.argmax() for step in range(5)] == expected
    assert captured.coverage[""].status == "not_observed"
