"""Filter patterns over unstructured log lines: `ERROR`, `"exact phrase"`, `-exclude`, `?either ?or`. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax-for-Metric-Filters.html
Patterns over JSON (`{ $.level = "error" }`) or columns (`[ip, user, …]`) and regular expressions (`%…%`) are refused.
AWS does not say whether a term may be part of a word; here it may.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from turnout.errors import AwsError

_TERM = re.compile(r'\s*(?P<sign>[-?]?)(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"]+))(?=\s|$)')


@dataclass(frozen=True)
class Pattern:
    """Case-sensitive: a line holds all of `every`, none of `none`, and one of `either` if there are any."""

    every: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    either: tuple[str, ...] = ()

    def matches(self, message: str) -> bool:
        return (
            all(term in message for term in self.every)
            and not any(term in message for term in self.none)
            and (not self.either or any(term in message for term in self.either))
        )


def read_pattern(text: str) -> Pattern:
    """Raises AwsError InvalidParameterException."""
    text = text.strip()
    if text.startswith(("{", "[", "%")):
        raise AwsError(
            "InvalidParameterException",
            f"Invalid filter pattern {text!r}: turnout matches terms and quoted phrases,"
            " not JSON, space-delimited or regular expression patterns.",
        )
    terms: dict[str, list[str]] = {"": [], "-": [], "?": []}
    at = 0
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None:
            raise AwsError("InvalidParameterException", f"Invalid filter pattern {text!r} at character {at + 1}")
        phrase = term["phrase"]
        terms[term["sign"]].append(term["word"] if phrase is None else re.sub(r"\\(.)", r"\1", phrase))
        at = term.end()
    if terms["?"] and (terms[""] or terms["-"]):
        raise AwsError("InvalidParameterException", "Invalid filter pattern: ?terms cannot be combined with others")
    return Pattern(tuple(terms[""]), tuple(terms["-"]), tuple(terms["?"]))
