"""The driver types: making datasets, training, rendering, publishing."""

from houdini_assets.description import Folder, Item, Menu, NodeType, Parm
from houdini_assets.mirrored import Row, mirrored
from houdini_assets.pieces import (
    PRESSED,
    folder_parm,
    icon,
    job_parms,
    render_parms,
    shell_network,
    toggle,
    whole,
)

MODULE = """from neuron_houdini.nodes.rops import {name} as _impl
from neuron_houdini.nodes import background as _background
{imports}

def render_frame(node):
    _impl.render_frame(node)


def background(kwargs):
    _impl.background(kwargs["node"])


def cancel(kwargs):
    _background.cancel(kwargs["node"])
"""
SHOWING = """

def show(kwargs):
    _impl.show(kwargs["node"])
"""
DEVICE = Row("device", "Device", choices=("Best Available", "CPU", "NVIDIA GPU"))
OVERWRITE = Row(
    "overwrite", "Replace Other Output", help="Replace an output that was made with other settings."
)
OF_THE_ENGINE = '{ renderer != "engine" }'
# What a dataset and the stage of its ground truth are asked alike.
CAMERAS = (
    Row("views", "Training Views", 200),
    Row("val_views", "Validation Views", 32),
    Row("test_views", "Test Views", 32),
    Row("resolution", "Resolution", 1024),
)
LENS = (Row("focal", "Focal Length", 200), Row("aperture", "Aperture", 100))
SEED = Row("seed", "Seed", 100)


def _driver(
    name: str,
    label: str,
    drawing: str,
    items: tuple[Item, ...],
    summary: str,
    text: str,
    frames: bool = False,
    imports: str = "",
    more: str = "",
) -> NodeType:
    return NodeType(
        table="Driver",
        name=name,
        label=label,
        items=(*render_parms(frames), *items, *job_parms()),
        summary=summary,
        help=text,
        module=MODULE.format(name=name, imports=imports) + more,
        network=shell_network("hou.node('..').hdaModule().render_frame(hou.node('..'))", frames),
        icon=icon(drawing),
    )


KARMA: tuple[Item, ...] = (
    Parm(
        "loppath",
        "LOP Path",
        "oppath",
        help="The node whose stage is rendered, with its light and its cameras train_..., val_... and test_.... "
        "Empty: the stage that the parameters above stand for.",
        tags=(("opfilter", "!!LOP!!"), ("oprelative", ".")),
    ),
    Parm(
        "prim",
        "Primitive",
        default=("/neuron/geometry",),
        help="What takes the materials, on the stage of the LOP node.",
        disable_when='{ loppath == "" }',
    ),
    Parm(
        "karma_engine",
        "Engine",
        default=("cpu",),
        help="Karma CPU or XPU.",
        menu=Menu((("cpu", "CPU"), ("xpu", "XPU")), kind="menureplace"),
    ),
    whole("karma_samples", "Samples", 128, "Samples a pixel of every picture.", "1! 4096"),
    Parm("husk", "husk", default=("$HFS/bin/husk",), help="The program that renders."),
)

DATASET = _driver(
    "dataset",
    "Neuron Dataset",
    "M16 44 V24 L32 16 L48 24 V44 L32 52 Z M16 24 L32 32 L48 24 M32 32 V52",
    (
        *mirrored("dataset", Row("out", "Dataset", default="$HIP/neuron/dataset", path="folder")),
        Parm(
            "renderer",
            "Renderer",
            default=("karma",),
            help="Karma through husk, or the engine's own renderer. Both write the same folder.",
            menu=Menu((("karma", "Karma"), ("engine", "Use Engine Renderer")), kind="menureplace"),
        ),
        *mirrored(
            "dataset",
            Row("geometry", "Geometry"),
            Row("assign", "Assign To", note="separated by blanks"),
            Row("materials", "Materials"),
            *CAMERAS,
            Row(
                "spp",
                "Samples",
                1024,
                note="Of the engine's own renderer; Karma has its own below.",
                hide_when=OF_THE_ENGINE,
            ),
            *LENS,
            Row("light", "Light", note="Lights by seed, and `even`, are for the engine's own renderer."),
            Row("ground", "Ground", note="Of the engine's own renderer.", hide_when=OF_THE_ENGINE),
            SEED,
            OVERWRITE,
        ),
        Folder("karma", "Karma", KARMA, "simple", hide_when='{ renderer != "karma" }'),
    ),
    "Renders the ground truth that a neural asset is trained on, with Karma or the engine's own renderer.",
    """
    The folder is the one that `neuron dataset` writes. A run that was stopped resumes where it stopped.

    Karma renders one picture of the shape from each camera and one of each material, as many frames of one
    stage; then the engine converts them. Pictures that are there are not rendered again. For TOPs the Python
    module has `work_items(node, frames)`, a list of dictionaries with the command line of each item, and
    `convert_words(node)`, what the engine is told at the end.
    """,
    imports="from neuron_houdini.nodes.rops import karma_dataset as _karma\n",
    more="""

def work_items(node, frames=8):
    return _karma.work_items(node, frames)


def convert_words(node):
    return _karma.convert_words(node)
""",
)

PRESETS = ("CPU, a Minute or Two", "CPU", "GPU", "Small Library of Materials", "Library of Materials")

TRAIN = _driver(
    "train",
    "Neuron Train",
    "M14 46 C24 46 24 20 34 20 C42 20 42 34 50 34",
    (
        *mirrored(
            "train",
            Row("dataset", "Dataset", default="$HIP/neuron/dataset", path="folder"),
            Row("out", "Run", name="run", default="$HIP/neuron/run", path="folder"),
        ),
        *mirrored(
            "bake",
            Row(
                "out",
                "Asset",
                name="asset",
                default="$HIP/neuron/asset.neuron",
                help="The asset that is baked at the end.",
                path="write",
                pattern="*.neuron",
            ),
        ),
        *mirrored(
            "train",
            Row("preset", "Preset", choices=PRESETS),
            DEVICE,
            Row("steps", "Steps", 20000, note="0 leaves it to the preset."),
            Row("validate_every", "Validate Every", 5000),
            SEED,
        ),
        *mirrored(
            "bake",
            Row("resolution", "Voxels", 512),
            Row("prompt", "Looks", note="separated by semicolons"),
            Row("name", "Name"),
            Row("licence", "Licence"),
        ),
        *mirrored("train", OVERWRITE),
        Parm(
            "show",
            "Validation in MPlay",
            "button",
            PRESSED,
            callback="show",
            help="Opens the validation pictures that the run has made so far: truth beside what the field draws.",
        ),
    ),
    "Trains a neural field on a dataset and bakes it into one `.neuron` file.",
    "Trains first, then bakes. Rendering again after the end only says that it is done. While a job runs in the "
    "background, the Neuron panel shows its latest validation picture.",
    more=SHOWING,
)

OF_PICTURES = '{ what != "pictures" }'

RENDER = _driver(
    "render",
    "Neuron Render",
    "M14 22 H50 V46 H14 Z M26 28 L40 34 L26 40 Z",
    (
        Parm(
            "source",
            "Source",
            default=("asset",),
            help="Whether a file or the stage of a LOP node is drawn.",
            menu=Menu((("asset", "File"), ("lop", "LOP Node")), kind="menureplace"),
        ),
        *mirrored(
            "render",
            Row(
                "asset",
                "File",
                default="$HIP/neuron/asset.neuron",
                path="read",
                hide_when='{ source != "asset" }',
            ),
        ),
        Parm(
            "loppath",
            "LOP Path",
            "oppath",
            help="The node whose stage is drawn.",
            hide_when='{ source != "lop" }',
            tags=(("opfilter", "!!LOP!!"), ("oprelative", ".")),
        ),
        Parm(
            "what",
            "Draw",
            default=("pictures",),
            help="Pictures, or anchor frames of a stage for other programs: EXR files with depth, normals, ids and "
            "the flow to the next anchor, and a list of cameras.",
            menu=Menu((("pictures", "Pictures"), ("anchors", "Anchor Frames")), kind="menureplace"),
        ),
        *mirrored(
            "render",
            Row("out", "Folder", default="$HIP/neuron/render", path="folder"),
            Row("cameras", "Cameras", hide_when=OF_PICTURES),
        ),
        *mirrored(
            "anchor",
            Row(
                "camera",
                "Camera",
                hide_when='{ what != "anchors" }',
                tags=(("sidefx::usdpathtype", "prim"),),
            ),
        ),
        *mirrored(
            "render",
            Row(
                "frames",
                "Frames",
                help="Frames as 1-24 or 1-24x5, of anchors as 1, 24, 48 too. Empty: all; of anchors the first "
                "and the last of the stage.",
            ),
            Row(
                "prompt",
                "Look",
                help="A look of a file, by its name or prompt. Empty: the first one.",
                hide_when=OF_PICTURES,
            ),
            Row("size", "Size"),
            Row("aov", "AOVs", hide_when=OF_PICTURES),
            Row(
                "background",
                "Background",
                name="behind",
                choices=("Transparent", "White"),
                hide_when=OF_PICTURES,
            ),
            DEVICE,
            OVERWRITE,
        ),
        Parm(
            "show",
            "Open in MPlay",
            "button",
            PRESSED,
            callback="show",
            help="Opens the pictures of the folder, as far as they are drawn.",
        ),
        Parm(
            "picture",
            "Result",
            help="Set when a run ends: its pictures as one path with `$F`, as a File COP or MPlay takes it.",
        ),
    ),
    "Draws a neural asset, or a stage that holds neural assets, with the engine.",
    "The stage of a LOP node is written beside the pictures before the engine starts.",
    more=SHOWING,
)

PUBLISH = _driver(
    "publish",
    "Neuron Publish",
    "M32 44 V16 M20 28 L32 16 L44 28 M16 50 H48",
    (
        *mirrored(
            "publish",
            Row("asset", "Asset", default="$HIP/neuron/asset.neuron", path="read", pattern="*.neuron"),
            Row("library", "Library", default="$HIP/neuron/library", path="folder"),
            Row("name", "Name"),
            Row("number", "Version", 100),
        ),
        toggle(
            "splats",
            "Splats",
            "Make the Gaussian splats that Houdini 22 draws. They show the first look.",
            default=True,
        ),
        *mirrored("export", Row("steps", "Refinement", 2000, default="0", disable_when="{ splats == 0 }")),
        *mirrored(
            "export", Row("max_splats", "Max Count", 1_000_000, disable_when="{ splats == 0 points == 0 }")
        ),
        toggle(
            "points",
            "Points",
            "Make the colored points that older Houdinis draw. They show the first look.",
            default=True,
        ),
        folder_parm(
            "folder",
            "Made In",
            "$HIP/neuron/representations",
            "Where splats and points are written before the asset takes them.",
        ),
    ),
    "Publishes a `.neuron` file into a library, as the next version of a USD asset.",
    "Published versions never change. Reference them with [Node:lop/neuron--asset--1.0].",
)

DRIVERS = (DATASET, TRAIN, RENDER, PUBLISH)
