"""Dialog scripts: how Houdini writes down the interface of a node type.

The language: `#` comments, quoted strings with backslash escapes, the brackets `{ } [ ]` and bare
words. A file is one block; a statement is a keyword, values, and perhaps a block of its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from houdini_assets.description import Folder, Item, Menu, Multi, NodeType, Parm

INDENT = "    "
BARE_NAMES = {"Driver": "rop"}
_TOKEN = re.compile(r'#[^\n]*|"(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s{}\[\]"]+|\s+')
_FOLDER_KEYWORDS = {"tab": "group", "simple": "groupsimple", "collapsible": "groupcollapsible"}


class DialogScriptError(ValueError):
    """Text that is not a dialog script."""


def write(node: NodeType) -> str:
    """The dialog script of a node type, laid out as Houdini lays it out."""
    lines = [
        f"# Dialog script for {node.operator} automatically generated",
        "",
        "{",
        f"    name\t{node.operator}",
        f"    script\t{node.name}",
        f"    label\t{quoted(node.label)}",
        "",
        "    help {",
        '\t""',
        "    }",
        "",
    ]
    labels = [f"    inputlabel\t{index}\t{quoted(text)}" for index, text in enumerate(node.input_labels, 1)]
    lines += [*labels, ""] if labels else []
    for item in node.items:
        lines += _item(item, INDENT)
    return "\n".join([*lines, "}", ""])


def quoted(text: str) -> str:
    """A string token."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _item(item: Item, indent: str) -> list[str]:
    if isinstance(item, Folder):
        return _folder(item, indent)
    return _multi(item, indent) if isinstance(item, Multi) else _parm(item, indent)


def _folder(folder: Folder, indent: str) -> list[str]:
    inner = indent + INDENT
    lines = [
        f"{indent}{_FOLDER_KEYWORDS[folder.kind]} {{",
        f"{inner}name    {quoted(folder.name)}",
        f"{inner}label   {quoted(folder.label)}",
    ]
    if folder.hide_when:
        lines.append(f"{inner}hidewhen {quoted(folder.hide_when)}")
    if folder.kind != "tab":
        lines.append(f'{inner}grouptag {{ "group_type" {quoted(folder.kind)} }}')
    if folder.opened:
        lines.append(f'{inner}grouptag {{ "group_default" "1" }}')
    lines.append("")
    for item in folder.items:
        lines += _item(item, inner)
    return [*lines, f"{indent}}}", ""]


def _multi(multi: Multi, indent: str) -> list[str]:
    inner = indent + INDENT
    lines = [
        f"{indent}multiparm {{",
        f"{inner}name    {quoted(multi.name)}",
        f"{inner}label   {quoted(multi.label)}",
        f"{inner}default {multi.default}",
        f'{inner}parmtag {{ "multistartoffset" "1" }}',
        "",
    ]
    for item in multi.items:
        lines += _parm(item, inner)
    return [*lines, f"{indent}}}", ""]


def _parm(parm: Parm, indent: str) -> list[str]:
    inner = indent + INDENT
    lines = [f"{indent}parm {{", f"{inner}name    {quoted(parm.name)}"]
    lines += [f"{inner}baseparm"] if parm.base else []
    lines.append(f"{inner}label   {quoted(parm.label)}")
    lines += [] if parm.base else [f"{inner}type    {parm.type}"]
    for switch, word in ((parm.invisible, "invisible"), (parm.no_label, "nolabel"), (parm.join, "joinnext")):
        lines += [f"{inner}{word}"] if switch else []
    if not parm.base:
        lines += [f"{inner}size    {parm.components}"] if parm.components > 1 else []
        lines.append(f"{inner}default {{ {' '.join(map(quoted, parm.default))} }}")
    lines += [f"{inner}help    {quoted(first_sentence(parm.help))}"] if parm.help and not parm.base else []
    lines += [f"{inner}disablewhen {quoted(parm.disable_when)}"] if parm.disable_when else []
    lines += [f"{inner}hidewhen {quoted(parm.hide_when)}"] if parm.hide_when else []
    lines += _menu(parm.menu, inner) if parm.menu else []
    lines += [f"{inner}range   {{ {parm.range} }}"] if parm.range else []
    lines += [f"{inner}export  {parm.export}"] if parm.export else []
    lines += [f"{inner}parmtag {{ {quoted(key)} {quoted(value)} }}" for key, value in parm_tags(parm)]
    return [*lines, f"{indent}}}"]


def first_sentence(text: str) -> str:
    """What the tooltip says: the help up to its first full stop that ends a sentence."""
    return re.split(r"(?<=[.!?])\s", " ".join(text.split()), maxsplit=1)[0]


def parm_tags(parm: Parm) -> list[tuple[str, str]]:
    """The tags of a parameter, with its callback."""
    tags = list(parm.tags)
    if parm.callback:
        tags += [
            ("script_callback", f"hou.phm().{parm.callback}(kwargs)"),
            ("script_callback_language", "python"),
        ]
    return tags


def _menu(menu: Menu, indent: str) -> list[str]:
    inner = indent + INDENT
    lines = [f"{indent}{menu.kind} {{"]
    if menu.function:
        lines += [
            f"{inner}[ {quoted(f'return hou.phm().{menu.function}(kwargs)')} ]",
            f"{inner}language python",
        ]
    else:
        width = max(len(quoted(token)) for token, _ in menu.items)
        lines += [f"{inner}{quoted(token):{width}} {quoted(label)}" for token, label in menu.items]
    return [*lines, f"{indent}}}"]


@dataclass(slots=True)
class Statement:
    """A keyword with its values and, if it has one, its block. A value keeps whether it was quoted."""

    words: list[str]
    block: list["Statement"] | None = None

    @property
    def keyword(self) -> str:
        """The first word."""
        return self.words[0]

    def first(self, keyword: str) -> "Statement | None":
        """The first statement of that keyword in the block."""
        return next((inner for inner in self.block or () if inner.keyword == keyword), None)

    def all(self, *keywords: str) -> list["Statement"]:
        """The statements of those keywords in the block."""
        return [inner for inner in self.block or () if inner.keyword in keywords]

    def value(self, keyword: str, default: str = "") -> str:
        """The text of the first value of a statement in the block."""
        found = self.first(keyword)
        return plain(found.words[1]) if found and len(found.words) > 1 else default


def plain(word: str) -> str:
    """The text of a token, without quotes and escapes."""
    if word.startswith('"'):
        return re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL)
    return word


def tokens(text: str) -> Iterator[str]:
    """The tokens of a dialog script, with a newline for each end of a line, without comments."""
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise DialogScriptError(
                f"line {text.count(chr(10), 0, place) + 1}: unreadable: {text[place : place + 30]!r}"
            )
        place = match.end()
        token = match[0]
        if token.isspace():
            yield from ("\n" for _ in range(min(token.count("\n"), 1)))
        elif not token.startswith("#"):
            yield token


def parse(text: str) -> Statement:
    """The one block of a dialog script. Raises DialogScriptError."""
    words = list(tokens(text))
    reader = _Reader(words)
    reader.skip_lines()
    reader.expect("{")
    root = Statement(["dialog"], reader.block())
    reader.skip_lines()
    if not reader.done():
        raise DialogScriptError(f"text after the end: {reader.peek()!r}")
    return root


class _Reader:
    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._place = 0

    def done(self) -> bool:
        return self._place >= len(self._words)

    def peek(self) -> str:
        if self.done():
            raise DialogScriptError("the text ends within a block")
        return self._words[self._place]

    def take(self) -> str:
        word = self.peek()
        self._place += 1
        return word

    def expect(self, word: str) -> None:
        if (found := self.take()) != word:
            raise DialogScriptError(f"{word!r} expected, {found!r} found")

    def skip_lines(self) -> None:
        while not self.done() and self.peek() == "\n":
            self._place += 1

    def block(self) -> list[Statement]:
        """The statements up to the closing brace, which is taken."""
        statements: list[Statement] = []
        self.skip_lines()
        while self.peek() != "}":
            statements.append(self.statement())
            self.skip_lines()
        self.take()
        return statements

    def statement(self) -> Statement:
        """Words up to the end of the line; a block may follow them."""
        result = Statement([])
        while (word := self.peek()) not in ("\n", "}"):
            self.take()
            if word != "{":
                result.words.append(word)
                continue
            result.block = self.block()
            break
        if not result.words:
            raise DialogScriptError("a block without a keyword")
        return result


def render(root: Statement) -> str:
    """Parsed statements as text again; parsing it gives equal statements."""
    return "{\n" + "".join(_render(statement) for statement in root.block or ()) + "}\n"


def _render(statement: Statement) -> str:
    if statement.block is None:
        return " ".join(statement.words) + "\n"
    return " ".join(statement.words) + " {\n" + "".join(map(_render, statement.block)) + "}\n"


PARM_BLOCKS = ("parm",)
GROUP_BLOCKS = ("group", "groupsimple", "groupcollapsible", "groupradio")
MULTI_BLOCKS = ("multiparm", "multiscroll", "multiswitcher")


def parm_statements(root: Statement) -> Iterator[Statement]:
    """Every `parm` block, those in groups and lists too, and the lists themselves."""
    for statement in root.block or ():
        if statement.keyword in PARM_BLOCKS:
            yield statement
        elif statement.keyword in GROUP_BLOCKS:
            yield from parm_statements(statement)
        elif statement.keyword in MULTI_BLOCKS:
            yield statement
            yield from parm_statements(statement)


def condition_names(condition: str) -> set[str]:
    """The parameters that a `hidewhen` or `disablewhen` condition asks about.

    Conditions are `{ a == 1 b != "x" } { c == 0 }`. Raises DialogScriptError for anything else.
    """
    names = set()
    groups = re.findall(r"\{([^{}]*)\}", condition)
    if not groups or re.sub(r"\{[^{}]*\}", "", condition).strip():
        raise DialogScriptError(f"no condition: {condition!r}")
    for group in groups:
        words = re.findall(r'"[^"]*"|\S+', group)
        if not words or len(words) % 3:
            raise DialogScriptError(f"no comparison: {group!r}")
        for name, operator in zip(words[::3], words[1::3], strict=True):
            if operator not in ("==", "!=", "<", ">", "<=", ">=", "=~"):
                raise DialogScriptError(f"no operator: {operator!r} in {group!r}")
            names.add(name)
    return names
