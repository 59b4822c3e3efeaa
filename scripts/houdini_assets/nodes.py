"""All node types that there are: drivers, and those that show and place assets."""

from houdini_assets.description import NodeType
from houdini_assets.lops import LOPS
from houdini_assets.pieces import LOP_CODE as LOP_CODE
from houdini_assets.rops import DRIVERS
from houdini_assets.sops import SOPS

NODES: tuple[NodeType, ...] = (*DRIVERS, *LOPS, *SOPS)
