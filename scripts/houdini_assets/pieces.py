"""What node types have in common: inner networks, the parameters of a task, the icon."""

from houdini_assets.description import InnerNode, Menu, Parm

LOP_INPUTS = '1\n0 0 6 2 0 __NO_OWNER_NETWORK_BOX__ "FROMOUTPUT"\n'
PRESSED = ("0",)
LOP_CODE = "hda = hou.pwd().parent()\nhda.hdaModule().cook(hou.pwd(), hda)"
SOP_CODE = "import hou\n\nnode = hou.pwd()\nnode.hdaModule().cook(node)\n"

ASSET_FILE = Parm(
    "file",
    "Asset",
    "file",
    ("",),
    "A `.neuron` file, a published asset (`LIBRARY/NAME`, or a version of it), or its USD layer.",
    tags=(("filechooser_mode", "read"),),
)
LOOK = Parm(
    "look",
    "Look",
    help="One of the looks that the file has. Empty: the first one.",
    menu=Menu(function="looks", kind="menureplace"),
)

_SHELL_SCRIPTS = ("prerender", "preframe", "postframe", "postrender")


def icon(letter_path: str) -> str:
    """A rounded plate in our color with a white drawing on it, 64 x 64."""
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 64 64">
  <rect x="4" y="4" width="56" height="56" rx="12" fill="#2f6f8f"/>
  <path d="{letter_path}" fill="none" stroke="#ffffff" stroke-width="5"
    stroke-linecap="round" stroke-linejoin="round"/>
</svg>
"""


def lop_network(code: str) -> tuple[InnerNode, ...]:
    """A Python script between the input and the output of a LOP."""
    modified = '"`lopinputprims(\\".\\", 0)`"'
    output = (("outputidx", ("0",)), ("modifiedprims", (modified,)))
    script = (("python", (f'"{code}"',)), ("maintainstate", ('"off"',)))
    return (
        InnerNode("output0", "output", (0, 0), output, source="author", lop=True),
        InnerNode(
            "author", "pythonscript", (0, 2), script, source="(0)", has_output=True, display=False, lop=True
        ),
    )


def shell_network(call: str, frames: bool) -> tuple[InnerNode, ...]:
    """A shell driver that calls the Python module for every frame that is rendered."""
    frame_values = ("[ f1\t1 ] ", "[ f2\t240 ] ", "1") if frames else ("1", "240", "1")
    parms: list[tuple[str, tuple[str, ...]]] = [
        ("execute", ("0",)),
        ("renderdialog", ("0",)),
        ("trange", ('"off"',)),
        ("f", frame_values),
        ("take", ("_current_",)),
        ("switcher", ("1", "1")),
        ("command", ('""',)),
        ("shellexec", ('"off"',)),
        ("initsim", ('"off"',)),
    ]
    for name in _SHELL_SCRIPTS:
        ours = name == "preframe"
        parms.append((f"t{name}", ('"on"',)))
        parms.append((name, (call if ours else '""',)))
        parms.append((f"l{name}", ("python" if ours else "hscript",)))
    channels = _frame_channels() if frames else ""
    return (InnerNode("shell1", "shell", (0, 2), tuple(parms), matches_definition=False, channels=channels),)


def _frame_channels() -> str:
    def channel(name: str, value: int) -> str:
        return (
            f"    channel {name} {{\n      lefttype = extend\n      righttype = extend\n      default = {value}\n"
            f'      flags = 0\n      segment {{ length = 0 value = {value} {value} expr = ch(\\"../{name}\\") }}\n    }}\n'
        )

    return "{\n" + channel("f1", 1) + channel("f2", 240) + "  }\n"


def render_parms(frames: bool = False) -> tuple[Parm, ...]:
    """The buttons that every driver has; with the frame range where frames mean something."""
    buttons = (
        Parm("execute", "Render", base=True, join=True, export="none"),
        Parm("renderdialog", "Controls...", base=True, no_label=True, export="none"),
    )
    if not frames:
        return buttons
    return (
        *buttons,
        Parm("trange", "Valid Frame Range", base=True, export="none"),
        Parm("f", "Start/End/Inc", base=True, export="none"),
    )


def job_parms() -> tuple[Parm, ...]:
    """Running in the background, and what became of it."""
    return (
        Parm(
            "background",
            "Run in Background",
            "button",
            PRESSED,
            callback="background",
            join=True,
            help="Starts the engine and lets you keep working. The job keeps running when the parameters are closed.",
        ),
        Parm(
            "cancel",
            "Cancel",
            "button",
            PRESSED,
            callback="cancel",
            help="Stops the job where nothing is lost.",
        ),
        Parm(
            "status",
            "Status",
            help="What the last background job of this node is doing, or how it ended.",
            disable_when="{ cancel == 0 }",
        ),
    )


def file_parm(name: str, label: str, default: str, text: str, mode: str, pattern: str = "") -> Parm:
    """A file with a chooser for `read` or `write`."""
    tags = [("filechooser_mode", mode)] + ([("filechooser_pattern", pattern)] if pattern else [])
    return Parm(name, label, "file", (default,), text, tags=tuple(tags))


def folder_parm(name: str, label: str, default: str, text: str) -> Parm:
    """A folder with a chooser."""
    return Parm(name, label, "directory", (default,), text)


def toggle(name: str, label: str, text: str, default: bool = False, hide_when: str = "") -> Parm:
    """A switch."""
    return Parm(name, label, "toggle", (str(int(default)),), text, hide_when=hide_when)


def whole(name: str, label: str, default: int, text: str, limits: str, **conditions: str) -> Parm:
    """A whole number; `conditions` are `hide_when` and `disable_when`."""
    return Parm(name, label, "integer", (str(default),), text, range=limits, **conditions)  # type: ignore[arg-type]
