"""The parts of a card: nothing that is given can break out of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netviz_core.words.cards import (
    FIRST_ROWS,
    MOST_ROWS,
    NAME,
    NUMBER,
    PROSE,
    card,
    details,
    name,
    style,
    table,
    words,
)


@given(st.text())
def test_words_hold_no_markup_and_nothing_that_cannot_be_seen(text):
    told = words(text)
    assert not re.search(r"[<>\"']", told)
    assert told.isprintable()


@given(st.text())
def test_a_name_gains_nothing_but_places_to_break(text):
    assert name(text).replace("<wbr>", "") == f"<code>{words(text)}</code>"


@pytest.mark.parametrize("count", [0, 1, FIRST_ROWS, FIRST_ROWS + 1, MOST_ROWS, MOST_ROWS + 1])
def test_a_table_shows_its_first_rows_and_looks_at_no_more_than_it_shows(count):
    seen = set()

    def cells(number: int) -> list[str]:
        seen.add(number)
        return [f"layer{number}", f"{number}"]

    html = table({"layer": NAME, "size": NUMBER}, range(count), cells)
    assert seen == set(range(min(count, MOST_ROWS)))
    before = html.partition("<details>")[0]
    assert before.count("<td>") == min(count, FIRST_ROWS)
    assert ("<details>" in html) == (count > FIRST_ROWS)
    assert ("not shown" in html) == (count > MOST_ROWS)


def test_marked_rows_are_told_apart():
    html = table({"": PROSE}, ["fine", "odd"], lambda row: [row], lambda row: row == "odd")
    assert html.count('<tr class="odd">') == 1


def test_what_has_no_parts_is_not_to_be_unfolded():
    assert details("nothing", "", "") == ""
    assert "<details open>" in details("something", "x", is_open=True)


def test_a_card_brings_its_style_along_which_touches_nothing_else():
    assert style() in card("well")
    assert not re.search(r"url\(|@import|https?:", style())
    rules = re.findall(r"([^{}]+)\{", re.sub(r"@media[^{]*\{", "", style()))
    assert rules
    alone = [part for rule in rules for part in re.split(r",(?![^(]*\))", rule)]
    assert [part for part in alone if ".netviz" not in part] == []
