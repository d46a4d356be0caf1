"""How several faults are told: each with its size, those of equal cause once; and as what a program can act on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np
import pytest

import netviz_core as nv
from netviz_core import InputError
from netviz_core.comparing import telling
from netviz_core.comparing.explaining.causes import Cause
from netviz_core.comparing.telling.findings import Fault
from netviz_core.testing import example_model

from ...comparisons import comparison, difference, pair

X = np.random.default_rng(0).normal(size=(2, 1, 8, 8))
TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float),
    "null": type(None),
}  # fmt: skip
SCHEMA = json.loads(resources.files(telling).joinpath("comparison.schema.json").read_text("utf-8"))


def flat(text: str) -> str:
    return " ".join(text.split())


def epsilon(path: str, left: str = "6.0e-02") -> Cause:
    text = f"epsilon is 1e-05 in a and 0.001 in b; with that in both, the difference falls from {left} to 1.2e-07"
    return Cause(path, path, text, True, "epsilon")


def faulty(paths: list[str], *causes: Cause, **other: Any) -> nv.Comparison:
    """A comparison with a fault in each of these layers: of that cause, or all of the same."""
    pairs = [
        pair(path, error=0.03 + number / 100, given=0.0, kind="batch_norm", status="differs",
             ratio=30.0 + number, precision="float32")
        for number, path in enumerate(paths)
    ]  # fmt: skip
    each = causes or [epsilon(path, f"{number + 1}.0e-02") for number, path in enumerate(paths)]
    faults = tuple(Fault(one, (cause,)) for one, cause in zip(pairs, each, strict=True))
    return comparison(*pairs, first=pairs[0], faults=faults, causes=tuple(each), **other)


def problems(value: Any, schema: dict[str, Any], where: str = "it") -> Iterator[str]:
    """Where a value is not as a schema has it, as far as ours uses JSON Schema."""
    parts = [*schema.get("allOf", ())]
    if "$ref" in schema:
        parts.append(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    for part in parts:
        yield from problems(value, part, where)
    if "anyOf" in schema and all(list(problems(value, part)) for part in schema["anyOf"]):
        yield f"{where} is none of those allowed"
    wanted = schema.get("type", list(TYPES))
    if not any(isinstance(value, TYPES[name]) for name in ([wanted] if isinstance(wanted, str) else wanted)):
        yield f"{where} is of type {type(value).__name__}, not {wanted}"
    elif value != schema.get("const", value) or value not in schema.get("enum", [value]):
        yield f"{where} is {value!r}"
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from problems(part, schema.get("items", {}), f"{where}[{number}]")
    elif isinstance(value, dict):
        yield from (f"{where} lacks {name}" for name in schema.get("required", ()) if name not in value)
        for name, part in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            yield from problems(part, inner, f"{where}.{name}")


def test_faults_of_equal_cause_are_told_once_with_all_their_layers_and_the_largest_of_them():
    told = flat(str(faulty([f"bn{number}" for number in range(15)])))
    assert told.startswith(
        "a (torch) and b (keras) do not agree: 15 faults of 1 kind, the first at 'bn0' (batch_norm). "
    )
    assert (
        f"1. 15 pairs of layers (batch_norm): {', '.join(repr(f'bn{n}') for n in range(15))} (confirmed)"
        in told
    )
    assert told.count("epsilon is 1e-05 in a and 0.001 in b") == 1
    assert "differs by 3.4e-01 at most" in told
    assert "30 to 44 times the noise of float32" in told


def test_faults_of_other_causes_are_told_each_with_its_own():
    causes = [epsilon("x"), epsilon("y"), Cause("z", "z", "axis is 1 in a and 3 in b", True, "axis")]
    found = faulty(["x", "y", "z"], *causes)
    for told in (flat(str(found)), flat(found.to_markdown())):
        assert "3 faults of 2 kinds" in told
        assert (
            "1. 2 pairs of layers (batch&#95;norm): " in told or "1. 2 pairs of layers (batch_norm): " in told
        )
        assert "2. 'z' (batch_norm), pair 3 of 3" in told
        assert "(confirmed) axis is 1 in a and 3 in b." in told


def test_no_number_of_faults_floods_the_report_and_the_page_has_them_all():
    paths = [f"layer{number}" for number in range(500)]
    causes = [Cause(path, path, f"cause {number}", False, "x") for number, path in enumerate(paths)]
    found = faulty(paths, *causes)
    assert len(str(found).splitlines()) < 130
    assert "and 488 more: 'layer12' (batch_norm), pair 13 of 500" in flat(str(found))
    assert "cause 499." in found.to_html()
    assert "488 more" in found.to_html()
    assert len(found.to_dict()["faults"]) == 500
    assert len(flat(str(faulty(paths)))) < 6000


def test_what_is_not_confirmed_is_told_with_the_weights_of_the_pair():
    cause = Cause("x", "x", "unknown: nothing explains it", False, "unknown")
    first = pair(
        "x", error=0.5, status="differs", weights={"kernel": difference(0.2), "bias": difference(0.0)}
    )
    told = flat(str(comparison(first, causes=(cause,))))
    assert "unknown: nothing explains it." in told
    assert "(confirmed)" not in told
    assert "Their weights differ: kernel differs by 4.0e-01 at most" in told


def test_what_is_built_otherwise_is_no_fault():
    found = comparison(
        pair("q", error=0.5, status="compensated"), pair("k", error=0.5), pair("v", error=0.4, status="compensated"),
        pair("out"), pair("late", error=0.3, status="compensated"),
    )  # fmt: skip
    for told in (flat(str(found)), flat(found.to_markdown())):
        assert "Built otherwise, and put right further on (no faults)" in told
        assert "- 'q', 'v'" in told
        assert "- 'late'" in told
        assert "do not agree" not in told


def test_suspicions_are_told_as_such():
    found = comparison(pair("x"), suspicions=(pair("x", error=2e-5, status="suspicion", ratio=1.8),))
    assert found.agrees
    assert "Suspicions (more than 1.5 times the noise, less than 2.5): - 'x' (conv2d), pair 1 of 1" in flat(
        str(found)
    )
    assert "1.8 times the noise" in flat(str(found))
    assert found.to_dict()["suspicions"][0]["ratio"] == 1.8


def test_chance_is_told_before_the_faults():
    chance = Cause("x", "", "a is not deterministic: run it again", True, "not deterministic")
    found = faulty(["x"], epsilon("x"))
    told = flat(str(replace(found, causes=(chance, *found.causes))))
    assert told.index("a is not deterministic") < told.index("Fault:")


def test_both_sides_can_be_named():
    a, b = example_model(), example_model()
    b.layers["conv1"].parameters["kernel"][1, 0, 1, 1] += 1
    for found in (
        nv.compare(a, b, X, names=("original", "port")),
        nv.compare(a, b, names=("original", "port")),
    ):
        assert str(found).startswith("a (original) and b (port) do not agree: 1 fault")
        assert "original and port" in found.title
        assert found.names == ("a: original", "b: port")


@pytest.mark.parametrize("names", ["ab", ("a",), ("x", "x"), ("x", ""), (1, 2)])
def test_names_that_name_no_two_models_are_refused(names):
    with pytest.raises(InputError, match="names="):
        nv.compare(example_model(), example_model(), X, names=names)


def test_all_layers_whose_weights_differ_are_told_where_nothing_is_run():
    a, b = example_model(), example_model()
    for layer in b.layers.values():
        for values in layer.parameters.values():
            values += 1
    found = nv.compare(a, b)
    assert [fault.path_a for fault in found.faults] == ["conv1", "dense1"]
    assert "Nothing was run; their weights differ by" in flat(str(found))


def test_the_dictionary_is_as_the_schema_says():
    a, b = example_model(), example_model()
    b.layers["conv1"].parameters["kernel"][1, 0, 1, 1] += 1
    made = [
        nv.compare(a, b, X),
        nv.compare(a, b),
        nv.compare(a, a, X),
        nv.compare(nv.capture(a, X), nv.capture(b, X)),
        faulty(["x", "y"]),
        comparison(pair("x"), suspicions=(pair("x", status="suspicion"),)),
    ]
    for found in made:
        assert not list(problems(json.loads(found.to_json()), SCHEMA))
        assert found.to_dict()["schema"] == SCHEMA["title"]
    assert list(problems({**made[0].to_dict(), "schema": "other", "agrees": 1, "faults": [{}]}, SCHEMA))


def test_a_program_finds_place_size_cause_and_the_layers_with_the_same():
    found = faulty(
        ["x", "y", "z"], epsilon("x"), Cause("y", "y", "axis", False, "axis"), epsilon("z")
    ).to_dict()
    fault = found["faults"][0]
    assert (fault["path_a"], fault["path_b"], fault["kind"], fault["ratio"]) == ("x", "x", "batch_norm", 30.0)
    assert (fault["causes"][0]["name"], fault["causes"][0]["confirmed"]) == ("epsilon", True)
    assert [group["faults"] for group in found["told_together"]] == [[0, 2], [1]]
    assert found["told_together"][0]["causes"] == [
        {"name": "epsilon", "statement": "epsilon is 1e-05 in a and 0.001 in b", "confirmed": True}
    ]
    assert found["remarks"] == []
