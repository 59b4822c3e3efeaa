"""All node types that there are: drivers, and those that show and place assets."""

from houdini_assets.description import Menu, NodeType, Parm
from houdini_assets.drivers import DRIVERS
from houdini_assets.pieces import LOP_INPUTS, PRESSED, file_parm, icon, lop_network, toggle

LOP_CODE = "hda = hou.pwd().parent()\nhda.hdaModule().cook(hou.pwd(), hda)"

ASSET = NodeType(
    table="Lop",
    name="asset",
    label="Neuron Asset",
    items=(
        Parm(
            "file",
            "Asset",
            "file",
            ("",),
            "A `.neuron` file, a published asset (`LIBRARY/NAME`, or a version of it), or its USD layer.",
            tags=(("filechooser_mode", "read"),),
        ),
        Parm(
            "primpath",
            "Primitive Path",
            default=("/World/$OS",),
            help="Where the asset is put.",
            tags=(("sidefx::usdpathtype", "prim"),),
        ),
        Parm(
            "representation",
            "Representation",
            default=("auto",),
            help="What Houdini draws. The engine always draws the field itself.",
            menu=Menu(function="representations", kind="menureplace"),
        ),
        Parm(
            "look",
            "Look",
            help="One of the looks that the file has. Empty: the first one.",
            menu=Menu(function="looks", kind="menureplace"),
        ),
        Parm("prompt", "New Prompt", help="Words for a look that the file does not have yet."),
        Parm(
            "bake",
            "Bake New Look",
            "button",
            PRESSED,
            callback="bake",
            help="Adds the prompt to the `.neuron` file as a look, in the background. Cooking never does it.",
        ),
        Parm(
            "t",
            "Translate",
            "vector",
            ("0", "0", "0"),
            "Where it stands, in units of the stage.",
            range="-1 1",
        ),
        Parm("r", "Rotate", "vector", ("0", "0", "0"), "Degrees about X, Y and Z.", range="-180 180"),
        Parm("s", "Scale", "vector", ("1", "1", "1"), "Along X, Y and Z.", range="0 10"),
        toggle("instance", "Instanceable", "Let USD share what is inside among equal assets.", default=True),
    ),
    summary="References a neural asset into the stage.",
    help="Authors the same primitives as `neuron scene add`. Units and the up axis are converted.",
    module="""from neuron_houdini import asset as _impl


def cook(lop, hda):
    _impl.cook(lop, hda)


def looks(kwargs):
    return _impl.look_menu(kwargs["node"])


def representations(kwargs):
    return _impl.representation_menu(kwargs["node"])


def bake(kwargs):
    _impl.bake(kwargs["node"])
""",
    network=lop_network(LOP_CODE),
    network_inputs=LOP_INPUTS,
    input_labels=("Input Stage",),
    input_help=("The stage that the asset is added to. Without it a new stage is made.",),
    icon=icon("M32 14 L48 23 V41 L32 50 L16 41 V23 Z M32 32 V50 M32 32 L16 23 M32 32 L48 23"),
)

SPLATS = NodeType(
    table="Sop",
    name="splats",
    label="Neuron Splats",
    items=(
        file_parm("file", "File", "", "A PLY file of Gaussian splats.", "read", "*.ply"),
        toggle("rdf", "Y Down", "The file has Y down and Z forward, as trainers of photographs write it."),
        Parm("reload", "Reload", "button", PRESSED, callback="reload", help="Reads the file again."),
    ),
    summary="Loads Gaussian splats as points with the attributes that Houdini draws natively.",
    help="""
    Points carry `P`, `Cd`, `scale`, `orient`, `restorient`, `GS_Alpha` and, with harmonics, `GS_SPH_R`,
    `GS_SPH_G` and `GS_SPH_B`.
    """,
    module="""from neuron_houdini import splats as _impl


def cook(node):
    _impl.cook(node)


def reload(kwargs):
    _impl.reload(kwargs["node"])
""",
    cook="import hou\n\nnode = hou.pwd()\nnode.hdaModule().cook(node)\n",
    max_inputs=0,
    icon=icon("M22 40 h0.1 M32 24 h0.1 M42 40 h0.1 M32 46 h0.1 M22 26 h0.1 M43 28 h0.1"),
)

NODES: tuple[NodeType, ...] = (*DRIVERS, ASSET, SPLATS)
