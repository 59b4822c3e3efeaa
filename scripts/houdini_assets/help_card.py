"""Help cards in Houdini's wiki markup, made from the description of a type."""

import textwrap
from collections.abc import Iterator

from houdini_assets.description import Folder, Item, Multi, NodeType, Parm

CONTEXTS = {"Sop": "sop", "Lop": "lop", "Driver": "out"}


def write(node: NodeType) -> str:
    """Title, summary, text, inputs, every parameter that is for people, and related nodes."""
    lines = [f"= {node.label} =", "", "#type: node", f"#context: {CONTEXTS[node.table]}"]
    lines += [f"#internal: {node.operator}", "", f'"""{node.summary}"""', ""]
    if node.help:
        lines += [textwrap.dedent(node.help).strip(), ""]
    if node.input_help:
        lines += ["@inputs", ""]
        for label, text in zip(node.input_labels, node.input_help, strict=True):
            lines += [f"{label}:", *_indented(text), ""]
    lines += ["@parameters", "", *_items(node.items)]
    if node.related:
        lines += ["@related", "", *(f"* [Node:{path}]" for path in node.related), ""]
    return "\n".join(lines).rstrip() + "\n"


def _items(items: tuple[Item, ...]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Folder):
            yield from (f"== {item.label} ==", "")
            yield from _items(item.items)
        elif isinstance(item, Multi):
            yield from _entry(item.label, item.name, item.help)
            yield from _items(item.items)
        elif shown(item):
            yield from _entry(item.label, item.name, item.help)


def shown(parm: Parm) -> bool:
    """Whether the card has an entry for it: all but Houdini's own and hidden ones."""
    return not parm.base and not parm.invisible


def _entry(label: str, name: str, text: str) -> list[str]:
    return [f"{label}:", f"    #id: {name}", *_indented(text), ""]


def _indented(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), 96, initial_indent="    ", subsequent_indent="    ")
