"""The table of a summary: its columns, its width, what is folded, and the forms that it is given away in."""

from __future__ import annotations

import html.parser
import json
import sys
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import netviz_core as nv
from netviz_core.summaries.parts import COLUMNS
from netviz_core.summaries.summary import Summary, summary
from netviz_core.testing import example_model

X = np.zeros((2, 1, 8, 8))


@pytest.fixture
def found() -> Summary:
    return summary(example_model(), X)


def with_rows(found: Summary, count: int, path: str = "block.layer") -> Summary:
    """The summary with as many rows as wanted, directly in the model."""
    row = found["conv1"]
    rows = [found.rows[0], *(replace(row, path=f"{path}{number}") for number in range(count - 1))]
    return replace(found, rows=tuple(rows[:count]))


def test_rows_and_totals(found: Summary) -> None:
    assert [row.path for row in found.rows] == ["", "conv1", "dense1"]
    conv = found["conv1"]
    assert (conv.kind, conv.type_name, conv.depth, conv.parent) == ("conv2d", "Conv2d", 1, "")
    assert (conv.input_shape, conv.output_shape) == ((2, 1, 8, 8), (2, 4, 6, 6))
    assert conv.output_axes == ("batch", "channel", "y", "x")
    assert (conv.parameters, conv.trainable_parameters, conv.parameter_bytes) == (40, 40, 36 * 8 + 4 * 8)
    assert conv.multiply_accumulates == 36 * 2 * 36
    assert found.multiply_accumulates == 36 * 2 * 36 + 2 * 1440
    assert found.total_parameters == found.rows[0].parameters == 1490
    assert found.output_bytes == 8 * (2 * 144 + 2 * 10)


def test_the_table_shows_a_tree(found: Summary) -> None:
    lines = found.to_text().splitlines()
    assert lines[0].split() == [
        *"layer kind type input output parameters trainable share memory MACs".split(),
    ]
    assert [line[:10].rstrip() for line in lines[2:5]] == ["Model", "  conv1", "  dense1"]
    assert "b2 c4 y6 x6" in lines[3]
    assert "b batch, c channel" in lines[-1]


@pytest.mark.parametrize("width", [30, 80, 200])
@pytest.mark.parametrize("path", ["short", "a.long_name_of_a_block." * 4 + "layer", "名前" * 30])
def test_no_line_is_wider_than_it_may_be(found: Summary, width: int, path: str) -> None:
    from rich.cells import cell_len

    text = with_rows(found, 20, path).to_text(width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert len(text.splitlines()) >= 24
    if width < 200:
        assert "not shown in" in text


def test_long_paths_can_be_told_apart(found: Summary) -> None:
    long = with_rows(found, 9, "a_very_long_name_" * 5).to_text(80)
    names = [line[:40].split("  Conv2d")[0].split()[0] for line in long.splitlines()[3:11]]
    assert len(set(names)) == 8
    assert all("…" in name for name in names)


def test_one_row_and_two_thousand(found: Summary) -> None:
    assert len(with_rows(found, 1).to_text(80).splitlines()) < 10
    long = with_rows(found, 2000)
    text = long.to_text(80)
    assert len(text.splitlines()) < 212
    assert "1,800 layers at ⋮ not shown" in text
    assert "layer1998" in text
    assert len(long.arranged(depth=1).to_text(80).splitlines()) > 2000


def test_depth_folds_and_says_so(found: Summary) -> None:
    folded = found.arranged(depth=0)
    assert "conv1" not in folded.to_text()
    assert "2 layers folded below depth 0" in folded.to_text()
    assert len(folded.rows) == 3


def test_columns_are_shown_in_the_order_asked_for(found: Summary) -> None:
    text = found.arranged(columns=["path", "calls", "kind"]).to_text()
    assert text.splitlines()[0].split() == ["layer", "calls", "kind"]
    assert found.arranged(columns=COLUMNS).to_text().splitlines()[0].startswith("layer")


def test_rows_are_sorted_from_large_to_small(found: Summary) -> None:
    assert [row.path for row in found.arranged(sort="parameters").rows] == ["dense1", "conv1"]
    assert [row.path for row in found.arranged(sort="kind").rows] == ["conv1", "dense1"]
    assert [row.path for row in found.arranged(sort="output_shape").rows] == ["conv1", "dense1"]
    assert [row.path for row in summary(example_model(), sort="multiply_accumulates").rows]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"columns": ["parametres"]}, "did you mean 'parameters'"),
        ({"columns": "path"}, "no list of names"),
        ({"columns": []}, "no list of names"),
        ({"sort": "size"}, "no column 'size'"),
        ({"depth": -1}, "is no depth"),
        ({"depth": "deep"}, "depth='deep' is not a whole number"),
        ({"depth": 1.5}, "not a whole number"),
        ({"x": X, "input_shape": (1, 1, 8, 8)}, "give one of them"),
        ({"input_shape": (1, 0, 8)}, "is no shape"),
        ({"input_shape": "3"}, "is no shape"),
        ({"input_shape": 3}, "is no shape"),
        ({"input_shape": [(1, 2), (3.5,)]}, "is no shape"),
        ({"columns": ["path", "output_shape"]}, "needs a forward pass"),
    ],
)
def test_wrong_arguments_are_said(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(nv.InputError, match=words.replace("(", r"\(")):
        summary(example_model(), **arguments)


def test_a_backend_that_makes_no_inputs_says_so() -> None:
    with pytest.raises(nv.UnsupportedError, match="give x"):
        summary(example_model(), input_shape=(1, 1, 8, 8))


def test_an_unknown_row_names_the_nearest(found: Summary) -> None:
    with pytest.raises(nv.LayerNotFoundError, match="conv1"):
        found["cov1"]


def test_json_holds_every_field(found: Summary) -> None:
    whole = json.loads(found.arranged(depth=0, columns=["path"]).to_json())
    assert whole == found.to_dict()
    assert whole["rows"][1]["output_shape"] == [2, 4, 6, 6]
    assert whole["rows"][1]["outputs"][0]["axes"] == ["batch", "channel", "y", "x"]
    assert set(COLUMNS) <= set(whole["rows"][0])


def test_pandas_holds_every_row(found: Summary) -> None:
    import pandas

    frame = found.arranged(depth=0).to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.set_index("path").loc["dense1", "parameters"] == 1450
    assert set(COLUMNS) <= set(frame.columns)


def test_without_pandas_the_error_says_what_to_do(found: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        found.to_pandas()


def test_html_escapes_what_names_hold(found: Summary) -> None:
    text = with_rows(found, 3, "<script>&")._repr_html_()
    assert "<script>" not in text
    assert "&lt;script&gt;&amp;0" in text
    opened: list[str] = []

    class Balanced(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag != "br":
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Balanced().feed(text)
    assert not opened


@pytest.mark.parametrize("width", [80, 200])
def test_rich_draws_the_same_lines(found: Summary, width: int) -> None:
    out = StringIO()
    Console(file=out, width=width).print(with_rows(found, 5, "[red]layer"))
    drawn = out.getvalue()
    assert "[red]layer1" in drawn
    assert max(map(len, drawn.splitlines())) <= width
    assert "1,490" in drawn


def test_names_with_line_breaks_stay_on_a_line(found: Summary) -> None:
    lines = with_rows(found, 2, "a\nb\x1b[31m").to_text().splitlines()
    assert r"a\nb\x1b[31m0" in lines[3]


def test_str_is_the_table_and_repr_is_short(found: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert str(found) == found.to_text(80)
    assert repr(found) == "<Summary of Model: 3 layers, 1,490 parameters>"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "?"),
        (0, ""),
        (7, "7"),
        (999, "999"),
        (1000, "1 k"),
        (1814073344, "1.81 G"),
        (999_600, "1 M"),
        (10**18, "1000 P"),
    ],
)
def test_numbers_have_three_digits(value: int | None, words: str) -> None:
    from netviz_core.summaries.text import _scaled

    assert _scaled(value) == words
