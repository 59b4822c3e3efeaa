"""The applied schema NeuronAssetAPI: where it lives, and how USD gets to know it.

USD reads plug-ins when it first needs its schemas. Where that happened before this module was
imported, and PXR_PLUGINPATH_NAME does not name the folder either, the schema stays unknown to USD;
what it says on prims is read and written all the same, so nothing here depends on it.
"""

from pathlib import Path

from pxr import Plug, Sdf, Usd

FOLDER = Path(__file__).resolve().parents[1] / "schema"
NAME = "NeuronAssetAPI"

FILE = "neuron:file"
DIGEST = "neuron:digest"
ASSET_ID = "neuron:assetId"
FORMAT_VERSION = "neuron:formatVersion"
LOOK = "neuron:look"
PROMPT = "neuron:prompt"
POSE = "neuron:pose"

TYPES = {
    FILE: Sdf.ValueTypeNames.Asset,
    DIGEST: Sdf.ValueTypeNames.String,
    ASSET_ID: Sdf.ValueTypeNames.String,
    FORMAT_VERSION: Sdf.ValueTypeNames.Int,
    LOOK: Sdf.ValueTypeNames.Token,
    PROMPT: Sdf.ValueTypeNames.String,
    POSE: Sdf.ValueTypeNames.FloatArray,
}
UNIFORM = frozenset({DIGEST, ASSET_ID, FORMAT_VERSION})

LOOK_SET = "look"
REPRESENTATION_SET = "representation"


def register() -> None:
    """Tell USD of the schema. Again is harmless."""
    Plug.Registry().RegisterPlugins(str(FOLDER))


def is_known() -> bool:
    """Whether USD knows the schema in this process."""
    return Usd.SchemaRegistry().FindAppliedAPIPrimDefinition(NAME) is not None


def is_asset(prim: Usd.Prim) -> bool:
    """Whether the schema is applied to a prim, known to USD or not."""
    # Of the type info: the prim itself names only schemas that are installed.
    return NAME in prim.GetPrimTypeInfo().GetAppliedAPISchemas()


def apply(prim: Usd.Prim) -> None:
    """Apply the schema in the current edit target, known to USD or not."""
    if not is_asset(prim):
        prim.AddAppliedSchema(NAME)


def set_value(prim: Usd.Prim, name: str, value: object) -> None:
    """Author one attribute of the schema, with its type also where USD does not know it."""
    variability = Sdf.VariabilityUniform if name in UNIFORM else Sdf.VariabilityVarying
    prim.CreateAttribute(name, TYPES[name], False, variability).Set(value)
