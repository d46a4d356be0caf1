"""Names shortened against those that they stand beside: what tells them apart is kept."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TOKENS = re.compile(r"\d{1,8}|[^\W\d_]{1,8}|[\W_]")
_MARK = "…"
_ROUNDS, _MORE = 40, 4


def short_names(names: Sequence[str], most: int = 36, *, from_start: bool = False) -> list[str]:
    """Names of about `most` characters, different ones of which stay different.

    Of a name that is longer its end is kept, and as much of its beginning as there is room for, as suits paths; or,
    `from_start`, the other way round, as suits words. Wherever two became the same, the first part in which they
    differ is kept, too; where that does not suffice, they are longer.

    Examples
    --------
    >>> short_names(["encoder.layer_3.attention.output", "encoder.layer_4.attention.output", "head"], 20)
    ['…3.attention.output', '…4.attention.output', 'head']
    """
    tokens = {name: _TOKENS.findall(name) for name in names}
    kept: dict[str, set[int]] = {name: set() for name in tokens}
    short = {name: name for name in tokens}
    room = dict.fromkeys(tokens, most)
    stale = {name for name in tokens if len(name) > most}
    for _ in range(_ROUNDS):
        for name in stale:
            short[name] = _elided(tokens[name], kept[name], room[name], from_start)
        stale = set()
        for alike in _alike(short):
            place = _first_difference([tokens[name] for name in alike])
            for name in alike:
                if len(name) > room[name]:
                    room[name] += _MORE * (place in kept[name])
                    kept[name].add(place)
                    stale.add(name)
        if not stale:
            break
    return [short[name] for name in names]


def _alike(short: dict[str, str]) -> list[list[str]]:
    """The names that have become the same."""
    groups: dict[str, list[str]] = {}
    for name, text in short.items():
        groups.setdefault(text, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _first_difference(tokens: Sequence[Sequence[str]]) -> int:
    shortest = min(map(len, tokens))
    return next((n for n in range(shortest) if any(own[n] != tokens[0][n] for own in tokens)), shortest)


def _elided(tokens: Sequence[str], kept: set[int], most: int, from_start: bool) -> str:
    """A name without the tokens for which there is no room.

    First come those kept and the last word, or the first, then what stands before those kept, then one end, then the
    other.
    """
    words = _words(tokens)
    shown = {place for place in kept if place < len(tokens)}
    before = [[place - 1, place - 2] for place in sorted(shown) if place > 1]
    # In pieces, where a whole word is too long.
    pieces = [[place] for place in range(len(tokens))]
    one, other = (words, words[::-1]) if from_start else (words[::-1], words)
    for order in (one[:1], before, one, other, pieces if from_start else pieces[::-1]):
        for places in order:
            if shown.issuperset(places):
                continue
            if len(_joined(tokens, shown.union(places))) > most:
                break
            shown.update(places)
        if order is other and len(shown) > len(kept):
            break
    return _joined(tokens, shown)


def _words(tokens: Sequence[str]) -> list[list[int]]:
    """The places of the tokens of each word, number and separator."""
    words: list[list[int]] = []
    for place, token in enumerate(tokens):
        if place and token.isalpha() and tokens[place - 1].isalpha():
            words[-1].append(place)
        else:
            words.append([place])
    return words


def _joined(tokens: Sequence[str], shown: set[int]) -> str:
    """The tokens shown with a mark for each gap, which no separator stands beside."""
    parts: list[str] = []
    for place, token in enumerate(tokens):
        if place in shown:
            parts.append(token)
        elif not parts or parts[-1] is not _MARK:
            parts.append(_MARK)
    return re.sub(r"[\W_]?…[\W_]?", _MARK, "".join(parts))
