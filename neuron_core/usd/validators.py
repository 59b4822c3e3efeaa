"""Our checks as validators of USD's own framework, so that any tool that runs in a process which
registered them finds what is wrong with neural assets beside what USD's validators say.

They are written in Python, which the framework takes since USD 26; with an older one nothing is
registered and `neuron_core.usd.validate` does the same checks. Validators read headers only.
"""

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pxr import Sdf, Usd

from neuron_core.usd.records import Problem, SceneError
from neuron_core.usd.splats import is_splat, splat_problems
from neuron_core.usd.stage import SceneStage
from neuron_core.usd.validate import KEYWORD, asset_problems

ASSETS = "neuron:AssetValidator"
SPLATS = "neuron:SplatValidator"


@cache
def register() -> tuple[str, ...]:
    """Register them in this process and return their names; none where this USD cannot take them.

    Again is harmless.
    """
    framework = framework_of()
    if framework is None:
        return ()
    registry = framework.ValidationRegistry()

    def metadata(name: str, doc: str) -> Any:
        return framework.ValidatorMetadata(name=name, keywords=[KEYWORD], doc=doc)

    registry.RegisterStageValidator(
        metadata(
            ASSETS,
            "The .neuron files of a stage are there, have the digest and the looks that prims ask for, "
            "and stand where they can be drawn.",
        ),
        lambda stage, _: _errors(framework, stage, _assets(stage)),
    )
    registry.RegisterPrimValidator(
        metadata(SPLATS, "The arrays of Gaussian splats fit together."),
        lambda prim, _: _errors(framework, prim.GetStage(), _splats(prim)),
    )
    return ASSETS, SPLATS


def framework_of() -> ModuleType | None:
    """USD's validation framework, where this USD has it and takes validators that are written in Python."""
    try:
        from pxr import UsdValidation
    except ImportError:
        return None
    found: ModuleType = UsdValidation
    return found if hasattr(found.ValidationRegistry, "RegisterStageValidator") else None


def _assets(stage: Usd.Stage) -> list[Problem]:
    try:
        return asset_problems(SceneStage(stage, Path(stage.GetRootLayer().identifier)))
    except SceneError as error:  # of the whole stage
        return [Problem("/", error.message, error.hint, error.kind)]


def _splats(prim: Usd.Prim) -> list[Problem]:
    return splat_problems(prim, Usd.TimeCode.EarliestTime()) if is_splat(prim) else []


def _errors(framework: ModuleType, stage: Usd.Stage, problems: list[Problem]) -> list[object]:
    """Problems as the framework has them; instances of point instancers are told at their instancer."""
    kinds = framework.ValidationErrorType
    return [
        framework.ValidationError(
            problem.kind,
            kinds.Error if problem.fatal else kinds.Warn,
            [framework.ValidationErrorSite(stage, Sdf.Path(problem.path.partition("[")[0]))],
            f"{problem.message} {problem.hint}".strip(),
        )
        for problem in problems
    ]
