"""Countries: from what forms and tills write to the ISO 3166 code.

Names are the Unicode CLDR's (through Babel), in English and in the languages of the scope's region.
"""

from __future__ import annotations

import unicodedata

from babel.core import Locale, UnknownLocaleError, get_global
from babel.languages import get_official_languages

MOST_LETTERS = 64
_MOST_KEPT = 10_000
_OTHER_NAMES = {
    "usa": "US", "us of a": "US", "america": "US", "uk": "GB", "great britain": "GB", "england": "GB",
    "scotland": "GB", "wales": "GB", "holland": "NL", "uae": "AE", "south korea": "KR",
}  # fmt: skip


class Countries:
    """Countries as they are written in a scope whose home is `region` (ISO 3166).

    >>> countries = Countries("DE")
    >>> [countries.code(raw) for raw in ("de", "DEU", "Deutschland", " germany ", "U.S.A.", "Atlantis")]
    ['DE', 'DE', 'DE', 'DE', 'US', None]
    """

    def __init__(self, region: str) -> None:
        self._region = region
        self._names: dict[str, str] = {}
        self._known: dict[str, str | None] = {}

    def code(self, raw: str) -> str | None:
        """The two-letter code of a code of two or three letters or a name; None when it is neither."""
        try:
            return self._known[raw]
        except KeyError:
            pass
        if len(raw) > MOST_LETTERS:
            return None
        if not self._names:
            self._names = _names(self._region)
        code = self._names.get(_plain(raw))
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[raw] = code
        return code


def _names(region: str) -> dict[str, str]:
    codes = [code for code in map(str, Locale("en").territories) if len(code) == 2 and code.isalpha()]
    names: dict[str, str] = {}
    for language in ("en", *get_official_languages(region, de_facto=True)):
        try:
            territories = Locale.parse(language).territories
        except (UnknownLocaleError, ValueError):
            continue
        for code in codes:
            names.setdefault(_plain(str(territories.get(code, code))), code)
    for alias, now in get_global("territory_aliases").items():
        if len(now) == 1 and now[0] in codes and alias.isalpha():
            names.setdefault(_plain(alias), now[0])
    return names | _OTHER_NAMES | {code.lower(): code for code in codes if code != "ZZ"}


def _plain(raw: str) -> str:
    letters = unicodedata.normalize("NFKD", raw.casefold().replace(".", ""))
    kept = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c))
    return " ".join(kept.split())
