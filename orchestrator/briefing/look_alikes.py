"""Look-alike letters: those that pose as Latin ones are shown by their number."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"\w+")
_POSING = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "GEORGIAN"})
"""Scripts with letters that look like Latin ones."""
_SHAPES_OF_LATIN = frozenset("асԁеһіјӏорԛѕԝхуѵАВЕНІЈКМОРСТХУЅԌԚԜαγικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧօհոսցԼՕՍ")


def show_look_alikes(text: str) -> str:
    """Return the text with the number of each posing letter: `p[U+0430]ypal`.

    Letters pose in a word of several scripts, in a word of nothing but look-alikes, and where they
    are decorated, such as full-width ones. An honest word of another script stays as it is.
    """
    return text if text.isascii() else _WORD.sub(_shown, text)


def _shown(word: re.Match[str]) -> str:
    found = word[0]
    if found.isascii():
        return found
    scripts = {_script(character) for character in found if character.isalpha()}
    foreign = [character for character in found if _script(character) in _POSING]
    is_mixed = bool(foreign) and len(scripts & (_POSING | {"LATIN"})) > 1
    poses = is_mixed or (len(foreign) > 1 and _SHAPES_OF_LATIN.issuperset(foreign))
    return "".join(
        f"[U+{ord(character):04X}]"
        if _is_decorated(character) or (poses and _script(character) in _POSING)
        else character
        for character in found
    )


@lru_cache(maxsize=4096)
def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0] if character.isalpha() else ""


@lru_cache(maxsize=4096)
def _is_decorated(character: str) -> bool:
    plain = unicodedata.normalize("NFKC", character)
    return not character.isascii() and plain.isascii() and plain.isalnum()
