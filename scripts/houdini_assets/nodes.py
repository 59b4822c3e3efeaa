"""All node types that there are: drivers, and those that show and place assets."""

from houdini_assets.description import NodeType
from houdini_assets.drivers import DRIVERS
from houdini_assets.geometry import SOPS
from houdini_assets.pieces import LOP_CODE as LOP_CODE
from houdini_assets.stages import LOPS

NODES: tuple[NodeType, ...] = (*DRIVERS, *LOPS, *SOPS)
