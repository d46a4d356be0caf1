"""Linear CKA: what it does not see, what it does, and what it refuses; against the formulas as they are printed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netviz_core as nv
from netviz_core import InputError, LayerNotFoundError
from netviz_core.testing import example_model
from netviz_core.testing.reference import Dense, Model, Op


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


class Gives(Op):
    """Returns the same features for the same samples, whatever it is given but their numbers."""

    def __init__(self, features: np.ndarray, axes: tuple[str, ...] | None = None) -> None:
        super().__init__()
        self.features, self.output_axes = features, axes

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.features[x[:, 0].astype(int)]


class Branches(Model):
    """All layers are given the model's input."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for name, layer in self.layers.items():
            self.tell(name, layer(x))
        return x


def giving(axes: tuple[str, ...] | None = None, **features: np.ndarray) -> Branches:
    example_model()  # registers the backend
    return Branches(**{name: Gives(values, axes) for name, values in features.items()})


def numbers(count: int) -> np.ndarray:
    return np.arange(count, dtype=float)[:, np.newaxis]


def cka(one: np.ndarray, other: np.ndarray, batch: int | None = None) -> float:
    """Of two arrays of features, through models that return them."""
    given = numbers(len(one))
    found = nv.similarity(
        giving(u=one), giving(v=other), layers=("u", "v"),
        **({"x": given} if batch is None else {"data": np.split(given, len(one) // batch)}),
    )  # fmt: skip
    assert (found.keys_a, found.keys_b, found.sample_count) == (("u",), ("v",), len(one))
    return float(found.values[0, 0])


def printed_hsic(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741
    """Song et al. 2012, eq. 5, as it stands there."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    one = np.ones(n)
    return (
        np.trace(k @ l)
        + one @ k @ one * (one @ l @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (one @ k @ l @ one)
    ) / (n * (n - 3))


def printed_cka(one: np.ndarray, other: np.ndarray, batch: int | None = None) -> float:
    """Nguyen et al. 2021, eqs. 2-4; in more digits, of which the printed form costs some."""
    one, other = one.astype(np.longdouble), other.astype(np.longdouble)
    sums = np.zeros(3, np.longdouble)
    for start in range(0, len(one), batch or len(one)):
        x, y = (v[start : start + (batch or len(one))].reshape(batch or len(one), -1) for v in (one, other))
        k, l = x @ x.T, y @ y.T  # noqa: E741
        sums += printed_hsic(k, l), printed_hsic(k, k), printed_hsic(l, l)
    return float(sums[0] / np.sqrt(sums[1] * sums[2]))


def biased_cka(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    return np.linalg.norm(one.T @ other) ** 2 / (
        np.linalg.norm(one.T @ one) * np.linalg.norm(other.T @ other)
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(4, 30),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(0, 99),
    st.floats(-100, 100),
)
def test_it_is_the_formula_as_printed(count, width, other_width, seed, mean):
    one = normal(count, width, seed=seed) + mean
    other = normal(count, other_width, seed=seed + 1) + one[:, :1]
    assert cka(one, other) == pytest.approx(printed_cka(one, other), abs=1e-6)


def test_over_batches_it_is_the_mean_of_each_part_not_of_the_quotient():
    one, other = normal(40, 7), normal(40, 5, seed=1)
    other[:, 0] += one[:, 0] * np.repeat([1, 30], 20)
    expected = printed_cka(one, other, batch=8)
    assert cka(one, other, batch=8) == pytest.approx(expected, abs=1e-9)
    quotients = [printed_cka(one[i : i + 8], other[i : i + 8]) for i in range(0, 40, 8)]
    assert abs(expected - np.mean(quotients)) > 0.01


def test_a_representation_is_the_same_as_itself():
    assert cka(normal(12, 5), normal(12, 5)) == pytest.approx(1, abs=1e-12)
    assert cka(normal(16, 5), normal(16, 5), batch=4) == pytest.approx(1, abs=1e-12)


def test_rotations_scales_shifts_and_the_order_of_channels_are_not_seen():
    features = normal(20, 9) * np.arange(1, 10)
    other = normal(20, 4, seed=1) + features[:, :4]
    expected = cka(features, other)
    rotation, _ = np.linalg.qr(normal(9, 9, seed=2))
    for same in (features @ rotation, features * -1e-30, features * 1e60, features + 1e3, features[:, ::-1]):
        assert cka(features, same) == pytest.approx(1, abs=1e-9)
        assert cka(same, other) == pytest.approx(expected, abs=1e-9)


def test_other_linear_maps_are_seen():
    features = normal(20, 9)
    assert cka(features, features * np.geomspace(1, 1e3, 9)) < 0.5


@pytest.mark.parametrize(
    ("axes", "order"),
    [
        (("batch", "y", "x", "channel"), (0, 2, 3, 1)),
        (("channel", "y", "x", "batch"), (1, 2, 3, 0)),
        (("axis0", "y", "x", "batch"), (1, 2, 3, 0)),
    ],
)
def test_where_channels_and_samples_stand_is_not_seen(axes, order):
    features = normal(10, 3, 4, 5)
    plain = giving(("batch", "channel", "y", "x"), u=features)

    class Turned(Gives):
        def __call__(self, x: np.ndarray) -> np.ndarray:
            return super().__call__(x).transpose(order)

    turned = Branches(u=Turned(features, axes))
    found = nv.similarity(plain, turned, numbers(10), layers="u")
    assert found.values[0, 0] == pytest.approx(1, abs=1e-12)


def test_noise_is_not_alike_however_many_features_it_has():
    pairs = [(normal(16, 800, seed=2 * i), normal(16, 800, seed=2 * i + 1)) for i in range(100)]
    assert abs(np.mean([cka(*pair) for pair in pairs])) < 0.02
    assert np.mean([biased_cka(*pair) for pair in pairs]) > 0.9


def test_small_batches_tell_on_average_what_a_large_one_does():
    shared = normal(960, 4)
    one = np.hstack([shared, normal(960, 60, seed=1)])
    other = np.hstack([normal(960, 30, seed=2), 2 * shared])
    whole = cka(one, other)
    assert 0.2 < whole < 0.8
    assert cka(one, other, batch=16) == pytest.approx(whole, abs=0.05)


def test_a_and_b_can_change_places():
    a, b = example_model(0), example_model(1)
    x = normal(20, 1, 8, 8)
    there, back = nv.similarity(a, b, x), nv.similarity(b, a, x)
    np.testing.assert_allclose(there.values, back.values.T, atol=1e-12)
    assert (there.keys_a, there.keys_b) == (back.keys_b, back.keys_a)


def test_a_model_beside_itself_runs_once(monkeypatch):
    model, runs = example_model(), []
    run = type(nv.wrap(model).adapter).run
    monkeypatch.setattr(
        type(nv.wrap(model).adapter), "run", lambda *given: runs.append(1) or run(*given), raising=True
    )
    found = nv.similarity(model, model, normal(9, 1, 8, 8))
    assert len(runs) == 1
    np.testing.assert_allclose(np.diag(found.values), 1, atol=1e-12)
    np.testing.assert_allclose(found.values, found.values.T, atol=1e-12)


def test_a_container_that_returns_what_a_layer_within_returns_is_said_to():
    found = nv.similarity(example_model(0), example_model(1), normal(6, 1, 8, 8))
    assert found.keys_a == found.keys_b == ("conv1", "dense1")
    assert [(one.model, one.key, one.reason) for one in found.left_out] == [
        ("a", "", "it returns what 'dense1' returns"),
        ("b", "", "it returns what 'dense1' returns"),
    ]
    asked = nv.similarity(example_model(0), example_model(1), normal(6, 1, 8, 8), layers="*")
    assert asked.keys_a == ("conv1", "dense1", "")
    assert asked.left_out == ()


def test_a_container_that_does_more_than_its_layers_has_a_place():
    class Residual(Model):
        def __call__(self, x: np.ndarray) -> np.ndarray:
            return self.tell("", x + self.tell("dense", self.layers["dense"](x)))

    example_model()
    model = Residual(dense=Dense(kernel=normal(6, 6), bias=np.zeros(6)))
    assert nv.similarity(model, example_model(), (normal(6, 6), normal(6, 1, 8, 8))).keys_a == ("dense", "")


@pytest.mark.parametrize(("count", "said"), [(3, "3 samples"), (1, "1 sample")])
def test_too_few_samples_are_refused(count, said):
    with pytest.raises(InputError, match=rf"given: {said}; linear CKA needs at least 4"):
        nv.similarity(giving(u=normal(9, 3)), giving(v=normal(9, 3)), numbers(count), layers=("u", "v"))


def test_no_sample_is_refused_as_everywhere():
    with pytest.raises(InputError, match="holds no sample"):
        nv.similarity(giving(u=normal(9, 3)), giving(v=normal(9, 3)), numbers(0), layers=("u", "v"))


def test_four_samples_are_enough():
    assert np.isfinite(nv.similarity(example_model(0), example_model(1), normal(4, 1, 8, 8)).values).all()


def test_a_last_batch_that_is_too_small_is_said_not_to_be_used():
    a, b, x = example_model(0), example_model(1), normal(67, 1, 8, 8)
    found = nv.similarity(a, b, data=x)
    assert (found.sample_count, found.unused_sample_count) == (64, 3)
    np.testing.assert_array_equal(found.values, nv.similarity(a, b, x[:64]).values)
    assert "3 samples in a last batch" in str(found)


def test_a_batch_in_between_that_is_too_small_is_refused():
    batches = [normal(8, 1, 8, 8), normal(2, 1, 8, 8), normal(8, 1, 8, 8)]
    with pytest.raises(InputError, match="batch 1 has 2 samples; each but the last needs at least 4"):
        nv.similarity(example_model(0), example_model(1), data=batches)


def test_batches_of_unequal_size_count_by_their_samples():
    one, other = normal(24, 7), normal(24, 5, seed=1)
    parts = [slice(0, 8), slice(8, 24)]
    sums = sum(
        len(one[part])
        * np.array([
            printed_hsic(left @ left.T, right @ right.T)
            for left, right in [(one[part], other[part]), (one[part],) * 2, (other[part],) * 2]
        ])
        for part in parts
    )  # fmt: skip
    found = nv.similarity(
        giving(u=one), giving(v=other), layers=("u", "v"), data=[numbers(24)[part] for part in parts]
    )
    assert found.values[0, 0] == pytest.approx(sums[0] / np.sqrt(sums[1] * sums[2]), abs=1e-12)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (np.nan, "it returned 2 NaN and 0 infinite values"),
        (-np.inf, "it returned 0 NaN and 2 infinite values"),
        (1e200, "it returned values too large or too small to be squared"),
    ],
)
def test_values_that_cannot_be_compared_are_told_and_spoil_nothing_else(spoil, said):
    broken, well = normal(12, 5), normal(12, 4, seed=1)
    broken[[1, 9], 3] = spoil
    found = nv.similarity(
        giving(broken=broken, well=well), giving(u=well), numbers(12), layers=(["broken", "well"], "u")
    )
    assert np.isnan(found.values[0, 0])
    assert found.values[1, 0] == pytest.approx(1)
    assert [(one.model, one.key, one.reason) for one in found.undefined] == [("a", "broken", said)]
    assert f"broken of a: not defined: {said}" in str(found)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (np.zeros((8, 3)), "it returned the same for every sample"),
        (np.full((8, 3), 0.1) + 1e-17, "it returned the same for every sample"),
        (
            np.where(
                np.arange(24).reshape(8, 3) % 2, np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(1))
            ),
            "it returned the same for every sample",
        ),
        (np.zeros((8, 0)), "it returned the same for every sample"),
        (np.eye(8), "no two samples are more alike in it than any other two"),
        (np.eye(8)[:, :1], "no two samples are more alike in it than any other two"),
        (normal(8, 3) * 1e-170, "it returned values too large or too small to be squared"),
    ],
)
def test_a_layer_that_tells_no_samples_apart_has_no_number_and_a_reason(features, said):
    found = nv.similarity(giving(u=normal(8, 3)), giving(v=features), numbers(8), layers=("u", "v"))
    assert np.isnan(found.values).all()
    assert [(one.model, one.key, one.reason) for one in found.undefined] == [("b", "v", said)]


def test_what_is_constant_in_one_batch_alone_has_a_number():
    features = normal(16, 3)
    features[:8] = 1.0
    found = nv.similarity(
        giving(u=features), giving(v=normal(16, 3)), data=np.split(numbers(16), 2), layers=("u", "v")
    )
    assert np.isfinite(found.values).all()
    assert found.undefined == ()


def test_what_has_no_samples_is_left_out_with_its_reason():
    class Summed(Op):
        def __init__(self, axes: tuple[str, ...]) -> None:
            super().__init__()
            self.output_axes = axes

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return np.repeat(x, 2, axis=0)

    example_model()
    model = Branches(
        no=Summed(("time", "channel")), other=Summed(("batch", "channel")), u=Gives(normal(8, 3))
    )
    model.layers["v"] = Gives(normal(8, 2))
    found = nv.similarity(model, giving(w=normal(8, 3)), numbers(8))
    assert found.keys_a == ("u", "v")
    reasons = {one.key: one.reason for one in found.left_out if one.model == "a"}
    assert "not one of them is 'batch'" in reasons["no"]
    assert "not one of them is 'batch'" in reasons["other"]  # 16 entries are not 8 samples


def test_complex_values_are_two_features_each():
    features = normal(8, 3) + 1j * normal(8, 3, seed=1)
    apart = np.hstack([features.real, features.imag])
    assert cka(features, normal(8, 3, seed=2)) == pytest.approx(cka(apart, normal(8, 3, seed=2)))


def test_whole_numbers_and_truths_have_numbers_too():
    values = np.random.default_rng(0).integers(0, 9, (12, 5))
    assert cka(values, values.astype(float)) == pytest.approx(1)
    assert cka(values > 4, (values > 4).astype(np.float32)) == pytest.approx(1)


def test_many_features_are_summed_in_blocks(monkeypatch):
    one, other = normal(10, 33), normal(10, 50, seed=1)
    expected = cka(one, other)
    monkeypatch.setattr("netviz_core.measures.likeness._BLOCK", 70)
    assert cka(one, other) == pytest.approx(expected, abs=1e-12)


def test_each_call_of_a_layer_has_its_own_row():
    class Twice(Model):
        def __call__(self, x: np.ndarray) -> np.ndarray:
            for _ in range(2):
                x = self.tell("dense", np.maximum(self.layers["dense"](x), 0))
            return self.tell("", x)

    example_model()
    model = Twice(dense=Dense(kernel=normal(6, 6), bias=np.zeros(6)))
    found = nv.similarity(model, model, normal(9, 6))
    assert found.keys_a == ("dense:0", "dense:1")


def test_captures_need_neither_model_nor_input(tmp_path):
    a, b, x = example_model(0), example_model(1), normal(9, 1, 8, 8)
    live = nv.similarity(a, b, x)
    nv.capture(a, x).save(tmp_path / "a")
    left, right = nv.load_capture(tmp_path / "a"), nv.capture(b, x)
    for found in (
        nv.similarity(left, right),
        nv.similarity(left, b, x),
        nv.similarity(a, right, x),
        nv.similarity(tmp_path / "a", right),
    ):
        assert (found.keys_a, found.keys_b, found.sample_count) == (live.keys_a, live.keys_b, 9)
        np.testing.assert_allclose(found.values, live.values, atol=1e-12)
    assert nv.similarity(left, right, layers=("conv1", "d*")).keys_b == ("dense1",)
    with pytest.raises(LayerNotFoundError, match="did you mean 'conv1'"):
        nv.similarity(left, right, layers="cnv1")
    with pytest.raises(InputError, match="leave x and data out"):
        nv.similarity(left, right, x)
    with pytest.raises(InputError, match="give that as x"):
        nv.similarity(left, b, data=[x])
    assert nv.similarity(left, right, layers=lambda layer: layer.kind == "dense").keys_a == ("dense1",)
    with pytest.raises(InputError, match="a returned values for 9 samples and b for 8"):
        nv.similarity(left, nv.capture(b, x[:8]))


def test_data_are_taken_as_everywhere_else():
    a, b, x = example_model(0), example_model(1), normal(32, 1, 8, 8)
    batches = np.split(x, 2)
    expected = nv.similarity(a, b, data=batches).values
    targets = np.zeros(16)
    for data in (
        iter(batches),
        [(batch, targets) for batch in batches],
        (batches, iter(batches)),
        ([(batch, targets) for batch in batches], batches),
    ):
        np.testing.assert_array_equal(nv.similarity(a, b, data=data).values, expected)
    named = nv.images(x, ("batch", "channel", "y", "x"))
    for as_given in ({"x": x}, {"x": named}, {"data": x}, {"data": named}, {"x": (x, named)}):
        np.testing.assert_array_equal(
            nv.similarity(a, b, **as_given).values, nv.similarity(a, b, data=[x]).values
        )
    pair = nv.similarity(a, b, (x, x[::-1])).values
    assert not np.allclose(pair, nv.similarity(a, b, x).values)
    with pytest.raises(InputError, match="data for b ended after 1 batches"):
        nv.similarity(a, b, data=(batches, batches[:1]))
    with pytest.raises(InputError, match="both x and data"):
        nv.similarity(a, b, x, data=batches)
    with pytest.raises(InputError, match="no input was given"):
        nv.similarity(a, b)
    with pytest.raises(InputError, match="no batch"):
        nv.similarity(a, b, data=[])


def test_batches_that_run_other_layers_are_refused():
    class Fickle(Branches):
        def __call__(self, x: np.ndarray) -> np.ndarray:
            if x[0, 0] > 0:
                return self.tell("v", self.layers["v"](x))
            return super().__call__(x)

    example_model()
    with pytest.raises(
        InputError, match="layer 'u' of a did not return the same kind of value in every batch"
    ):
        nv.similarity(
            Fickle(u=Gives(normal(16, 3)), v=Gives(normal(16, 3))),
            giving(w=normal(16, 3)),
            data=np.split(numbers(16), 2),
            layers=("*", "w"),
        )


def test_a_model_that_writes_to_its_input_does_not_spoil_that_of_the_other():
    class Writes(Gives):
        def __call__(self, x: np.ndarray) -> np.ndarray:
            made = super().__call__(x)
            x[:] = 0
            return made

    x = numbers(8)
    features = normal(8, 3)
    found = nv.similarity(Branches(u=Writes(features)), giving(u=features), x, layers="u")
    assert found.values[0, 0] == pytest.approx(1)


def test_memory_is_that_of_one_batch(monkeypatch):
    import tracemalloc

    a, b = example_model(0), example_model(1)

    def peak(batches: int) -> int:
        tracemalloc.start()
        nv.similarity(a, b, data=(normal(64, 1, 8, 8, seed=i) for i in range(batches)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(12) < 1.3 * peak(3)
