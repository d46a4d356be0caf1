"""What is said of a comparison: in text, Markdown, JSON and HTML; and the views of its first divergence."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.cells import cell_len

import netviz_core as nv
from netviz_core import AxisError, InputError, UnsupportedError
from netviz_core.comparing.explaining.causes import Cause
from netviz_core.testing import example_model

from ...comparisons import EPSILON, chain, comparison, difference, pair, with_outputs

HOSTILE = (
    "<script>alert(1)</script>",
    "a|b",
    "`x`",
    "**x**",
    "new\nline",
    "\x1b[31m",
    "'\"&",
    "層.重み",
    "\\|",
    "${title}",
    "_x_",
    "@someone",
    "",
)
X = np.random.default_rng(0).normal(size=(2, 1, 8, 8))


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def faulty() -> nv.Comparison:
    a, b = example_model(), example_model()
    b.layers["conv1"].parameters["kernel"][1, 0, 1, 1] += 1
    return nv.compare(a, b, X)


def flat(text: str) -> str:
    return " ".join(text.split())


def table_of(text: str) -> list[str]:
    lines = text.splitlines()
    rules = [number for number, line in enumerate(lines) if line.startswith("──")]
    return lines[rules[0] - 1 : rules[1]]


class Page(HTMLParser):
    """The words of a page, its rows, and whatever it would fetch or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.rows = 0
        self.images: list[str] = []
        self.foreign: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("meta", "img", "br", "wbr"):
            self.open.append(tag)
        self.rows += tag == "tr"
        if tag == "img":
            self.images.append(given["src"] or "")
        if tag in ("script", "link", "iframe") or any(name.startswith("on") for name in given):
            self.foreign.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def words_of(found: nv.Comparison) -> str:
    """What the page says."""
    return flat("".join(Page(found.to_html()).text))


def test_the_verdict_comes_first_and_the_fault_next_with_cause_test_size_and_tolerance():
    told = flat(str(chain(3, first=1)))
    assert told.startswith(
        "a (torch) and b (keras) do not agree: 1 fault, at 'stage0.block1.conv' (conv2d). "
        f"Fault: 1. 'stage0.block1.conv' (conv2d), pair 2 of 3 (confirmed) {EPSILON}. "
        "Given what agrees (error 1.0e-07), they return what differs by 6.0e-02 at most, in 30.0% of the values "
        "(error 3.0e-02, tolerated 1e-04)."
    )
    assert "sure, by" not in told
    unsure = comparison(replace(chain(1, first=0).pairs[0], confidence=0.6))
    assert "That these two correspond is 60% sure, by name, input, kind and shapes." in flat(str(unsure))
    assert "3 pairs of layers: 1 agrees, 1 differs, 1 propagates a difference." in told
    ended = replace(chain(3, first=1), output=difference(0.03))
    assert "The final output differs by 6.0e-02 at most, 100.0% of its values" in flat(str(ended))


def test_agreement_is_told_with_what_came_nearest_to_the_tolerance():
    told = flat(str(comparison(pair("x"), pair("y", "z", 3e-5), output=difference(2e-6))))
    assert told.startswith(
        "a (torch) and b (keras) agree. 2 pairs of layers: 2 agree. Nearest to the tolerance comes 'y' of a, "
        "'z' of b (conv2d): error 3.0e-05, tolerated 1e-04. The final output "
        "differs by 4.0e-06 at most."
    )
    same = str(comparison(pair("x", error=0.0), output=difference(0.0)))
    assert "the same to the last digit" in flat(same)
    assert "The final output is the same." in flat(same)
    compensated = comparison(pair("x"), pair("y", error=np.inf, status="compensated"))
    assert "1 agrees, 1 is compensated further on. Nearest to the tolerance comes 'x'" in flat(
        str(compensated)
    )


def test_a_real_comparison_is_told():
    found = faulty()
    told = flat(str(found))
    assert told.startswith(
        "a (netviz_core) and b (netviz_core) do not agree: 1 fault, at 'conv1' (conv2d). The final output differs"
    )
    assert "(confirmed) 1 of 36 values of kernel differ, such as that at out 1, in 0, y 1, x 1" in told
    assert "Given the same, they return what differs by" in told
    assert found.to_html().startswith("<!DOCTYPE html>")
    agreed = nv.compare(example_model(), example_model(), X)
    assert "do not agree" not in str(agreed)
    assert "At the first divergence" not in agreed.to_html()


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (
            pair("", "permute", 0.2, math.nan, evidence=("between layers",), status="differs",
                 note="between layers: before 'fc' in a and 'fc' in b"),
            "Between layers, before 'fc' in a and 'fc' in b, at '(the model)' of a, 'permute' of b",
        ),
        (
            pair("fc", error=math.inf, status="differs", note="of shape (2, 3) against (2, 4)"),
            "The two cannot be compared: of shape (2, 3) against (2, 4).",
        ),
        (
            pair("fc", status="differs", weights={"kernel": difference(0.2)}),
            "What they return on this input agrees (error 1.0e-07, tolerated 1e-04).",
        ),
        (
            pair("fc", error=0.2, given=math.nan, status="weights", note="weights alone: nothing was run"),
            "Nothing was run; their weights differ by 4.0e-01 at most (error 2.0e-01, tolerated 1e-04).",
        ),
        (pair("fc", error=0.2, given=math.nan, status="differs"), "Given what is not known, they return"),
        (pair("fc", error=0.2, given=0.0, status="differs"), "Given the same, they return"),
        (pair("fc", error=0.2, given=0.01, status="differs"), "Given what differs less (error 1.0e-02), they return"),
        (pair("fc", error=0.2, status="differs", call=3), "'fc' (conv2d, call 3)"),
        (
            pair("fc", error=0.2, status="differs", gradient=difference(0.5)),
            "The gradient with respect to what they returned differs by 1.0e+00 at most, 100.0% of its values",
        ),
    ],
)  # fmt: skip
def test_each_kind_of_divergence_has_its_words(first, said):
    pairs = (pair("x"), pair("y", error=0.2)) if first.evidence == ("between layers",) else (pair("x"), first)
    found = comparison(*pairs, first=first)
    assert said in flat(str(found))
    assert said in words_of(found)
    json.loads(found.to_json())


def test_gradients_and_weights_that_differ_are_told_of_models_that_agree():
    found = comparison(
        pair("x", gradient=difference(0.5)),
        pair("y", gradient=difference(1e-7), weights={"w": difference(1.0)}),
    )
    assert "The weights of 1 pair differ. The gradients of 1 pair differ." in flat(str(found))
    assert table_of(str(found))[0].split()[:7] == ["#", "layer", "kind", "|a", "−", "b|", "error"]
    assert "gradient" in table_of(str(found))[0]


def test_few_pairs_are_all_in_the_table_and_many_around_the_first_divergence():
    assert len(table_of(str(chain(24, 3)))) == 2 + 24
    lines = table_of(str(chain(2000, 700)))
    assert len(lines) == 2 + 1 + 5 + 1 + 10 + 1
    assert lines[2] == "⋮  695 more: 695 agree"
    assert lines[-1] == "⋮  1,289 more: 1,289 propagate a difference"
    assert lines[8].split()[:2] == ["701", "stage70.block700.conv"]
    assert table_of(str(chain(2000, 0)))[2].split()[0] == "1"
    assert table_of(str(chain(2000, 1999)))[-1].startswith("2000")
    beyond_all = comparison(
        *chain(40).pairs,
        first=pair("", error=0.2, status="differs", evidence=("between layers",), note="after all"),
    )
    assert table_of(str(beyond_all))[-1].split()[0] == "40"
    assert "pair 41" not in str(beyond_all)


def test_of_many_pairs_that_agree_those_nearest_to_the_tolerance_are_shown():
    close = comparison(*(pair(f"l{number}", error=1e-8 * number) for number in range(100)))
    shown = [line.split()[0] for line in table_of(str(close))[2:]]
    assert shown == [str(number) for number in range(91, 101)]
    assert "The 10 pairs of 100 that are nearest to the tolerance:" in str(close)


@pytest.mark.parametrize(
    "names", [("conv1", "conv1"), ("backbone.encoder.stages.3.block" * 4 + ".{}", "b{}")]
)
def test_the_text_is_110_columns_wide_at_most_whatever_the_names(names):
    found = comparison(
        *(
            pair(*(name.format(number) for name in names), error=0.5, kind="separable_conv2d",
                 evidence=("weights", "output", "name", "input", "order, kind and shapes"))
            for number in range(5)
        ),
        causes=(Cause("x", "y", "a cause " * 60, False, "unknown"),),
        unmatched_a=("x" * 20,) * 30,
    )  # fmt: skip
    lines = str(found).splitlines()
    assert max(map(cell_len, lines)) <= 110
    assert "w o n i r k s" in table_of(str(found))[2]
    assert "by: w weights, o output, n name, i input, r order, k kind, s shapes" in lines


def test_one_column_of_names_only_where_both_sides_have_the_same():
    assert table_of(str(comparison(pair("x"), pair("y"))))[0].split()[:3] == ["#", "layer", "kind"]
    assert table_of(str(comparison(pair("x:1", "x"), pair("y"))))[0].split()[:3] == ["#", "a:", "torch"]


def test_remaining_causes_and_layers_without_partner_are_listed():
    found = replace(
        chain(3, 1),
        causes=(*chain(3, 1).causes, Cause("x", "x", "momentum is 0.1 in a", False, "momentum")),
        unmatched_a=("drop1", "drop2", "gate"),
        unmatched_b=tuple(f"id{number}" for number in range(20)),
        reasons={
            "a:drop1": "dropout: it returns what it is given",
            "a:drop2": "dropout: it returns what it is given",
            **{f"b:id{number}": "other" for number in range(20)},
        },
    )
    for told in (flat(str(found)), flat(found.to_markdown()), words_of(found)):
        assert "momentum is 0.1 in a" in told
        assert "in a: drop1, drop2 (dropout: it returns what it is given)" in told
        assert "in a: gate" in told
        assert "id11 and 8 more (other)" in told


def test_what_differs_only_in_training_is_told_of_models_that_agree():
    cause = Cause("x", "x", "momentum is 0.1 in a and 0.2 in b", False, "momentum")
    found = comparison(pair("x"), causes=(cause,))
    assert "Why" not in str(found)
    assert "Also: - momentum" in flat(str(found))


@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")  # the font has not every letter
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_do_no_harm(name):
    first = pair(name, name + "2", 0.5, status="differs", note=name)
    found = comparison(
        pair(name + "0"),
        first,
        title=name,
        unmatched_a=(name,),
        reasons={f"a:{name}": name},
        causes=(Cause(name, name, name, True, name),),
    )
    assert all(line.isprintable() for line in str(found).splitlines())
    assert json.loads(found.to_json())["pairs"][1]["path_a"] == name
    page = Page(found.to_html())
    assert not page.open
    assert not page.foreign
    words = name.encode("unicode_escape").decode() if name.isascii() and not name.isprintable() else name
    assert words in "".join(page.text)
    assert name.isprintable() or name not in "".join(page.text)
    rows = [line for line in found.to_markdown().splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert {row.count("|") for row in rows} == {rows[0].count("|")}
    assert not re.search(r"<(?!/?code>)", found.to_markdown())


def test_markdown_leaves_plain_names_readable():
    told = chain(2, 1).to_markdown()
    assert "**`stage0.block1.conv`**" in told
    assert "do not agree: 1 fault, at 'stage0.block1.conv' (conv2d)" in told
    assert "layer_norm" in comparison(pair("layer_norm", error=0.5, status="differs")).to_markdown()


def test_json_is_strict_and_the_dictionary_is_what_it_reads_back_as():
    odd = pair(
        "x", error=math.inf, given=math.nan, weights={"kernel": difference(math.nan)}, status="differs"
    )
    found = comparison(odd, pair("y", error=float(np.float32(0.5))), output=difference(0.5))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads(found.to_json(), parse_constant=refuse)
    assert read == found.to_dict()
    assert read["pairs"][0]["error"] is None
    assert read["pairs"][0]["weights"]["kernel"]["max_abs"] is None
    assert read["pairs"][1]["error"] == 0.5
    assert (read["agrees"], read["first_number"]) == (False, 0)
    assert read["causes"][0] == {
        "path_a": "x", "path_b": "x", "text": EPSILON, "confirmed": True, "name": "epsilon",
        "statement": "epsilon is 1e-05 in a and 0.001 in b", "reads": [],
    }  # fmt: skip
    real = faulty().to_dict()
    assert real["first_outputs"] == [{"axes": ["batch", "channel", "y", "x"], "shape": [2, 4, 6, 6]}] * 2
    assert real["first_weights"] == {"kernel": [[4, 1, 3, 3]] * 2, "bias": [[4]] * 2}
    assert json.loads(json.dumps(real, allow_nan=False)) == real


def test_the_page_needs_nothing_else_and_shows_the_figures():
    found = faulty()
    html = found.to_html()
    page = Page(html)
    assert len(page.images) == 3, "errors, maps, and the weight that differs"
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in page.images)
    assert not page.foreign
    assert not re.search(r"https?://|url\(|@import", html)
    assert page.text.count("not confirmed") + page.text.count("confirmed") == len(found.causes)


def test_the_page_says_why_there_are_no_maps():
    told = words_of(chain(3, 1))
    assert "No feature maps: what was returned at stage0.block1.conv is not known" in told


def test_the_page_of_two_thousand_pairs_has_them_all_behind_a_fold():
    page = Page(chain(2000, 700).to_html())
    assert page.rows == (1 + 2 + 16) + (1 + 2000)
    assert "all 2,000 pairs" in page.text
    assert page.rows < 3000


def test_maps_of_both_are_on_one_scale_and_their_difference_on_its_own():
    a = np.abs(normal(2, 4, 5, 6))
    b = a.copy()
    b[1, 2] += 10
    maps = with_outputs(a, b).feature_maps(sample=1)
    np.testing.assert_array_equal(maps.a.tiles, a[1])
    np.testing.assert_array_equal(maps.b.tiles, b[1])
    np.testing.assert_allclose(maps.difference.tiles, a[1] - b[1])
    assert maps.a.limits == maps.b.limits == (0.0, b[1].max())
    turned = with_outputs(b, a).feature_maps(sample=1)
    assert turned.a.limits == turned.b.limits == maps.a.limits
    assert maps.difference.limits == pytest.approx((-10, 10))
    assert maps.title == "conv1 · sample 1 · differs most in channel 2"
    assert maps.titles == ("a: torch", "b: keras", "a − b, on its own scale")
    assert with_outputs(a, b).feature_maps().difference.limits == (-1, 1), "the first sample does not differ"


def test_maps_of_one_channel_or_the_first_few():
    found = with_outputs(normal(1, 4, 5, 6), normal(1, 4, 5, 6, seed=1))
    assert found.feature_maps(channel=3).a.tiles.shape == (1, 5, 6)
    assert found.feature_maps(channel=3).title == "conv1 · sample 0 · channel 3"
    assert found.feature_maps(limit=2).difference.tiles.shape == (2, 5, 6)


@pytest.mark.parametrize(
    ("axes", "shape", "tiles"),
    [
        (("batch", "y", "x"), (2, 5, 6), (1, 5, 6)),
        (("batch", "time", "channel"), (2, 5, 3), (3, 1, 5)),
        (("batch", "channel", "z", "y", "x"), (2, 3, 4, 5, 6), (12, 5, 6)),
    ],
)
def test_maps_of_other_axes(axes, shape, tiles):
    maps = with_outputs(normal(*shape), normal(*shape, seed=1), axes).feature_maps()
    assert maps.a.tiles.shape == maps.difference.tiles.shape == tiles


def test_maps_of_any_dtype_and_with_values_that_are_not_finite():
    a = np.arange(8, dtype=np.uint8).reshape(1, 2, 2, 2)
    assert with_outputs(a, a[:, ::-1]).feature_maps().difference.limits == (-4, 4)
    truths = np.zeros((1, 1, 2, 2), bool)
    assert with_outputs(truths, ~truths).feature_maps().difference.tiles.max() == -1
    spoiled = np.full((1, 1, 2, 2), np.inf)
    spoiled[0, 0, 0, 0] = np.nan
    maps = with_outputs(spoiled, spoiled).feature_maps()
    assert maps.difference.nan_count == 4
    assert maps.title == "conv1 · sample 0"


def test_what_is_missing_for_maps_is_told():
    with pytest.raises(InputError, match="the two models agree: there is no first divergence"):
        chain(3).feature_maps()
    with pytest.raises(UnsupportedError, match="is not known; compare with an input x"):
        chain(3, 1).feature_maps()
    for axes, shape in ((("batch", "channel"), (2, 3)), (("axis0", "axis1", "axis2"), (2, 3, 3))):
        with pytest.raises(AxisError, match=f"axes {', '.join(axes)} and no maps to show"):
            with_outputs(normal(*shape), normal(*shape), axes).feature_maps()
    found = with_outputs(normal(2, 3, 4, 4), normal(2, 3, 4, 4))
    with pytest.raises(InputError, match="sample=2 does not exist; there are 2 samples"):
        found.feature_maps(2)
    with pytest.raises(InputError, match="index 3 lies outside axis 'channel'"):
        found.feature_maps(channel=3)
    with pytest.raises(InputError, match="limit=0"):
        found.feature_maps(limit=0)


def test_weights_of_both_are_counted_in_the_same_bins():
    found = faulty()
    view = found.weight_histograms(bins=7)
    np.testing.assert_array_equal(view.a.edges, view.b.edges)
    a, b = found.first_weights["kernel"]
    assert (view.a.edges[0], view.a.edges[-1]) == (min(a.min(), b.min()), max(a.max(), b.max()))
    assert view.a.counts.sum() == view.b.counts.sum() == a.size
    assert view.max_abs_difference == pytest.approx(1)
    assert view.title == "conv1 · kernel 4 × 1 × 3 × 3"
    assert found.weight_histograms("bias").max_abs_difference == 0
    assert found.weight_histograms(bins=[-9, 0, 9]).a.counts.shape == (2,)


def test_what_is_missing_for_weights_is_told():
    with pytest.raises(InputError, match="the two models agree"):
        chain(3).weight_histograms()
    with pytest.raises(
        UnsupportedError, match="have no weight 'kernel' to compare; no weights of theirs are known"
    ):
        chain(3, 1).weight_histograms()
    with pytest.raises(UnsupportedError, match="have no weight 'scale' to compare; they have kernel, bias"):
        faulty().weight_histograms("scale")
    with pytest.raises(InputError, match="bins=0"):
        faulty().weight_histograms(bins=0)


def test_where_the_first_divergence_stands():
    found = chain(5, 2)
    assert (found.first_number, found.is_between_layers) == (2, False)
    assert (chain(5).first_number, chain(5).is_between_layers) == (None, False)
    called = [pair("x", error=0.5, call=call, status="propagates") for call in range(3)]
    assert comparison(*called, first=called[2]).first_number == 2
    between = pair("x", error=0.5, evidence=("between layers",), status="differs")
    assert comparison(pair("x"), pair("y", error=0.5), first=between).first_number == 1
    assert comparison(pair("x"), first=between).first_number == 1
    assert comparison(pair("x"), first=pair("gone", error=0.5)).first_number is None
