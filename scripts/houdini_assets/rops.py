"""The driver types: making datasets, training, rendering, publishing."""

from houdini_assets.description import Folder, Item, Menu, NodeType, Parm
from houdini_assets.pieces import (
    PRESSED,
    file_parm,
    folder_parm,
    icon,
    job_parms,
    number,
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
DEVICES = Menu((("auto", "Best Available"), ("cpu", "CPU"), ("cuda", "NVIDIA GPU")), kind="menureplace")
DEVICE = Parm("device", "Device", default=("auto",), menu=DEVICES, help="Where the engine computes.")
OVERWRITE = toggle(
    "overwrite", "Replace Other Output", "Replace an output that was made with other settings."
)


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
        folder_parm(
            "out",
            "Dataset",
            "$HIP/neuron/dataset",
            "The folder that is written. The same node goes on there.",
        ),
        Parm(
            "renderer",
            "Renderer",
            default=("karma",),
            help="Karma through husk, or the engine's own renderer. Both write the same folder.",
            menu=Menu((("karma", "Karma"), ("engine", "Use Engine Renderer")), kind="menureplace"),
        ),
        Parm(
            "geometry",
            "Geometry",
            default=("shaderball",),
            help="`shaderball`, or a USD file; a prim in it is written `FILE.usd@/prim`.",
        ),
        Parm(
            "assign",
            "Assign To",
            help="Prims that take the materials, separated by blanks. Empty: all of them.",
        ),
        Parm(
            "materials",
            "Materials",
            default=("builtin",),
            help="`builtin`, names separated by commas, a JSON library, or a folder of MaterialX files.",
        ),
        whole("views", "Training Views", 48, "Cameras that are learned from.", "1! 200"),
        whole("val_views", "Validation Views", 4, "Cameras whose pictures training is watched by.", "0! 32"),
        whole("test_views", "Test Views", 8, "Cameras that nothing learns from.", "0! 32"),
        whole("resolution", "Resolution", 128, "Pixels along each side of the square pictures.", "8! 1024"),
        whole(
            "spp",
            "Samples",
            36,
            "Samples a pixel of training pictures. Of the engine's own renderer; Karma has its own below.",
            "1! 1024",
            hide_when='{ renderer != "engine" }',
        ),
        number("focal", "Focal Length", "50", "Millimetres.", "5! 200"),
        number("aperture", "Aperture", "36", "Width of the film gate in millimetres.", "1! 100"),
        Parm(
            "light",
            "Light",
            default=("studio",),
            help="`studio`, or a latitude-longitude picture (EXR). `studio:N` is a variant of the studio, of the "
            "engine's own renderer.",
        ),
        toggle(
            "ground",
            "Ground",
            "Put the object on a grey disc. Of the engine's own renderer.",
            hide_when='{ renderer != "engine" }',
        ),
        whole("seed", "Seed", 0, "Everything random follows from it.", "0! 100"),
        OVERWRITE,
        Folder("karma", "Karma", KARMA, "simple", hide_when='{ renderer != "karma" }'),
    ),
    "Renders the ground truth that a neural asset is trained on, with Karma or the engine's own renderer.",
    """
    The folder is the one that `neuron dataset` writes. A run that was stopped goes on where it stopped.

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

TRAIN = _driver(
    "train",
    "Neuron Train",
    "M14 46 C24 46 24 20 34 20 C42 20 42 34 50 34",
    (
        folder_parm(
            "dataset",
            "Dataset",
            "$HIP/neuron/dataset",
            "What is learned: a dataset, or photographs with transforms.json.",
        ),
        folder_parm(
            "run", "Run", "$HIP/neuron/run", "Folder of checkpoints, figures and validation pictures."
        ),
        file_parm(
            "asset",
            "Asset",
            "$HIP/neuron/asset.neuron",
            "The asset that is baked at the end.",
            "write",
            "*.neuron",
        ),
        Parm(
            "preset",
            "Preset",
            default=("cpu",),
            help="How large the field is and how long it trains.",
            menu=Menu(
                (("cpu-demo", "CPU, a Minute or Two"), ("cpu", "CPU"), ("gpu", "GPU")), kind="menureplace"
            ),
        ),
        DEVICE,
        whole(
            "steps",
            "Steps",
            0,
            "All steps together instead of the preset's. 0 leaves it to the preset.",
            "0! 20000",
        ),
        whole(
            "validate_every",
            "Validate Every",
            500,
            "Steps between validation pictures. 0 makes none.",
            "0! 5000",
        ),
        whole("seed", "Seed", 0, "Everything random follows from it.", "0! 100"),
        whole("resolution", "Voxels", 128, "Voxels along the longest side of the baked asset.", "16! 512"),
        Parm(
            "prompt", "Looks", help="Prompts to bake, separated by semicolons. Empty: all that was trained."
        ),
        Parm("name", "Name", help="What the asset is called. Empty: the name of its file."),
        Parm("licence", "Licence", help="Licence of the asset, written into it."),
        OVERWRITE,
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
        Parm(
            "asset",
            "File",
            "file",
            ("$HIP/neuron/asset.neuron",),
            "A `.neuron` file or a USD stage.",
            hide_when='{ source != "asset" }',
            tags=(("filechooser_mode", "read"),),
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
        folder_parm("out", "Folder", "$HIP/neuron/render", "Folder of the pictures."),
        Parm(
            "cameras",
            "Cameras",
            default=("turntable:48",),
            help="`turntable:N`, a file of cameras, or the path of a camera on the stage.",
            hide_when='{ what != "pictures" }',
        ),
        Parm(
            "camera",
            "Camera",
            help="The path of a camera on the stage. Empty: the only one that it has.",
            hide_when='{ what != "anchors" }',
            tags=(("sidefx::usdpathtype", "prim"),),
        ),
        Parm(
            "frames",
            "Frames",
            help="Frames as 1-24 or 1-24x5, of anchors as 1, 24, 48 too. Empty: all; of anchors the first and the "
            "last of the stage.",
        ),
        Parm(
            "prompt",
            "Look",
            help="A look of a file, by its name or prompt. Empty: the first one.",
            hide_when='{ what != "pictures" }',
        ),
        Parm("size", "Size", help="Pixels as 512x512. Empty: as the cameras say, or 512x512."),
        Parm(
            "aov",
            "AOVs",
            help="Layers to write as EXR: depth, normal, alpha, separated by commas.",
            hide_when='{ what != "pictures" }',
        ),
        Parm(
            "behind",
            "Background",
            default=("transparent",),
            help="What is seen where nothing is.",
            hide_when='{ what != "pictures" }',
            menu=Menu((("transparent", "Transparent"), ("white", "White")), kind="menureplace"),
        ),
        DEVICE,
        OVERWRITE,
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
        file_parm("asset", "Asset", "$HIP/neuron/asset.neuron", "The file to publish.", "read", "*.neuron"),
        folder_parm(
            "library",
            "Library",
            "$HIP/neuron/library",
            "Folder of published assets; made if it is not there.",
        ),
        Parm(
            "name",
            "Name",
            help="What it is called: lower-case words joined by underscores. Empty: its own name.",
        ),
        whole("number", "Version", 0, "The version it becomes. 0 takes the next one.", "0! 100"),
        toggle(
            "splats",
            "Splats",
            "Make the Gaussian splats that Houdini 22 draws. They show the first look.",
            default=True,
        ),
        whole(
            "steps",
            "Refinement",
            0,
            "Steps that fit the splats to drawn views; 1300 make them much better and take minutes on a CPU.",
            "0! 2000",
            disable_when="{ splats == 0 }",
        ),
        toggle(
            "points",
            "Points",
            "Make the coloured points that older Houdinis draw. They show the first look.",
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
