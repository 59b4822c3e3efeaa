"""The expanded form of a digital asset: one folder, text files, exact bytes."""

import json
from pathlib import Path
from time import gmtime, strftime

from houdini_assets import dialog_script, help_card, network
from houdini_assets.description import NodeType

MODIFIED = 1700000000  # seconds since 1970 that every file carries: the same input gives the same bytes
LIBRARY_LINES = (("INDEX__SECTION", "INDEX_SECTION"), ("houdini.hdalibrary", "houdini.hdalibrary"))
SCRIPTS = ("PythonModule", "OnCreated", "OnLoaded", "OnDeleted")  # sections that need an entry of options

_OPTIONS_ON = (
    "CheckExternal ContentsCompressionType ForbidOutsideParms GzipContents LockContents MakeDefault "
    "SaveIcon UseDSParms"
)
_OPTIONS_OFF = (
    "ParmsFromVfl PrefixDroppedParmLabel PrefixDroppedParmName SaveCachedCode SaveSpareParms UnlockOnCreate"
)
TYPE_OPTIONS = "".join(
    f"{name} := {int(name in _OPTIONS_ON.split())};\n"
    for name in sorted([*_OPTIONS_ON.split(), *_OPTIONS_OFF.split()])
)
_TOOLS = {
    "Sop": ("SOP", "soptoolutils"),
    "Lop": ("LOP", "loptoolutils"),
    "Driver": ("ROP", "drivertoolutils"),
}

SOP_ORDER = tuple(
    "DialogScript PythonCook TypePropertiesOptions Help Tools.shelf FunctionName CreateScript PythonModule "
    "IconSVG ExtraFileOptions".split()
)
LOP_ORDER = tuple(
    "DialogScript CreateScript InternalFileOptions TypePropertiesOptions Help Tools.shelf PythonModule "
    "OnCreated IconSVG ExtraFileOptions Contents.gz".split()
)
DRIVER_ORDER = tuple(
    "DialogScript CreateScript TypePropertiesOptions Help Tools.shelf InternalFileOptions PythonModule "
    "OnCreated IconSVG ExtraFileOptions Contents.gz".split()
)
ORDERS = {"Sop": SOP_ORDER, "Lop": LOP_ORDER, "Driver": DRIVER_ORDER}


def encode(name: str) -> str:
    """A section or definition name as a name on disk."""
    return name.replace("_", "__").replace("/", "_1").replace(":", "_8")


def decode(name: str) -> str:
    """The inverse of `encode`. Raises ValueError for what it cannot have written."""
    letters, place = [], 0
    while place < len(name):
        if name[place] != "_":
            letters.append(name[place])
            place += 1
            continue
        following = name[place + 1 : place + 2]
        if following not in ("_", "1", "8"):
            raise ValueError(f"{name!r} has a lone underscore at {place}")
        letters.append({"_": "_", "1": "/", "8": ":"}[following])
        place += 2
    return "".join(letters)


def files_of(node: NodeType) -> dict[str, bytes]:
    """Every file of the expanded asset by its path in the folder `node.folder`."""
    home = encode(node.key)
    sections = sections_of(node)
    files = {
        "INDEX__SECTION": index(node),
        "Sections.list": sections_list([*LIBRARY_LINES, (home, node.key)]),
        "houdini.hdalibrary": "",
        f"{home}/Sections.list": sections_list([(encode(name), name) for name in sections]),
    }
    for name, text in sections.items():
        if name == "Contents.gz":
            files[f"{home}/Contents.dir/Contents.mime"] = text
            files[f"{home}/Contents.dir/Sections.list"] = sections_list([("Contents.mime", "Contents.mime")])
        else:
            files[f"{home}/{encode(name)}"] = text
    return {name: text.encode() for name, text in sorted(files.items())}


def sections_of(node: NodeType) -> dict[str, str]:
    """The sections of the definition in their order. `Contents.gz` holds the text of the network."""
    texts = {
        "DialogScript": dialog_script.write(node),
        "CreateScript": _create_script(node),
        "TypePropertiesOptions": TYPE_OPTIONS,
        "Help": help_card.write(node) if node.help_text is None else node.help_text,
        "Tools.shelf": _tools(node),
        "PythonModule": node.module,
        **dict(node.extra),
    }
    texts["ExtraFileOptions"] = _script_options([name for name in SCRIPTS if texts.get(name)])
    if node.icon:
        texts["IconSVG"] = node.icon
    if node.cook:
        texts |= {"PythonCook": node.cook, "FunctionName": node.operator}
    if node.network:
        texts["InternalFileOptions"] = options_text({"nodeconntype": False, "nodeparmtype": False})
        texts["Contents.gz"] = network.write(node)
    order = node.sections or ORDERS[node.table]
    assert set(texts) <= set(order), sorted(set(texts) - set(order))
    return {name: texts[name] for name in order if name in texts}


def sections_list(lines: list[tuple[str, str]]) -> str:
    """The file that lists names on disk and names of sections."""
    return '""\n' + "".join(f"{on_disk}\t{name}\n" for on_disk, name in lines)


def index(node: NodeType) -> str:
    """INDEX__SECTION: what Houdini knows of the type before it opens it."""
    icon = node.builtin_icon or f"opdef:/{node.key}?IconSVG"
    values = {
        "Operator": node.operator,
        "Label": node.label,
        "Path": f"oplib:/{node.key}?{node.key}",
        "Icon": icon,
        "Table": node.table,
        "License": "",
        "Extra": "",
        "User": "",
        "Inputs": f"{node.min_inputs} to {node.max_inputs}",
        "Subnet": str(bool(node.network)).lower(),
        "Python": str(bool(node.cook)).lower(),
        "Empty": "false",
        "Modified": ctime(MODIFIED),
    }
    return "".join(f"{name + ':':14}{value}\n" for name, value in values.items()) + "\n"


def ctime(seconds: int) -> str:
    """As C writes a time, in UTC."""
    moment = gmtime(seconds)
    return strftime("%a %b ", moment) + f"{moment.tm_mday:2d} " + strftime("%H:%M:%S %Y", moment)


def _create_script(node: NodeType) -> str:
    return f"""# Automatically generated script
\\set noalias = 1
#
#  Creation script for {node.operator} operator
#

if ( "$arg1" == "" ) then
    echo This script is intended as a creation script
    exit
endif

# Node $arg1 ({node.key})
opexprlanguage -s hscript $arg1
opuserdata -n '___Version___' -v '' $arg1
"""


def _tools(node: NodeType) -> str:
    network_type, module = _TOOLS[node.table]
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<shelfDocument>
  <tool name="$HDA_DEFAULT_TOOL" label="$HDA_LABEL" icon="$HDA_ICON">
    <toolMenuContext name="viewer">
      <contextNetType>{network_type}</contextNetType>
    </toolMenuContext>
    <toolMenuContext name="network">
      <contextOpType>$HDA_TABLE_AND_NAME</contextOpType>
    </toolMenuContext>
    <toolSubmenu>Neuron</toolSubmenu>
    <script scriptType="python"><![CDATA[import {module}

{module}.genericTool(kwargs, '$HDA_NAME')]]></script>
  </tool>
</shelfDocument>
"""


def _script_options(sections: list[str]) -> str:
    values: dict[str, object] = {}
    for name in sorted(sections):
        values |= {f"{name}/Cursor": [1, 1], f"{name}/IsExpr": False, f"{name}/IsPython": True}
        values |= {f"{name}/IsScript": True, f"{name}/Source": ""}
    return options_text(values)


def options_text(values: dict[str, object]) -> str:
    """Options as JSON with tabs, without a blank behind the colon, lists on one line."""
    kinds: dict[type, str] = {bool: "bool", str: "string", list: "intarray"}
    entries = [
        f'\t{json.dumps(name)}:{{\n\t\t"type":"{kinds[type(value)]}",\n'
        f'\t\t"value":{json.dumps(value, separators=(",", ":"))}\n\t}}'
        for name, value in values.items()
    ]
    return "{\n" + ",\n".join(entries) + ("\n" if entries else "") + "}\n"


def write_tree(node: NodeType, otls: Path) -> Path:
    """Write the expanded asset below `otls`, replacing its files; others in its folder are removed."""
    folder = otls / node.folder
    files = files_of(node)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(folder).as_posix() not in files:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
    return folder


def read_tree(folder: Path) -> dict[str, bytes]:
    """The files of an expanded asset, as `files_of` gives them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
