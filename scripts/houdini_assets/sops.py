"""The SOP types: splats, volumes, and values at points."""

from houdini_assets.description import NodeType, Parm
from houdini_assets.mirrored import Row, mirrored
from houdini_assets.pieces import ASSET_FILE, LOOK, PRESSED, SOP_CODE, file_parm, icon, toggle

SPLATS = NodeType(
    table="Sop",
    name="splats",
    label="Neuron Splats",
    items=(
        file_parm(
            "file",
            "File",
            "",
            "A file of Gaussian splats. PLY files are read as they are; what else the engine reads (SPZ, USD "
            "and `.neuron` files) is converted first.",
            "read",
        ),
        file_parm(
            "converted",
            "Converted",
            "$HIP/neuron/splats/$OS.ply",
            "Where what is not a PLY file is converted to.",
            "write",
        ),
        Parm(
            "convert",
            "Convert",
            "button",
            PRESSED,
            callback="convert",
            help="Lets the engine convert the file, in the background. Cooking never does it.",
        ),
        toggle("rdf", "Y Down", "The file has Y down and Z forward, as trainers of photographs write it."),
        Parm("reload", "Reload", "button", PRESSED, callback="reload", help="Reads the file again."),
    ),
    summary="Loads Gaussian splats as points with the attributes that Houdini draws natively.",
    help="""
    Points carry `P`, `Cd`, `scale`, `orient`, `restorient`, `GS_Alpha` and, with harmonics, `GS_SPH_R`,
    `GS_SPH_G` and `GS_SPH_B`.
    """,
    module="""from neuron_houdini.nodes.sops import splats as _impl
from neuron_houdini.nodes import background as _background


def cook(node):
    _impl.cook(node)


def convert(kwargs):
    _impl.convert(kwargs["node"])


def reload(kwargs):
    _background.cook_again(kwargs["node"])
""",
    cook=SOP_CODE,
    max_inputs=0,
    icon=icon("M22 40 h0.1 M32 24 h0.1 M42 40 h0.1 M32 46 h0.1 M22 26 h0.1 M43 28 h0.1"),
)

FETCHING = """from neuron_houdini.nodes.sops import {name} as _impl
from neuron_houdini.nodes import asset_file as _file
from neuron_houdini.nodes import background as _background


def cook(node):
    _impl.cook(node)


def looks(kwargs):
    return _file.look_menu(kwargs["node"])


def {button}(kwargs):
    _impl.{button}(kwargs["node"])


def reload(kwargs):
    _background.cook_again(kwargs["node"])
"""
STATUS = Parm(
    "status",
    "Status",
    help="What the background job of this node is doing, or how it ended.",
    disable_when="{ reload == 0 }",
)
RELOAD = Parm("reload", "Reload", "button", PRESSED, callback="reload", help="Reads the file again.")

VOLUME = NodeType(
    table="Sop",
    name="volume",
    label="Neuron Volume",
    items=(
        ASSET_FILE,
        LOOK,
        file_parm(
            "out",
            "Volume File",
            "$HIP/neuron/volumes/$OS.vdb",
            "The OpenVDB file.",
            "read_and_write",
            "*.vdb",
        ),
        Parm(
            "write",
            "Write Volume",
            "button",
            PRESSED,
            callback="write",
            help="Lets the engine write the file, in the background. Cooking never does it.",
        ),
        RELOAD,
        STATUS,
    ),
    summary="Loads an asset as a volume: VDB primitives `density` and `Cd`.",
    help="""
    `density` is in 1 / meter, `Cd` is the color of the look averaged over directions, scene-linear. Press
    _Write Volume_ after the asset or the look was changed; the node says when the asset is newer.
    """,
    module=FETCHING.format(name="volume", button="write"),
    cook=SOP_CODE,
    max_inputs=0,
    icon=icon("M20 42 C12 42 12 30 20 30 C20 20 36 18 38 28 C50 26 52 42 42 42 Z"),
)

SAMPLE = NodeType(
    table="Sop",
    name="sample",
    label="Neuron Sample",
    items=(
        ASSET_FILE,
        LOOK,
        file_parm("out", "Grid File", "$HIP/neuron/grids/$OS.npz", "The grid.", "read_and_write", "*.npz"),
        *mirrored("grid", Row("resolution", "Resolution")),
        Parm(
            "fetch",
            "Fetch Grid",
            "button",
            PRESSED,
            callback="fetch",
            help="Lets the engine write the grid, in the background. Cooking never does it.",
        ),
        RELOAD,
        STATUS,
        toggle("density", "Density", "Set `density`, in 1 / meter; 0 outside of the asset.", default=True),
        toggle("normal", "Normal", "Set `N`, the normal of the surface that is nearest.", default=True),
        toggle("color", "Color", "Set `Cd`, the color averaged over directions, scene-linear.", default=True),
        toggle("code", "Material Code", "Set `neuron_code`, the 8 numbers that say what the material is."),
    ),
    summary="Gives points the density, normal, color and material code of an asset where they are.",
    help="""
    Points are in the asset's own space: meters, Y up. Between the samples of the grid values are
    interpolated. Where the asset has no density the values are 0.
    """,
    module=FETCHING.format(name="sample", button="fetch"),
    cook=SOP_CODE,
    min_inputs=1,
    max_inputs=1,
    input_labels=("Points",),
    input_help=("The points that get the values.",),
    icon=icon("M20 20 h0.1 M32 20 h0.1 M44 20 h0.1 M20 32 h0.1 M32 32 h0.1 M44 32 h0.1 M20 44 H46"),
)

SOPS = (SPLATS, VOLUME, SAMPLE)
