"""Graphs in a page: what of them stands there, and that nothing of it is more than text."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest

from netviz_core.graphs.parts import GraphGroup
from netviz_core.graphs.view import Graph
from netviz_core.pages.document import document, section
from netviz_core.pages.unfolding import Mark, Unfolding, link, unfolded

from ...renderers.handmade import graph_view

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028\x00\x1b[31m\u202e\"'&amp;"


def chain(count: int, group: str = "") -> Graph:
    """So many layers, one after the other."""
    return graph_view([(f"n{number}", f"n{number + 1}") for number in range(count - 1)])


def data_of(html: str) -> Any:
    """What the script of a page reads."""
    found = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and what they would run or fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.odd: list[Any] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "wbr":  # where a path may be broken
            self.tags.append(tag)
        given = dict(attrs)
        if any(name.startswith("on") for name in given) or tag in ("iframe", "object", "link", "base"):
            self.odd.append((tag, attrs))
        if (given.get("src") or "data:")[:5] != "data:" or (given.get("href") or "#")[:1] != "#":
            self.odd.append((tag, attrs))


def test_only_the_scripts_and_styles_that_a_page_names_may_run() -> None:
    html = document("graph", [section("Graph", unfolded([Unfolding(chain(3), "a")]).html)])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    told = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    assert told["default-src"] == "'none'"
    assert "unsafe" not in policy[1]
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert len(scripts) == 2
    for kind, texts in (("script-src", scripts), ("style-src", styles)):
        hashes = [b64encode(sha256(text.encode()).digest()).decode() for text in texts]
        assert told[kind] == " ".join(f"'sha256-{found}'" for found in hashes)


def test_a_page_without_graphs_runs_no_script() -> None:
    html = document("words", [section("Words", "<p>none</p>")], "all is well", "fine")
    assert "<script" not in html
    assert "script-src 'none'" in html


def test_names_of_models_are_text_and_nothing_else() -> None:
    view = graph_view([(HOSTILE, f"{HOSTILE}2")], title=HOSTILE)
    marks = {HOSTILE: Mark("fault", HOSTILE)}
    drawn = unfolded([Unfolding(view, HOSTILE, marks)], legend={"fault": HOSTILE})
    plain = graph_view([("x", "y")], title="x")
    alike = unfolded([Unfolding(plain, "x", {"x": Mark("fault", "x")})], legend={"fault": "x"})
    pages = [
        document(title, [link(title, 0), section(title, part.html)], title)
        for title, part in ((HOSTILE, drawn), ("x", alike))
    ]
    assert Page(pages[0]).tags == Page(pages[1]).tags
    assert Page(pages[0]).odd == []
    assert "alert(1)" in data_of(drawn.html)["graphs"][0]["items"][0]["name"]


def test_a_name_of_ten_thousand_letters_keeps_its_ends() -> None:
    path = "a" * 5000 + "." + "b" * 5000
    (item, _) = data_of(unfolded([Unfolding(graph_view([(path, "y")]), "x")]).html)["graphs"][0]["items"]
    assert len(item["path"]) < 500
    assert (item["path"][0], item["path"][-1]) == ("a", "b")


def test_the_same_graph_makes_the_same_bytes() -> None:
    assert unfolded([Unfolding(chain(90), "a")]) == unfolded([Unfolding(chain(90), "a")])


@pytest.mark.parametrize("count", [40, 41, 1000])
def test_no_container_holds_too_much_to_be_laid_out(count: int) -> None:
    items = data_of(unfolded([Unfolding(chain(count), "a")]).html)["graphs"][0]["items"]
    held: dict[int, int] = {}
    for item in items:
        held[item["within"]] = held.get(item["within"], 0) + 1
    assert max(held.values()) <= 40
    nodes, pieces = items[:count], items[count:]
    assert [item["path"] for item in nodes] == [f"n{number}" for number in range(count)]
    assert bool(pieces) == (count > 40)
    if pieces:
        assert pieces[0]["name"] == "n0 … n24"


def test_containers_have_the_mark_of_the_worst_in_them() -> None:
    view = graph_view([("block.a", "block.b"), ("block.b", "out")])
    nodes = tuple(
        node.__class__(**{**vars(node), "group": "block" if "block" in node.id else ""})
        for node in view.nodes
    )
    grouped = Graph(view.title, nodes, view.edges, (GraphGroup("block", "Block"),))
    marks = {"block.a": Mark("r0", "agrees"), "block.b": Mark("r3 fault", "differs")}
    items = data_of(unfolded([Unfolding(grouped, "a", marks)]).html)["graphs"][0]["items"]
    assert [item["name"] for item in items] == ["a", "b", "out", "block"]
    assert items[3]["mark"] == "r3 fault"
    assert [item["within"] for item in items] == [3, 3, -1, -1]


def test_what_corresponds_is_found_from_both_sides_containers_too() -> None:
    def grouped(name: str) -> Graph:
        view = graph_view([(f"{name}.a", f"{name}.b"), (f"{name}.b", "out")])
        nodes = tuple(
            node.__class__(**{**vars(node), "group": name if "." in node.id else ""}) for node in view.nodes
        )
        return Graph(view.title, nodes, view.edges, (GraphGroup(name, "Block"),))

    drawn = unfolded(
        [Unfolding(grouped("one"), "a"), Unfolding(grouped("two"), "b")],
        [("one.a", "two.a"), ("one.b", "two.b"), ("no such", "two.b")],
    )
    assert data_of(drawn.html)["partners"] == [[[0, 0], [1, 1], [3, 3]], [[0, 0], [1, 1], [3, 3]]]
    assert drawn.numbers[1]["two.b"] == 1
