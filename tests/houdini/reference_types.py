"""Three small node types whose packed bytes are published: known answers for writer and packer."""

from houdini_assets.description import NodeType, Parm
from houdini_assets.nodes import LOP_CODE
from houdini_assets.pieces import LOP_INPUTS, lop_network, render_parms, shell_network

SOP = NodeType(
    table="Sop",
    name="example_sop",
    label="Neuron Example SOP",
    items=(
        Parm(
            "file",
            "File",
            "file",
            tags=(("filechooser_mode", "read"), ("filechooser_pattern", "*.ply")),
        ),
        Parm("reload", "Reload", "button", ("0",), callback="reload"),
    ),
    input_labels=("Input 1",),
    builtin_icon="SOP_file",
    cook="import hou\n\nnode = hou.pwd()\nnode.hdaModule().cook(node)\n",
    module="from neuron_houdini import example_sop as _impl\n\n\n"
    "def cook(node):\n    _impl.cook(node)\n\n\n"
    'def reload(kwargs):\n    _impl.reload(kwargs["node"])\n',
    help_text="= Neuron Example SOP =\n\n#type: node\n#context: sop\n"
    "#internal: example_sop\n#icon: SOP/file\n\n"
    '"""One sentence that says what the node does."""\n\n@parameters\n\n'
    "File:\n    #id: file\n    What it does.\n",
)
LOP = NodeType(
    table="Lop",
    name="example_lop",
    label="Neuron Example LOP",
    items=(Parm("primpath", "Primitive Path", default=("/neuron",)),),
    builtin_icon="LOP_sopimport",
    network=lop_network(LOP_CODE),
    network_inputs=LOP_INPUTS,
)
DRIVER = NodeType(
    table="Driver",
    name="example_rop",
    label="Neuron Example ROP",
    items=render_parms(frames=True),
    builtin_icon="ROP_shell",
    network=shell_network("hou.node('..').hdaModule().render_frame(hou.node('..'))", frames=True),
)
