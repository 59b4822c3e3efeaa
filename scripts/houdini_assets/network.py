"""The network inside of a node type, as the text file that `hotl -t` writes: `Contents.mime`.

One part for each file of the archive that Houdini keeps it in; order, spelling and blanks count.
"""

from houdini_assets.description import InnerNode, NodeType

BOUNDARY = "HOUDINIMIMEBOUNDARY0xD3ADD339-0x00000F49-0x56B122C9-0x00000001HOUDINIMIMEBOUNDARY"
HEADER = f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{BOUNDARY}"\n\n'
USERDATA = '{\n\t"___Version___":{\n\t\t"type":"string",\n\t\t"value":""\n\t}\n}\n'
ROOT = "hdaroot"

_FLAGS = (
    "lock off model off template off footprint off xray off bypass off display {shown} render {shown} "
    "highlight off unload off savedata off compress on colordefault on exposed on"
)


def write(node: NodeType) -> str:
    """The whole file."""
    return HEADER + "".join(part(name, body) for name, body in parts_of(node)) + f"--{BOUNDARY}--\n"


def part(name: str, body: str) -> str:
    """One part with its head."""
    head = f'Content-Disposition: attachment; filename="{name}"\nContent-Type: text/plain'
    return f"--{BOUNDARY}\n{head}\n\n{body}\n"


def parts_of(node: NodeType) -> list[tuple[str, str]]:
    """Names and texts of the parts, in Houdini's order."""
    lop = node.table == "Lop"
    parts = [
        ("node_type", f"{node.table}\n"),
        (f"{ROOT}.init", f"type = {node.operator}\nmatchesdef = 0\n"),
        (f"{ROOT}.def", _definition((0, 0), 0, lop, lop, [], [], [], node.author)),
        (f"{ROOT}.userdata", USERDATA),
    ]
    if node.network_inputs:
        parts.append((f"{ROOT}.inp", node.network_inputs))
    for inner in node.network:
        parts += _node_parts(inner, node)
    if len(node.network) > 1:
        names = "".join(f"{inner.name}\n" for inner in node.network)
        parts.append((f"{ROOT}.order", f"{len(node.network)}\n{names}"))
    return [*parts, (f"{ROOT}.net", "1\n")]


def _node_parts(inner: InnerNode, node: NodeType) -> list[tuple[str, str]]:
    path = f"{ROOT}/{inner.name}"
    values = "".join(_parm_line(name, components) for name, components in inner.parms)
    parts = [
        (f"{path}.init", f"type = {inner.type}\nmatchesdef = {int(inner.matches_definition)}\n"),
        (f"{path}.def", _node_definition(inner, node)),
    ]
    if inner.channels:
        parts.append((f"{path}.chn", inner.channels))
    return [*parts, (f"{path}.parm", f"{{\nversion 0.8\n{values}}}\n"), (f"{path}.userdata", USERDATA)]


def _node_definition(inner: InnerNode, node: NodeType) -> str:
    """Connectors draw ids from one counter: the inputs first, then the outputs."""
    named, wires, outputs, used = [], [], [], 0
    if inner.source:
        connector = '""' if inner.source.startswith("(") else str(_output_id(inner.source, node))
        named.append(f'0 \t{inner.source} {connector} 1 "input1"')
        wires.append(f"0 \t{inner.source} 0 1")
        used = 1
    if inner.has_output:
        outputs.append(f'{used} "output1"')
        used += 1
    return _definition(
        inner.position, used, inner.display, node.table == "Lop", outputs, named, wires, node.author
    )


def _output_id(name: str, node: NodeType) -> int:
    source = next(inner for inner in node.network if inner.name == name)
    return 1 if source.source else 0


def _definition(
    position: tuple[int, int],
    connectors: int,
    shown: bool,
    lop: bool,
    outputs: list[str],
    named: list[str],
    wires: list[str],
    author: str,
) -> str:
    flags = _FLAGS.format(shown="on" if shown else "off") + (" debug off" if lop else "")
    lines = ['comment ""', f"position {position[0]} {position[1]}", f"connectornextid {connectors}"]
    lines += [f"flags =  {flags}", "outputsNamed3", "{", *outputs, "}", "inputsNamed3", "{", *named, "}"]
    lines += ["inputs", "{", *wires, "}", "stat", "{", "  create -1", "  modify -1", f"  author {author}"]
    lines += ["  access 0777", "}", "color UT_Color RGB 0.8 0.8 0.8 ", 'delscript ""', "exprlanguage hscript"]
    return "\n".join([*lines, "end", ""])


def _parm_line(name: str, components: tuple[str, ...]) -> str:
    values = "\t".join(components)
    return f"{name}\t[ 0\tlocks=0 ]\t(\t{values}\t)\n"


def parse(text: str) -> list[tuple[str, str]]:
    """Names and texts of the parts of a file. Raises ValueError for text that is not such a file."""
    if not text.startswith(HEADER) or not text.endswith(f"--{BOUNDARY}--\n"):
        raise ValueError("no multipart text with Houdini's boundary")
    body = text[len(HEADER) : -len(f"--{BOUNDARY}--\n")]
    parts = []
    for chunk in body.split(f"--{BOUNDARY}\n")[1:]:
        head, _, content = chunk.partition("\n\n")
        name = head.split('filename="', 1)[1].split('"', 1)[0]
        if not content.endswith("\n"):
            raise ValueError(f"the part {name} does not end in a newline")
        parts.append((name, content[:-1]))
    return parts
