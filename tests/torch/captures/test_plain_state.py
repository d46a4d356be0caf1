"""What a pass changes in plain objects, of the model or given to it, is put back."""

import collections
import functools
import itertools
import random
import types

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv


class Slots:
    __slots__ = ("count",)

    def __init__(self):
        self.count = 0

    def step(self):
        self.count += 1
        return self.count


class Shared:
    count = 0

    def step(self):
        type(self).count += 1
        return type(self).count


def closed_over():
    count = 0

    def step():
        nonlocal count
        count += 1
        return count

    return step


def _namespace():
    held = types.SimpleNamespace(values=[1.0])

    def step():
        held.values = [*held.values, 1.0]
        return len(held.values)

    return step


def _array():
    held = np.ones(2)

    def step():
        held[0] += 1
        return float(held[0])

    return step


def _weakly():
    class Key:
        pass

    held, keys = collections.deque(maxlen=9), [Key()]

    def step():
        held.append(keys[0])
        return len(held)

    return step


def _default(held=None):
    def step(seen=[]):  # noqa: B006
        seen.append(1)
        return len(seen)

    return step


def _bound(held):
    return held.step


def _drawn(generator):
    return torch.rand((), generator=generator)


def _drawn_of_first(generators):
    return _drawn(generators[0])


def _shuffled():
    generator = torch.Generator().manual_seed(0)
    sampler = torch.utils.data.RandomSampler(range(100), generator=generator)
    return lambda: next(iter(sampler))


def _loaded():
    sampler = torch.utils.data.RandomSampler(range(100), generator=torch.Generator().manual_seed(0))
    loader = torch.utils.data.DataLoader(range(100), sampler=sampler)
    return lambda: float(next(iter(loader)))


def _quasi_random():
    engine = torch.quasirandom.SobolEngine(1, scramble=True, seed=0)
    return lambda: float(engine.draw(1))


STEPS = {
    "slots": lambda: Slots().step,
    "class attribute": lambda: Shared().step,
    "closure": closed_over,
    "namespace": _namespace,
    "array": _array,
    "deque": _weakly,
    "default": _default,
    "partial": lambda: functools.partial(Slots.step, Slots()),
    "list iterator": lambda: functools.partial(next, iter([1, 2, 3, 4, 5, 6, 7, 8, 9])),
    "python random": lambda: random.Random(0).random,
    "numpy generator": lambda: np.random.default_rng(0).random,
    "numpy state": lambda: np.random.RandomState(0).rand,
    "torch generator": lambda: functools.partial(_drawn, torch.Generator().manual_seed(0)),
    "generators in a list": lambda: functools.partial(_drawn_of_first, [torch.Generator().manual_seed(0)]),
    "sampler": _shuffled,
    "loader": _loaded,
    "quasi-random numbers": _quasi_random,
}


class Stepping(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        return x + self.step()


class Iterating(nn.Module):
    def __init__(self, iterator):
        super().__init__()
        self.iterator = iterator

    def forward(self, x):
        return x + float(np.sum(next(self.iterator)))


@pytest.mark.parametrize("form", [name for name in STEPS if name != "list iterator"])
def test_a_call_repeated_gives_the_same(form):
    model = Stepping(STEPS[form]()).eval()
    found = [nv.capture(model, torch.zeros(1, 2))[""].values[0, 0] for _ in range(3)]
    assert found[0] == found[1] == found[2] == model(torch.zeros(1, 2))[0, 0].item()


@pytest.mark.parametrize(
    "iterator",
    [iter([1, 2, 3, 4, 5]), itertools.count(), itertools.cycle([1, 2]), enumerate([5, 6, 7]), zip([1, 2, 3])],
)  # fmt: skip
def test_an_iterator_stays_where_it_was(iterator):
    model = Iterating(iterator).eval()
    found = [nv.capture(model, torch.zeros(1, 2))[""].values[0, 0] for _ in range(3)]
    assert model.iterator is iterator
    assert found[0] == found[1] == found[2] == model(torch.zeros(1, 2))[0, 0].item()


class Cached(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, cache):
        cache.update(self.fc(x)[:, None], x[:, None], 0)
        return cache.layers[0].keys.sum(-2)


@pytest.mark.parametrize("kind", ["dynamic", "static"])
def test_a_cache_given_as_input_is_put_back(kind):
    import transformers  # here, as it is heavy and one test needs it

    if kind == "dynamic":
        cache = transformers.DynamicCache()
    else:
        config = transformers.GPT2Config(n_layer=1, n_head=1, n_embd=4)
        cache = transformers.StaticCache(config, max_cache_len=16)
    model = Cached().eval()
    x = torch.randn(1, 2, 4)
    with torch.no_grad():
        model(x, cache)
    before = cache.layers[0].keys.clone()
    given = {"x": x, "cache": cache}
    found = [nv.capture(model, given)[""].values for _ in range(3)]
    np.testing.assert_array_equal(found[0], found[2])
    assert torch.equal(cache.layers[0].keys, before)
    assert cache.get_seq_length() == 2


class Lazy(nn.Module):
    """Gives itself hooks when it first runs, as models of transformers do to collect hidden states; one is removed."""

    def __init__(self):
        super().__init__()
        self.layers, self.is_ready, self.seen = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), False, []
        self.once = self.layers.register_forward_hook(lambda *_: self.once.remove())

    def forward(self, x):
        if not self.is_ready:
            self.is_ready = True
            for layer in self.layers:
                layer.register_forward_hook(lambda module, args, output: self.seen.append(output))
        self.seen.clear()
        self.layers(x)
        return tuple(self.seen)


def test_hooks_that_a_model_gives_itself_go_with_what_it_knows_of_them():
    model, x = Lazy().eval(), torch.randn(2, 4)
    for _ in range(2):
        assert list(nv.capture(model, x, ""))[-1] == "#1"
        nv.graph(model, x)
    assert not model.is_ready
    assert not any(layer._forward_hooks for layer in model.layers)
    assert len(model.layers._forward_hooks) == 1
    assert len(model(x)) == 2
