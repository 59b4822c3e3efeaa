"""Scenes are USD stages: read as plain records, edited, validated.

Needs the standard library, numpy and pxr. Importing it tells USD of the schema NeuronAssetAPI.
"""

from neuron_core.usd.records import (
    AssetNode,
    MeshNode,
    Problem,
    SceneError,
    SceneSnapshot,
    engine_from_stage,
)
from neuron_core.usd.stage import SceneStage, read_stage

__all__ = [
    "AssetNode",
    "MeshNode",
    "Problem",
    "SceneError",
    "SceneSnapshot",
    "SceneStage",
    "engine_from_stage",
    "read_stage",
]
