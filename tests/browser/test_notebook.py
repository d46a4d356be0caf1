"""A notebook that shows one of every object: it is run, and read in a browser with eyes, keyboard and no network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ..shown import SHOWN
from .chromium import Opened, absent, opened

ROOT = Path(__file__).parents[2]
PAGES = {
    "JupyterLab, light": ("lab", "light", "dark"),
    "JupyterLab, dark": ("lab", "dark", "light"),
    "VS Code, dark": ("code", "dark", "light"),
    "bare, light": ("bare", "", "light"),
    "bare, dark": ("bare", "", "dark"),
}
"""What the page is made with, its theme, and what the browser prefers: where a theme is known, that counts."""

READABLE = 4.5
"""The contrast from which on letters of any size can be read, by the guidelines of the W3C."""

NOTHING = "data:text/javascript,"

CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((part, k) => (part * a + below[k] * (255 - a)) / 255);
  const ground = element => {
    if (!element) return [255, 255, 255];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 255 ? own.slice(0, 3) : over(own, ground(element.parentElement));
  };
  const light = colour => {
    const [r, g, b] = colour.map(part => part / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.querySelectorAll('.netviz *')) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    if (!element.checkVisibility()) continue;
    const below = ground(element), ink = over(rgba(getComputedStyle(element).color), below);
    const [dark, bright] = [light(ink), light(below)].sort((a, b) => a - b);
    found.push([(bright + 0.05) / (dark + 0.05), element.outerHTML.slice(0, 120)]);
  }
  return found;
}"""

FOCUSED = """() => {
  const now = document.activeElement;
  if (!now || now === document.body) return null;
  if (now.matches('.netviz summary')) return ['summary', now.parentElement.open, 0];
  return now.matches('.netviz .scroll') ? ['scroll', false, now.scrollLeft] : ['other', false, 0];
}"""


@pytest.fixture(scope="module")
def executed() -> Any:
    """The notebook, with what each of its cells showed."""
    try:
        import ipykernel  # noqa: F401
        import nbclient
        import nbformat
    except ImportError as error:
        absent(str(error))
    cells = ["from tests.shown import SHOWN", *(f"SHOWN[{name!r}]('conv1')" for name in SHOWN)]
    code = [nbformat.v4.new_code_cell(cell) for cell in cells]
    notebook = nbformat.v4.new_notebook(cells=code)
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}})
    client.execute()
    return notebook


@pytest.fixture(scope="module")
def pages(executed: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """The notebook as pages: as JupyterLab and VS Code show it, and what is shown alone."""
    try:
        from nbconvert import HTMLExporter
    except ImportError as error:
        absent(str(error))
    folder = tmp_path_factory.mktemp("pages")
    cards = "\n".join(output["data"]["text/html"] for output in outputs(executed).values())
    colours = "--vscode-editor-background: #1e1e1e; --vscode-editor-foreground: #d4d4d4"
    start = '<!DOCTYPE html><meta charset="utf-8">'
    html = {
        ("bare", ""): f"{start}<body>{cards}</body>",
        ("code", "dark"): f'{start}<body class="vscode-dark" style="{colours}">{cards}</body>',
    }
    for theme in ("light", "dark"):
        # All that the frame of the page itself would fetch; nothing of it is needed.
        exporter = HTMLExporter(theme=theme, require_js_url=NOTHING, mathjax_url=NOTHING)
        html["lab", theme] = exporter.from_notebook_node(executed)[0]
    written = {}
    for (frame, theme), text in html.items():
        written[frame, theme] = folder / f"{frame}{theme}.html"
        written[frame, theme].write_text(text, "utf-8")
    return written


def outputs(notebook: Any) -> dict[str, Any]:
    """What was shown of each object, by its name."""
    cells = notebook.cells[1:]
    return {name: cell.outputs[-1] for name, cell in zip(SHOWN, cells, strict=True)}


def test_every_cell_shows_a_card_and_a_line_and_writes_nothing_else(executed):
    for name, output in outputs(executed).items():
        assert output.output_type == "execute_result", name
        assert '<div class="netviz card">' in output["data"]["text/html"]
        assert re.fullmatch(r"<.+>", output["data"]["text/plain"]), name
    assert [len(cell.outputs) for cell in executed.cells] == [0] + [1] * len(SHOWN)


def tabbed_through(seen: Opened) -> set[int]:
    """Go through the page with the keyboard alone and unfold what can be; which frames of tables were moved."""
    moved = set()
    for _ in range(2000):
        seen.page.keyboard.press("Tab")
        kind, is_open, left = seen.page.evaluate(FOCUSED) or (None, False, 0)
        if kind is None:
            return moved
        if kind == "summary" and not is_open:
            seen.page.keyboard.press("Enter")
            assert seen.page.evaluate(FOCUSED)[1], "it stays folded"
        if kind == "scroll":
            seen.page.keyboard.press("ArrowRight")
            seen.page.wait_for_function("left => document.activeElement.scrollLeft > left", arg=left)
            moved.add(
                seen.page.evaluate(
                    "[...document.querySelectorAll('.netviz .scroll')].indexOf(document.activeElement)"
                )
            )
    raise AssertionError("the keyboard does not come to an end")


@pytest.mark.parametrize("width", [1000, 390])
@pytest.mark.parametrize("look", PAGES)
def test_cards_are_read_with_eyes_and_keyboard_without_a_network(pages, look, width, tmp_path):
    frame, theme, preferred = PAGES[look]
    with opened(pages[frame, theme], width=width, scheme=preferred) as seen:
        page = seen.page
        verdicts = page.locator(".netviz.card > .verdict")
        assert verdicts.count() == len(SHOWN)
        for number in range(len(SHOWN)):
            box = verdicts.nth(number).bounding_box()
            assert box["height"] > 15
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
        moved = tabbed_through(seen)
        assert page.locator(".netviz details:not([open])").count() == 0
        wide = page.evaluate(
            "[...document.querySelectorAll('.netviz .scroll')]"
            ".flatMap((frame, place) => frame.scrollWidth > frame.clientWidth ? [place] : [])"
        )
        assert set(wide) <= moved
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 500
        assert [found for found in contrasts if found[0] < READABLE] == []
        paper = page.evaluate("getComputedStyle(document.querySelector('.netviz.card')).backgroundColor")
        is_dark = int(re.findall(r"\d+", paper)[0]) < 128
        assert is_dark == ((theme or preferred) == "dark")
        page.screenshot(path=tmp_path / "cards.png", full_page=True)
        assert seen.errors == []
        assert seen.foreign == []


def test_a_card_without_its_style_reads_in_the_same_order(executed, tmp_path):
    """As in a notebook that is not trusted, whose front end takes styles away."""
    cards = "\n".join(output["data"]["text/html"] for output in outputs(executed).values())
    file = tmp_path / "plain.html"
    plain = re.sub(r"<style>.*?</style>", "", cards, flags=re.DOTALL)
    file.write_text(f'<!DOCTYPE html><meta charset="utf-8"><body>{plain}</body>', "utf-8")
    with opened(file) as seen:
        for card in seen.page.locator(".netviz.card").all():
            assert card.inner_text().strip().startswith(card.locator(".verdict").inner_text())
            assert card.locator(".verdict").is_visible()
            assert all(picture.is_visible() for picture in card.locator("> figure img").all())
        assert seen.errors == []
