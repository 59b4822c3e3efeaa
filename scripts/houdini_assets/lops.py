"""The LOP types: assets, many of them, and the stage that ground truth is made of."""

from dataclasses import replace

from houdini_assets.description import Menu, NodeType, Parm
from houdini_assets.mirrored import Row, mirrored
from houdini_assets.pieces import (
    ASSET_FILE,
    LOOK,
    LOP_CODE,
    LOP_INPUTS,
    PRESSED,
    folder_parm,
    icon,
    lop_network,
    toggle,
)
from houdini_assets.rops import CAMERAS, LENS, SEED

REPRESENTATION = Parm(
    "representation",
    "Representation",
    default=("auto",),
    help="What Houdini draws. The engine always draws the field itself.",
    menu=Menu(function="representations", kind="menureplace"),
)

OF_AN_ASSET = """from neuron_houdini.nodes.lops import {name} as _impl
from neuron_houdini.nodes import asset_file as _file
from neuron_houdini.nodes.lops import representations as _representations


def cook(lop, hda):
    _impl.cook(lop, hda)


def looks(kwargs):
    return _file.look_menu(kwargs["node"])


def representations(kwargs):
    return _representations.menu()
"""

ASSET = NodeType(
    table="Lop",
    name="asset",
    label="Neuron Asset",
    items=(
        ASSET_FILE,
        Parm(
            "primpath",
            "Primitive Path",
            default=("/World/$OS",),
            help="Where the asset is put.",
            tags=(("sidefx::usdpathtype", "prim"),),
        ),
        REPRESENTATION,
        LOOK,
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
        Parm(
            "pose",
            "Pose",
            help="Numbers separated by blanks, as the asset's deformation takes them. Empty: at rest.",
        ),
        Parm(
            "purpose",
            "Purpose",
            help="What the whole asset is for. Empty: as it was published, with a proxy while working.",
            menu=Menu(
                (
                    ("", "As Published"),
                    ("default", "Default"),
                    ("render", "Render"),
                    ("proxy", "Proxy"),
                    ("guide", "Guide"),
                ),
                kind="menureplace",
            ),
        ),
        toggle(
            "viewport",
            "Show in Viewport",
            "Let viewports draw the representation itself. Without it, and for instances, they draw a gray "
            "stand-in unless they display the purpose render.",
            default=True,
        ),
        toggle("instance", "Instanceable", "Let USD share what is inside among equal assets."),
    ),
    summary="References a neural asset into the stage.",
    help="Authors the same primitives as `neuron scene add`, and what viewports are to draw of them. Units "
    "and the up axis are converted.",
    module=OF_AN_ASSET.format(name="asset")
    + """

def bake(kwargs):
    _impl.bake(kwargs["node"])
""",
    icon=icon("M32 14 L48 23 V41 L32 50 L16 41 V23 Z M32 32 V50 M32 32 L16 23 M32 32 L48 23"),
)

ASSEMBLE = NodeType(
    table="Lop",
    name="assemble",
    label="Neuron Assemble",
    items=(
        Parm(
            "soppath",
            "Points",
            "oppath",
            help="The SOP whose points say where assets stand, and which.",
            tags=(("opfilter", "!!SOP!!"), ("oprelative", ".")),
        ),
        ASSET_FILE,
        LOOK,
        Parm(
            "primpath",
            "Primitive Path",
            default=("/World/$OS",),
            help="The group that the assets stand below, or the point instancer.",
            tags=(("sidefx::usdpathtype", "prim"),),
        ),
        Parm(
            "method",
            "Method",
            default=("reference",),
            help="References can be changed one by one. A point instancer is lighter for very many.",
            menu=Menu((("reference", "References"), ("instancer", "Point Instancer")), kind="menureplace"),
        ),
        REPRESENTATION,
        toggle(
            "instance",
            "Instanceable",
            "Let USD share what is inside among equal assets.",
            default=True,
        ),
    ),
    summary="Places many neural assets on points.",
    help="""
    Points may have the attributes `neuron_asset` (a string: a file or a published asset), `look` (a string),
    `orient`, `pscale` and `scale`. What a point does not name comes from the parameters of the node.

    References are the primitives of `neuron scene add`; all points of an asset together read its files once.
    """,
    module=OF_AN_ASSET.format(name="assemble"),
    icon=icon("M20 18 H28 V26 H20 Z M38 18 H46 V26 H38 Z M20 38 H28 V46 H20 Z M38 38 H46 V46 H38 Z"),
)

OF_A_FILE = '{ source != "file" }'

SHADERBALL = NodeType(
    table="Lop",
    name="shaderball",
    label="Neuron Shader Ball",
    items=(
        Parm(
            "source",
            "Object",
            default=("ball",),
            help="Neuron's own shader ball, a USD file, or what stands on the incoming stage, such as "
            "Houdini's own shader ball.",
            menu=Menu(
                (("ball", "Shader Ball"), ("file", "USD File"), ("input", "Incoming Stage")),
                kind="menureplace",
            ),
        ),
        Parm(
            "bring",
            "Use Houdini's Shader Ball",
            "button",
            PRESSED,
            callback="bring",
            help="Puts Houdini's own shader ball before this node: its test geometry, through a SOP Import.",
        ),
        *mirrored(
            "dataset",
            Row(
                "geometry",
                "USD File",
                help="A USD file; a prim in it is written `FILE.usd@/prim`.",
                hide_when=OF_A_FILE,
            ),
            Row("assign", "Assign To", note="separated by blanks", hide_when=OF_A_FILE),
        ),
        Parm(
            "primpath",
            "Primitive",
            default=("/World",),
            help="What is looked at and takes the material.",
            hide_when='{ source != "input" }',
            tags=(("sidefx::usdpathtype", "prim"),),
        ),
        *mirrored("dataset", Row("materials", "Library")),
        Parm(
            "material",
            "Material",
            help="The material that is shown. Empty: the first one.",
            menu=Menu(function="materials", kind="menureplace"),
        ),
        *mirrored(
            "dataset",
            *CAMERAS,
            *LENS,
            Row("ground", "Ground", help="Keep the cameras above the ground."),
            SEED,
        ),
        folder_parm("folder", "Folder", "$HIP/neuron/lookdev", "Where the picture of the light is kept."),
    ),
    summary="Makes the stage of ground truth: an object, the studio light, cameras around it and a material.",
    help="""
    Below `/neuron` stand `geometry`, `light`, `cameras` and `materials`; cameras and light are those of the
    engine, the material is MaterialX OpenPBR. `/Render/beauty` and `/Render/gbuffer` are settings for Karma
    with the layers that [Node:out/neuron--dataset--1.0] renders. What varies over the object
    stands on the vertices of its meshes.
    """,
    module="""from neuron_houdini.nodes.lops import shaderball as _impl
from neuron_houdini.shelf import tools as _tools


def cook(lop, hda):
    _impl.cook(lop, hda)


def materials(kwargs):
    return _impl.material_menu(kwargs["node"])


def bring(kwargs):
    _tools.bring_ball(kwargs["node"])
""",
    icon=icon("M32 14 A14 14 0 1 0 32.1 14 Z M20 48 H44 M26 42 V48 M38 42 V48"),
)


def on_a_stage(node: NodeType) -> NodeType:
    """With a network that cooks the type's Python module between the incoming stage and the output."""
    return replace(
        node,
        network=lop_network(LOP_CODE),
        network_inputs=LOP_INPUTS,
        input_labels=("Input Stage",),
        input_help=("The stage that it is added to. Without it a new stage is made.",),
    )


LOPS = tuple(on_a_stage(node) for node in (ASSET, ASSEMBLE, SHADERBALL))
