"""The demo: with toy frameworks in every combination, and with those that are installed."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import netviz_core as nv
from netviz_core.demo import figures
from netviz_core.testing import ReferenceBackend

Netviz = Callable[..., Any]
Refused = Callable[..., str]


class Page(HTMLParser):
    """What a page refers to, and whether its elements are closed in order."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: dict[str, str] = {}
        self.links: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            self.images[str(given["src"])] = str(given["alt"])
        self.links += [str(given[name]) for name in ("href", "src") if name in given]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that is closed where it opens, as in SVG."""

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


# The toy frameworks show no data flow, so the figure of it is left out.
OF_EACH = [figure for figure in figures.FOR_EACH if figure.slug != "graph"]


def test_two_frameworks(netviz: Netviz, folder: Path, backends: Any, toy_framework: Any) -> None:
    backends.register("apple", toy_framework("apple"))
    backends.register("pear", toy_framework("pear"))
    ran = netviz("demo")
    assert ran.status == 0, ran.err
    assert re.search(r"apple: reads \d+ of 300 unseen digits right", ran.out)
    assert ran.out.endswith(f"open {Path('netviz-demo') / 'index.html'}\n")
    text = (folder / "netviz-demo" / "index.html").read_text("utf-8")
    page = Page(text)
    of_each = [f"{name}-{figure.slug}.png" for figure in OF_EACH for name in ("apple", "pear")]
    of_all = [f"{figure.slug}.png" for figure in figures.TOGETHER]
    assert list(page.images) == of_each + of_all
    assert all(len(alt) > 20 for alt in page.images.values())
    assert set(page.links) == set(page.images), "a page that works offline refers to nothing else"
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text
    for figure in (*OF_EACH, *figures.TOGETHER):
        names = ", ".join(inspect.signature(figure.draw).parameters)
        assert f"def {figure.draw.__name__}({names}):\n    " in page.text
    for name in page.images:
        assert (folder / "netviz-demo" / name).read_bytes().startswith(b"\x89PNG")


def test_one_framework_says_what_to_install_for_another(
    netviz: Netviz, folder: Path, backends: Any, toy_framework: Any
) -> None:
    backends.register("apple", toy_framework("apple"))
    backends.register("pear", "netviz_pear:Backend")
    ran = netviz("demo", "-o", "deep/er")
    assert ran.status == 0
    assert "pear is not installed; to see it here too: pip install pear\n" in ran.out
    page = Page((folder / "deep/er/index.html").read_text("utf-8"))
    assert list(page.images) == [f"apple-{figure.slug}.png" for figure in OF_EACH]
    assert "pip install pear" in page.text


def test_no_framework(refused: Refused, folder: Path, backends: Any) -> None:
    backends.register("pear", "netviz_pear:Backend")
    assert refused("demo") == (
        "no framework can take part in the demo; pear is not installed; to see it here too: pip install pear"
    )


def test_those_that_cannot_take_part_are_left_out_with_a_sentence(
    netviz: Netviz, folder: Path, backends: Any, toy_framework: Any
) -> None:
    (folder / "rotten.py").write_text("raise OSError('libfruit.so: cannot open shared object file')")
    sys.path.insert(0, str(folder))

    class Unripe(toy_framework("unripe")):  # type: ignore[misc]
        def demo(self, *arguments: Any) -> Any:
            raise RuntimeError("not yet")

    backends.register("apple", toy_framework("apple"))
    backends.register("pear", toy_framework("pear"))
    backends.register("quince", "netviz_quince:Backend")
    backends.register("netviz_core", ReferenceBackend)
    backends.register("rotten", "rotten:Backend")
    backends.register("unripe", Unripe)
    ran = netviz("demo")
    assert ran.status == 0
    assert "\nrotten was left out: " in ran.out
    assert "OSError: libfruit.so" in ran.out
    assert "\nunripe was left out: it failed in the demo: RuntimeError: not yet\n" in ran.out
    assert "quince" not in ran.out, "with two frameworks there is nothing to install"
    assert "netviz_core" not in ran.out
    assert ran.out.count("unseen digits") == 2


@pytest.fixture
def untrainable(backends: Any, toy_framework: Any) -> None:
    class Eager(toy_framework("eager")):  # type: ignore[misc]
        def demo(self, *arguments: Any) -> Any:
            pytest.fail("trained although nothing can be written")

    backends.register("eager", Eager)


@pytest.mark.usefixtures("untrainable")
@pytest.mark.parametrize("output", ["mine.py", "mine.py/below", "taken"])
def test_a_folder_that_cannot_be_written_is_found_before_the_training(
    refused: Refused, folder: Path, output: str
) -> None:
    (folder / "taken" / "index.html").mkdir(parents=True)
    assert refused("demo", "-o", output).startswith(output)


@pytest.mark.usefixtures("untrainable")
def test_without_scikit_learn(refused: Refused, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert 'pip install "netviz-core[demo]"' in refused("demo")


def test_what_is_there_is_overwritten(
    netviz: Netviz, folder: Path, backends: Any, toy_framework: Any
) -> None:
    backends.register("apple", toy_framework("apple"))
    (folder / "index.html").write_text("old")
    (folder / "apple-kernels.png").write_text("old")
    assert netviz("demo", "-o", ".").status == 0
    assert (folder / "index.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert (folder / "apple-kernels.png").read_bytes().startswith(b"\x89PNG")


def test_each_figure_is_drawn_by_code_that_knows_no_framework() -> None:
    source = Path(figures.__file__).read_text("utf-8").lower()
    assert not re.search(r"\b(torch|pytorch|keras|tensorflow|jax)\b", source)


def test_the_frameworks_that_are_installed(shell: Any, folder: Path) -> None:
    states = nv.list_backends()
    present = [name for name in ("keras", "torch") if states[name].status != "missing dependency"]
    ran = shell("demo")
    assert "left out" not in ran.stdout
    if not present:
        assert ran.returncode == 2
        assert ran.stderr.startswith("netviz: no framework can take part in the demo; keras is not installed")
        return
    assert ran.returncode == 0, ran.stderr
    page = Page((folder / "netviz-demo" / "index.html").read_text("utf-8"))
    for name in present:
        right = re.search(rf"^{name}: reads (\d+) of 300 ", ran.stdout, re.MULTILINE)
        assert right
        assert int(right[1]) > 280
        assert {f"{name}-{figure.slug}.png" for figure in figures.FOR_EACH} <= {*page.images}
    assert ("compared-kernels.png" in page.images) == (len(present) == 2)
