"""YAML with line numbers: reads a value where it stands, and says where it is when it is not what was expected. Pure.

Scalars are taken as they are written: `1.10` stays "1.10", and `yes` stays "yes".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS = {yaml.ScalarNode: "a string", yaml.SequenceNode: "a list", yaml.MappingNode: "a mapping"}
_YES = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


class YamlError(Exception):
    """The file cannot be used. The text is for people: "buildspec.yml:12: phases.build.commands must be a list"."""


@dataclass(frozen=True)
class Spot:
    """One value of the file and the way to it: "phases.build.commands[2]"."""

    file: str
    node: yaml.Node
    path: str = ""

    @property
    def line(self) -> int:
        return int(self.node.start_mark.line) + 1

    @property
    def is_empty(self) -> bool:
        return isinstance(self.node, yaml.ScalarNode) and self.node.tag == "tag:yaml.org,2002:null"

    @property
    def is_list(self) -> bool:
        return isinstance(self.node, yaml.SequenceNode)

    def error(self, problem: str) -> YamlError:
        return YamlError(f"{self.file}:{self.line}: {self.path or 'the file'} {problem}")

    def members(self) -> dict[str, Spot]:
        """The members of a mapping by their names; an empty value has none."""
        if self.is_empty:
            return {}
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error(f"must be a mapping, found {_KINDS[type(self.node)]}")
        found: dict[str, Spot] = {}
        for key, value in self.node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.error(f"has a key that is {_KINDS[type(key)]}; it must be a string")
            name = str(key.value)
            path = f"{self.path}.{name}" if self.path else name
            if name in found:
                raise Spot(self.file, key, path).error("is given twice")
            found[name] = Spot(self.file, value, path)
        return found

    def items(self) -> Iterator[Spot]:
        """The items of a list; an empty value has none."""
        if self.is_empty:
            return
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error(f"must be a list, found {_KINDS[type(self.node)]}")
        for number, item in enumerate(self.node.value):
            yield Spot(self.file, item, f"{self.path}[{number}]")

    def text(self) -> str:
        """A scalar as it is written; an empty value is ""."""
        if not isinstance(self.node, yaml.ScalarNode):
            hint = " (quote it: an unquoted ': ' makes a mapping)" if isinstance(self.node, yaml.MappingNode) else ""
            raise self.error(f"must be a string, found {_KINDS[type(self.node)]}{hint}")
        if "\0" in self.node.value:
            # No argument, variable or header of a process or call can hold one.
            raise self.error('must not hold the character NUL ("\\0")')
        return "" if self.is_empty else str(self.node.value)

    def texts(self) -> tuple[str, ...]:
        """A list of strings, none of them empty."""
        found = []
        for item in self.items():
            text = item.text()
            if not text:
                raise item.error("is empty")
            found.append(text)
        return tuple(found)

    def text_by_name(self) -> dict[str, str]:
        return {name: spot.text() for name, spot in self.members().items()}

    def flag(self) -> bool:
        """yes or no, in any of YAML's spellings."""
        text = self.text().lower()
        if text not in _YES:
            raise self.error(f"must be yes or no, found {text!r}")
        return _YES[text]

    def one_of(self, *words: str) -> str:
        text = self.text()
        if text not in words:
            raise self.error(f"must be one of {', '.join(words)}, found {text!r}")
        return text


def parse_yaml(text: str, file: str) -> Spot:
    """The root of a file. Raises YamlError."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise YamlError(f"{file}:{line}: {error.problem or error}") from error
    except yaml.YAMLError as error:
        raise YamlError(f"{file}:1: {error}") from error
    if node is None:
        raise YamlError(f"{file}:1: the file is empty")
    return Spot(file, node)
