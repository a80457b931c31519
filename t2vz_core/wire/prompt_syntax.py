"""Prompts as AUTOMATIC1111's WebUI reads them: `(word)`, `(word:1.2)`, `[word]`, `BREAK`,
`<lora:name:0.8>`, and `\\(` for the sign itself.

A round bracket multiplies the weight of what it holds by 1.1, a square one divides by it, one with
a number multiplies by that. What WebUI does at single steps (`[a:b:0.5]`, `[a|b]`) or with several
predictions (`AND`) is refused rather than painted as words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .parse import WireError

PLAIN, WEBUI = "plain", "webui"
SYNTAXES = (PLAIN, WEBUI)
BRACKET = 1.1  # what a bracket without a number weighs
EXCERPT = 16  # letters that a sentence shows of a prompt

_NETWORK = re.compile(r"<(\w+):([^>]+)>")
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_TOKEN = re.compile(
    rf"\\(?P<escaped>.?)|(?P<open>[(\[])|(?::\s*(?P<number>{_NUMBER})\s*)?(?P<close>[)\]])"
    r"|(?P<words>[^\\()\[\]:]+|:)",
    re.DOTALL,
)
_PAIRS = {"(": ")", "[": "]"}


@dataclass(frozen=True)
class Span:
    """Words of a prompt that weigh the same; 1 is what they weigh by themselves."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class Reading:
    """A prompt as it is read.

    Attributes:
        parts: spans between one BREAK and the next; each part begins a chunk of its own.
        loras: the LoRAs named in it, and their weights.
    """

    parts: tuple[tuple[Span, ...], ...]
    loras: tuple[tuple[str, float], ...] = ()


def read(text: str, syntax: str, path: str = "prompt.text") -> Reading:
    """A prompt as `syntax` reads it: PLAIN takes all for words.

    Raises:
        WireError: unbalanced brackets, or what is not read here; `path` names the field.
    """
    if syntax == PLAIN:
        return Reading(((Span(text),),))
    loras = tuple(_lora(match, path) for match in _NETWORK.finditer(text))
    spans = _weighed(_NETWORK.sub("", text), path)
    return Reading(_parts(spans), loras)


def loras_named(prompts: Iterable[tuple[str, str]], syntax: str) -> tuple[tuple[str, float], ...]:
    """The LoRAs that some (path, text) name, each once, since they are merged for a whole job.

    Raises:
        WireError: one is named with two weights.
    """
    found: dict[str, float] = {}
    for path, text in prompts:
        for name, weight in read(text, syntax, path).loras:
            if found.setdefault(name, weight) != weight:
                raise WireError(
                    f"{path}: the LoRA {name} has the weights {found[name]:g} and {weight:g}, "
                    "but it "
                    "is merged once for the whole job; give it one weight."
                )
    return tuple(found.items())


def _lora(match: re.Match[str], path: str) -> tuple[str, float]:
    kind, (name, *weights) = match[1], match[2].split(":")
    if kind != "lora":
        raise WireError(f"{path}: {match[0]} is not read here, only <lora:name:weight> is.")
    if len(set(weights)) > 1 or not all(re.fullmatch(_NUMBER, weight) for weight in weights):
        raise WireError(f"{path}: {match[0]} needs one number; write <lora:{name}:0.8>.")
    return name, float(weights[0]) if weights else 1.0


def _weighed(text: str, path: str) -> list[Span]:
    """The text as spans in their order, equal neighbours joined."""
    if re.search(r"\bAND\b", text):
        raise WireError(f"{path}: AND (two prompts at once) is not read here; take it out.")
    spans: list[Span] = []
    opened: list[tuple[str, int, int]] = []  # the sign, where it stands, the first span within
    for token in _TOKEN.finditer(text):
        if token["open"]:
            opened.append((token["open"], token.start(), len(spans)))
        elif token["close"]:
            _close(token, opened, spans, path)
        else:
            words = token["words"] or token["escaped"] or ""
            _refuse_alternation(words, opened, path)
            spans.append(Span(words))
    if opened:
        sign, place, _ = opened[-1]
        where = text[place : place + EXCERPT]
        raise WireError(_unbalanced(path, sign, where, f"is never closed; add {_PAIRS[sign]}"))
    return _joined(spans)


def _close(
    token: re.Match[str], opened: list[tuple[str, int, int]], spans: list[Span], path: str
) -> None:
    """Weighs the spans since the bracket that this token closes."""
    close = token["close"]
    if not opened or _PAIRS[opened[-1][0]] != close:
        where = token.string[max(0, token.end() - EXCERPT) : token.end()]
        raise WireError(_unbalanced(path, close, where, "closes nothing; take it out"))
    sign, _, first = opened.pop()
    if token["number"] and sign == "[":
        raise WireError(
            f"{path}: [a:b:{token['number']}] (other words after some steps) is not read here; "
            "use prompt keys, or round brackets for a weight."
        )
    factor = float(token["number"] or BRACKET)
    for i in range(first, len(spans)):
        weight = spans[i].weight
        spans[i] = Span(spans[i].text, weight * factor if sign == "(" else weight / factor)


def _unbalanced(path: str, sign: str, where: str, what: str) -> str:
    return f"{path}: the {sign} of {where!r} {what}, or write \\{sign} for the sign itself."


def _refuse_alternation(words: str, opened: list[tuple[str, int, int]], path: str) -> None:
    if "|" in words and any(sign == "[" for sign, *_ in opened):
        raise WireError(f"{path}: [a|b] (other words at every step) is not read here; take it out.")


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].weight == span.weight:
            joined[-1] = Span(joined[-1].text + span.text, span.weight)
        else:
            joined.append(span)
    return joined


def _parts(spans: list[Span]) -> tuple[tuple[Span, ...], ...]:
    """The spans cut at each BREAK."""
    parts: list[list[Span]] = [[]]
    for span in spans:
        first, *others = _BREAK.split(span.text)
        parts[-1].append(Span(first, span.weight))
        parts += [[Span(text, span.weight)] for text in others]
    return tuple(tuple(span for span in part if span.text) for part in parts)
