"""The pages of reports and comparisons, read in a browser: with eyes, pointer and keyboard, on any width, printed."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import netviz_core as nv

from .chromium import Opened, opened
from .test_notebook import CONTRASTS, READABLE

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>\u202e\u2028&amp;"
X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.norm(self.conv(x)))


def network(blocks: int = 30) -> nn.Module:
    torch.manual_seed(0)
    stages = [nn.Sequential(*[Block() for _ in range(5)]) for _ in range(blocks // 5)]
    model = nn.Sequential(nn.Conv2d(3, 8, 3), *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    model.add_module(HOSTILE, nn.ReLU())
    return model.eval()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    model = network()
    other = copy.deepcopy(model)
    other[4][2].norm.eps = 0.1
    other[5][4].conv.weight.data[0] *= 2
    broken = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(3, 4))
    deep = network(330)
    html = {
        "report": nv.report(model, X, title=HOSTILE, progress=False).to_html(),
        "failed": nv.report(broken, X, progress=False).to_html(),
        "comparison": nv.compare(model, other, X, graphs=True, progress=False).to_html(),
        "agreed": nv.compare(model, copy.deepcopy(model), X, graphs=True, progress=False).to_html(),
        "deep": nv.compare(deep, copy.deepcopy(deep), X, graphs=True, progress=False).to_html(),
    }
    files = {}
    for name, text in html.items():
        files[name] = folder / f"{name}.html"
        files[name].write_text(text, "utf-8")
    return files


def is_silent(seen: Opened) -> bool:
    """Whether nothing was complained of, nothing fetched and no box opened."""
    assert seen.errors == []
    assert seen.foreign == []
    return True


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 820, 390])
@pytest.mark.parametrize("kind", ["report", "failed", "comparison", "agreed"])
def test_pages_are_read_on_any_width_in_light_and_dark(
    pages: Any, kind: str, width: int, scheme: str
) -> None:
    with opened(pages[kind], width=width, scheme=scheme) as seen:
        page = seen.page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".graphs .item").count() > 2
        page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 50
        assert [found for found in contrasts if found[0] < READABLE] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert is_silent(seen)


def test_a_fault_leads_to_its_place_in_both_graphs_and_tells_why(pages: Any) -> None:
    with opened(pages["comparison"]) as seen:
        page = seen.page
        links = page.locator("a[data-item]")
        assert links.all_inner_texts() == ["4.2.norm", "5.4.conv"]
        links.nth(0).click()
        chosen = page.locator('.item[aria-selected="true"]')
        assert chosen.count() == 2
        for item in chosen.all():
            assert item.get_attribute("aria-label").startswith("4.2.norm, batch_norm")
            assert "fault" in item.get_attribute("class")
            assert item.bounding_box()["y"] < 900
        told = page.locator(".graphs .told").inner_text()
        assert "epsilon is 1e-05 in a and 0.1 in b" in told
        assert page.locator(".graphs .told .tag").inner_text() == "confirmed"
        assert page.locator(".graphs .told tr.odd td").first.inner_text() == "epsilon"
        assert page.locator(".graphs .told img").count() == 1
        links.nth(1).click()
        assert "kernel" in page.locator(".graphs .told").inner_text()
        assert is_silent(seen)


def test_both_graphs_unfold_and_scroll_together(pages: Any) -> None:
    with opened(pages["comparison"]) as seen:
        page = seen.page
        views = page.locator(".graphs .view")

        def drawn(side: int, path: str) -> Any:
            return views.nth(side).locator(f'.item[aria-label^="{path},"]')

        page.locator('[data-does="fold"]').click()
        assert drawn(0, "6.1").count() == drawn(1, "6.1").count() == 0
        drawn(0, "6").locator("> .toggle").click()
        assert drawn(0, "6.1").count() == drawn(1, "6.1").count() == 1
        assert drawn(1, "6").get_attribute("aria-expanded") == "true"
        page.locator('[data-does="unfold"]').click()
        before = views.nth(1).evaluate("view => view.scrollTop")
        views.nth(0).evaluate("view => { view.scrollTop = view.scrollHeight / 2; }")
        page.wait_for_function(
            "before => document.querySelectorAll('.view')[1].scrollTop > before + 100", arg=before
        )
        assert is_silent(seen)


def test_a_graph_is_gone_through_with_the_keyboard_alone(pages: Any) -> None:
    with opened(pages["report"]) as seen:
        page = seen.page
        page.locator('.item[tabindex="0"]').focus()

        def focused() -> str:
            return page.evaluate("document.activeElement.getAttribute('aria-label')")

        assert focused().startswith("input,")
        page.keyboard.press("ArrowDown")
        assert focused().startswith("0, conv2d")
        page.keyboard.press("Enter")
        assert page.locator(".graphs .told h3").inner_text() == "0"
        assert "kernel" in page.locator(".graphs .told").inner_text()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowLeft")
        folded = page.locator('.item[aria-label^="1, Sequential"]')
        assert folded.get_attribute("aria-expanded") == "false"
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert focused().startswith("1.0, Block")
        page.keyboard.press("End")
        assert focused().startswith("output")
        assert page.locator('.item[tabindex="0"]').count() == 1
        assert is_silent(seen)


def test_what_is_looked_for_is_unfolded_and_told(pages: Any) -> None:
    with opened(pages["report"]) as seen:
        find = seen.page.locator(".graphs [type=search]")
        find.fill("6.4.norm")
        find.press("Enter")
        assert (
            seen.page.locator('.item[aria-selected="true"]')
            .get_attribute("aria-label")
            .startswith("6.4.norm")
        )
        find.fill("nowhere")
        find.press("Enter")
        assert "There is no “nowhere”." in seen.page.locator(".graphs .told").inner_text()
        assert is_silent(seen)


def test_what_is_looked_for_again_is_the_next_of_that_name_in_either_graph(pages: Any) -> None:
    with opened(pages["comparison"]) as seen:
        find, told = seen.page.locator(".graphs [type=search]"), seen.page.locator(".graphs .told h3")
        find.fill("4.2.NORM")
        find.press("Enter")
        assert told.inner_text() == "4.2.norm"
        find.fill("1.1")
        names = []
        for _ in range(4):
            find.press("Enter")
            names.append(told.inner_text())
        assert names == ["1.1", "1.1.conv", "1.1.norm", "1.1/add"]
        assert is_silent(seen)


def test_a_second_click_unfolds_what_the_first_was_at(pages: Any) -> None:
    with opened(pages["comparison"]) as seen:
        page = seen.page
        page.locator('[data-does="fold"]').click()
        folded = page.locator(".graphs .view").first.locator('.item[aria-label^="6,"]')
        folded.scroll_into_view_if_needed()
        box = folded.bounding_box()
        page.mouse.dblclick(box["x"] + 10, box["y"] + box["height"] / 2)
        assert folded.get_attribute("aria-expanded") == "true"
        partner = page.locator(".graphs .view").last.locator('.item[aria-label^="6,"]')
        assert abs(partner.bounding_box()["y"] - folded.bounding_box()["y"]) < 2
        assert is_silent(seen)


def test_what_is_in_the_middle_stays_there_when_it_grows(pages: Any) -> None:
    middle = (
        "view => { const at = view.getBoundingClientRect(); return document.elementFromPoint("
        "at.x + at.width / 2, at.y + at.height / 2).closest('.item').getAttribute('aria-label'); }"
    )
    with opened(pages["comparison"]) as seen:
        view = seen.page.locator(".graphs .view").first
        view.evaluate("view => view.scrollIntoView()")
        find = seen.page.locator(".graphs [type=search]")
        find.fill("4.2.norm")
        find.press("Enter")
        for does in ("in", "in", "out", "out", "out"):
            seen.page.locator(f'[data-does="{does}"]').click()
            assert view.evaluate(middle).startswith("4.2.norm")
        assert is_silent(seen)


def test_a_pass_that_failed_is_drawn_as_far_as_it_came(pages: Any) -> None:
    with opened(pages["failed"]) as seen:
        assert "failed in layer '2'" in seen.page.locator(".verdict").first.inner_text()
        items = seen.page.locator(".graphs .item")
        assert [item.get_attribute("aria-label").split(",")[0] for item in items.all()] == [
            "input",
            "0",
            "1",
            "2",
        ]
        assert "broken" in items.last.get_attribute("class")
        assert is_silent(seen)


def test_hostile_names_are_words(pages: Any) -> None:
    with opened(pages["report"]) as seen:
        assert seen.page.locator("h1").inner_text().startswith("<script>alert('x')")
        labels = [item.get_attribute("aria-label") for item in seen.page.locator(".item").all()]
        assert any("<img src=x onerror=alert(1)>" in label for label in labels)
        assert seen.page.locator("img[src=x]").count() == 0
        assert is_silent(seen)


def test_a_thousand_layers_beside_a_thousand_are_there_at_once_and_unfold(pages: Any) -> None:
    with opened(pages["deep"], width=1280) as seen:
        page = seen.page
        assert page.locator(".item").count() < 200
        page.locator('[data-does="unfold"]').click()
        assert page.locator(".item").count() > 2 * 1000
        page.locator('[data-does="fit"]').click()
        assert is_silent(seen)


@pytest.mark.parametrize("kind", ["report", "comparison"])
def test_pages_are_printed_whole_on_white(pages: Any, kind: str, tmp_path: Path) -> None:
    with opened(pages[kind], scheme="dark") as seen:
        seen.page.emulate_media(media="print")
        paper = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert re.findall(r"\d+", paper)[:3] == ["255", "255", "255"]
        assert not seen.page.locator(".graphs .tools").is_visible()
        assert len(seen.page.pdf()) > 20_000
        view = seen.page.locator(".graphs .view").first
        assert view.evaluate("view => view.scrollHeight <= view.clientHeight + 1")
        assert is_silent(seen)
