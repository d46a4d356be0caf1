"""Whatever netviz hands out shows itself: in one line, and in a notebook as a card."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser

import numpy as np
import pytest

import netviz_core as nv
from netviz_core import plugins
from netviz_core.testing import ReferenceBackend
from netviz_core.words.cards import Record, Telling
from netviz_core.words.errors import BackendLoadError

from ..shown import SHOWN, X, model

HOSTILE = "</style><script>alert('x')</script>\"><img src=x onerror=alert(1)>\n\x1b[31m&amp;\u202e"


class Card(HTMLParser):
    """What a card says, in its order, and whatever of it would fetch or run something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.foreign: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag not in ("img", "br", "wbr"):
            self.open.append(tag)
        loads = tag == "img" and not (given["src"] or "").startswith("data:image/png;base64,")
        if (
            loads
            or tag in ("script", "link", "iframe", "object")
            or any(name.startswith("on") for name in given)
        ):
            self.foreign.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def classes() -> Iterator[type]:
    """Every class of the core that shows itself."""
    for module in pkgutil.walk_packages(nv.__path__, "netviz_core."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    waiting = [Telling]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__module__.startswith("netviz_core.") and not cls.__name__.startswith("_"):
            yield cls


def test_there_is_one_of_every_class_to_be_looked_at():
    """A new one is to be added to ``tests/shown.py``."""
    last = {cls.__name__ for cls in classes() if not cls.__subclasses__()}
    assert last
    assert last - SHOWN.keys() == set()


def test_every_public_class_shows_itself():
    public = [getattr(nv, name) for name in nv.__all__]
    shown = {cls for cls in public if inspect.isclass(cls) and not issubclass(cls, Exception)}
    assert shown
    assert {cls for cls in shown if not issubclass(cls, Telling)} == set()


HANDS_OUT_NO_OBJECT = {
    "None", "Backend", "Renderer",  # plugins, which their authors write
}  # fmt: skip


def test_every_public_function_hands_out_what_shows_itself():
    functions = [getattr(nv, name) for name in nv.__all__ if inspect.isfunction(getattr(nv, name))]
    known = {cls.__name__ for cls in classes()}
    returned = {
        function.__name__: str(inspect.signature(function).return_annotation) for function in functions
    }
    assert len(returned) > 20
    odd = {
        name: what
        for name, what in returned.items()
        if re.sub(r"^Iterator\[(.*)\]$", r"\1", what) not in known | HANDS_OUT_NO_OBJECT
    }
    assert odd == {}


@pytest.fixture(params=SHOWN)
def made(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_is_what_it_is_called(made):
    shown = SHOWN[made]("conv1")
    assert made in {cls.__name__ for cls in type(shown).__mro__}


def test_the_plain_form_is_one_line_without_entrails(made):
    for name in ("conv1", HOSTILE):
        line = repr(SHOWN[made](name))
        assert line.startswith("<")
        assert line.endswith(">")
        assert line.isprintable()
        assert len(line) < 400 + 3 * len(name)
        assert not re.search(r"array\(|Layout\(|object at 0x|<function", line)


def test_the_card_holds_the_verdict_first_and_does_no_harm(made):
    for name in ("conv1", HOSTILE):
        html = SHOWN[made](name)._repr_html_()
        card = Card(html)
        assert card.open == []
        assert card.foreign == []
        assert not re.search(r"https?:|@import|url\(|javascript:", html)
        assert card.tags[:4] == ["div", "style", "p", "strong"], "the verdict, and then all else"
        assert card.text[0].strip()
        assert all(text.isprintable() for text in card.text if text.strip())


def test_a_figure_stands_before_all_that_can_be_unfolded(made):
    tags = Card(SHOWN[made]("conv1")._repr_html_()).tags
    if "figure" in tags and "details" in tags:
        assert tags.index("figure") < tags.index("details")


def test_nothing_is_run_for_it(made, monkeypatch):
    shown = SHOWN[made]("conv1")

    def run(*arguments: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(ReferenceBackend, "run", run)
    assert repr(shown)
    assert shown._repr_html_()


def test_without_a_renderer_it_still_says_what_it_found(made, monkeypatch):
    shown = SHOWN[made]("conv1")
    with_figure = Card(shown._repr_html_())

    def absent(name: str) -> None:
        raise BackendLoadError("matplotlib is not installed; install it: pip install matplotlib")

    monkeypatch.setattr(plugins._renderers, "get", absent)
    card = Card(shown._repr_html_())
    assert "img" not in card.tags
    assert card.text[0] == with_figure.text[0]
    said = "pip install matplotlib" in " ".join(card.text)
    assert said == ("img" in with_figure.tags)
    if hasattr(shown, "_repr_mimebundle_"):
        assert set(shown._repr_mimebundle_()) == {"text/html"}
        assert shown._repr_png_() is None


def test_a_view_is_drawn_once_for_its_card_and_its_picture(monkeypatch):
    view = nv.kernels(model(), "conv1")
    drawn = []
    renderer = nv.get_renderer("matplotlib")
    png = type(renderer).png
    monkeypatch.setattr(type(renderer), "png", lambda self, view: drawn.append(view) or png(self, view))
    bundle = view._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png"}
    assert drawn == [view]


def test_a_record_says_all_that_it_holds():
    row = nv.summary(model(), X)["conv1"]
    assert isinstance(row, Record)
    text = " ".join(Card(row._repr_html_()).text)
    assert all(name in text for name in ("output_shape", "multiply_accumulates", "conv2d"))


def test_a_verdict_is_said_of_what_was_looked_at_alone():
    found = nv.health(model(), X, progress=False)
    assert "not all layers were seen" not in found._repr_html_()
    unseen = SHOWN["Capture"]("conv1")
    assert "not captured" not in unseen._repr_html_()
    partly = nv.capture(model(), X).coverage
    partly["lost"] = nv.Coverage("not_observed", "it did not run during the pass")
    card = Card(partly._repr_html_())
    assert card.text[0] == "Coverage of 4 layers: 3 captured, 1 not"
    assert "it did not run during the pass" in card.text


def test_a_comparison_tells_why_before_anything_is_unfolded():
    verdict = Card(SHOWN["Comparison"]("conv1")._repr_html_()).text[0]
    assert "do not agree" in verdict
    assert "Cause" in verdict
    assert "confirmed" in verdict


@pytest.mark.parametrize(
    ("count", "said"), [(4, "from 0 to 3"), (2**20 + 1, "its 1,048,577 values were not read")]
)
def test_a_weight_is_read_only_where_that_takes_no_time(count, said):
    layer = nv.wrap({"block.weight": np.arange(float(count))})["block"]
    (weight,) = layer.weights.values()
    assert said in Card(weight._repr_html_()).text[0]


def test_large_objects_show_the_first_rows_say_how_many_more_and_take_no_time():
    layers = nv.wrap({f"block{number}.weight": X[0, 0] for number in range(5000)})
    start = time.perf_counter()
    html = layers._repr_html_()
    assert time.perf_counter() - start < 2
    assert len(html) < 200_000
    text = Card(html).text
    assert any("the first 200 of 5,001 rows" in part for part in text)
    assert any("4,801 more, which are not shown" in part for part in text)
