"""Chooses the language of a request. The texts themselves are in `texts`."""

from __future__ import annotations

from etapa_client.words import Language


def choose_language(asked: str, kept: str, accepted: str) -> Language:
    """Return the language of `?lang=`, else of the cookie, else of Accept-Language.

    >>> choose_language("", "", "de, en;q=0.7, pt-BR;q=0.9")
    <Language.PT: 'pt'>
    """
    for wanted in (asked, kept):
        name = wanted.lower().replace("_", "-").split("-")[0]
        if name in tuple(Language):
            return Language(name)
    ranked = sorted(
        (_quality(part) for part in accepted.split(",")[:20]), key=lambda found: -found[0]
    )
    names = (name for quality, name in ranked if quality > 0 and name in tuple(Language))
    return Language(next(names, Language.PT))


def _quality(part: str) -> tuple[float, str]:
    tag, _, parameter = part.partition(";")
    name = tag.strip().lower().split("-")[0]
    raw = parameter.strip().removeprefix("q=")
    try:
        return (float(raw) if parameter else 1.0), name
    except ValueError:
        return 0.0, name
