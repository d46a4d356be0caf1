"""What a model may do so that a layer of which it is known what it does does something else after all."""

import signal
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.utils import parametrize

import netviz_core as nv


class Model(nn.Module):
    """Linear layers and one that hands on what it is given, and a function of them and the input."""

    def __init__(self, run):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.same = nn.Linear(4, 4), nn.Linear(4, 4), nn.Identity()
        self.run = run

    def forward(self, x):
        return self.run(self, x)


X = torch.linspace(-1, 1, 12).reshape(3, 4)


def first_of(run):
    """What is captured of the first layer's first call, and what that returned."""
    model = Model(run)
    with torch.no_grad():
        expected = model.first(X).numpy()
    captured = nv.capture(model, X)
    return captured["first"].values, expected


def double_unseen(module, z):
    z.data.mul_(2)
    return z.view(-1)


def test_a_forward_given_to_an_instance_in_the_pass():
    def run(model, x):
        made = model.first(x)
        model.same.forward = lambda z: double_unseen(model.same, z)
        return model.same(made)

    np.testing.assert_array_equal(*first_of(run))


def test_a_forward_given_to_the_class(monkeypatch):
    monkeypatch.setattr(nn.Identity, "forward", double_unseen)
    np.testing.assert_array_equal(*first_of(lambda model, x: model.same(model.first(x))))


def test_a_forward_given_to_the_class_in_the_pass(monkeypatch):
    monkeypatch.setattr(nn.Identity, "forward", nn.Identity.forward)  # to be put back

    def run(model, x):
        made = model.first(x)
        nn.Identity.forward = double_unseen
        return model.same(made)

    np.testing.assert_array_equal(*first_of(run))


def test_a_parametrization_that_comes_with_the_pass():
    class Doubling(nn.Module):
        def forward(self, weight):
            for tensor in kept:
                tensor.data.mul_(2)
            return weight

    kept = []

    def run(model, x):
        parametrize.register_parametrization(model.second, "weight", Doubling())
        kept.append(model.first(x))
        return model.second(x)

    np.testing.assert_array_equal(*first_of(run))


@pytest.mark.parametrize("clear", [lambda hooks: hooks.clear(), None])
def test_hooks_that_take_the_place_of_those_of_netviz(clear):
    def run(model, x):
        made = model.first(x)
        if clear is None:
            model.same._forward_hooks = type(model.same._forward_hooks)()
        else:
            clear(model.same._forward_hooks)
        model.same.register_forward_hook(lambda module, args, output: output * 1)
        model.same(made)
        made.data.mul_(2)
        return x

    np.testing.assert_array_equal(*first_of(run))
    assert torch._C._is_torch_function_enabled()


def test_hooks_for_what_autograd_saves():
    def run(model, x):
        made = model.first(x)

        def pack(tensor):
            made.data.mul_(2)
            return tensor

        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model.second(x.clone().requires_grad_())
        return x

    np.testing.assert_array_equal(*first_of(run))


def test_a_weight_that_is_no_parameter():
    class Tenfold(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            with torch._C.DisableTorchFunctionSubclass():
                plain = [part.as_subclass(torch.Tensor) * 10 if type(part) is cls else part for part in args]
                return func(*plain, **(kwargs or {}))

    model = Model(lambda model, x: model.first(x))
    weight = model.first.weight.detach().clone()
    del model.first.weight
    model.first.weight = weight.as_subclass(Tenfold)
    with torch.no_grad():
        expected = model(X)
    np.testing.assert_array_equal(nv.capture(model, X)["first"].values, expected)


def test_a_mode_without_values_gives_none_to_what_is_kept():
    def run(model, x):
        made = model.first(x)
        with FakeTensorMode(allow_non_fake_inputs=True):
            made.mul_(2)
            model.second.weight.data.mul_(2)
        return x

    np.testing.assert_array_equal(*first_of(run))


@pytest.mark.parametrize("ask", [nv.capture, nv.statistics, nv.health])
def test_what_interrupts_a_layer_leaves_torch_as_it_was(ask):
    class Interrupt(BaseException):
        """Like that of the keyboard, no `Exception`."""

    class Slow(nn.Sequential):
        def forward(self, x):
            while True:
                super().forward(x)

    def interrupt(*_):
        # Only within a layer that runs past the watch; elsewhere there is nothing to go wrong.
        if torch._C._is_torch_function_enabled():
            signal.setitimer(signal.ITIMER_REAL, 0.001)
        else:
            raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(Interrupt):
            ask(Slow(nn.Linear(500, 500)), torch.randn(64, 500))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert torch._C._is_torch_function_enabled()
    assert not torch._C._dispatch_tls_is_dispatch_key_excluded(torch._C.DispatchKey.Python)
    np.testing.assert_array_equal(
        nv.capture(Model(lambda model, x: model.same(model.first(x)).add_(1)), X)["first"].values,
        Model(None).first(X).detach(),
    )


def write_from_a_thread(made):
    thread = threading.Thread(target=made.mul_, args=(3,))
    thread.start()
    thread.join()


def put_another_in_its_place(made):
    made.data = made.data * 3


@pytest.mark.parametrize("change", [write_from_a_thread, put_another_in_its_place])
def test_a_tensor_returned_twice_and_changed_between_is_measured_twice(change):
    def run(model, x):
        made = model.first(x)
        change(made)
        return model.same(made)

    model = Model(run)
    with torch.no_grad():
        expected = model.first(X).numpy()
    measured = nv.statistics(model, X)
    assert measured["first"].minimum == expected.min()
    assert measured["same"].minimum == pytest.approx(3 * expected.min())
