"""`neuron campaign`: from a dataset to gated weights, and a smaller model that learned from them."""

from typing import Any

from neuron_core.foundation.devices import torch_device
from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.progress import Reporter
from neuron_core.foundation.wording import counted
from neuron_core.learning.campaign import Campaign, run_campaign
from neuron_core.learning.distributed import joined
from neuron_core.learning.family import Family
from neuron_core.learning.launch import NO_TIMING, InProcess
from neuron_core.learning.ledger import LEDGER, Ledger, ledger_at
from neuron_core.learning.loop import Timing
from neuron_core.learning.rungs import CALIBRATION, DISTILLATION, PRODUCTION, rungs_of
from neuron_core.models.registry import family_of
from neuron_core.tasks.campaign.commands import command_of
from neuron_core.tasks.campaign.config import CampaignConfig
from neuron_core.tasks.campaign.settings import config_of, defaults_of


def run(
    config: CampaignConfig,
    report: Reporter,
    family: Family[Any, Any] | None = None,
    timing: Timing = NO_TIMING,
) -> dict[str, object]:
    """Run or resume a campaign, or one run of it, and say what was promoted."""
    family = family or family_of(config.family)
    base = config_of(family, config)
    with joined(torch_device(config.device)) as placement:
        here = InProcess(family, base, config.out, placement, timing)
        if config.run is not None:
            return _run_one(config, here, config.run, report)
        prepared = family.prepare(base, report)
        campaign = Campaign(
            config.out,
            family.name,
            {**prepared.recipe, "trials": config.trials},
            rungs_of(
                family.goals,
                defaults_of(family.goals, base),
                config.trials,
                config.seed,
                family.student(base) is not None,
            ),
            family.weights,
        )
        launch = here if config.launch == "here" else command_of(config, family.weights)
        ledger = run_campaign(campaign, launch, report, config.overwrite)
    return _result(config, family.goals.metric, ledger)


def _run_one(config: CampaignConfig, here: InProcess, name: str, report: Reporter) -> dict[str, object]:
    """Train one run that the ledger says was started; its errors are those of this process."""
    recipes = ledger_at(config.out / LEDGER).recipes
    if name not in recipes:
        raise NeuronError(
            f"The campaign at {config.out} has not started the run {name!r}.", "Start the campaign itself."
        )
    outcome = here.train(recipes[name], config.out / name, report)
    return {
        "run": str(outcome.folder),
        "metrics": dict(outcome.metrics),
        "summary": f"{outcome.folder}: trained.",
    }


def _result(config: CampaignConfig, metric: str, ledger: Ledger) -> dict[str, object]:
    figures = {
        rung: f"{metric} {float(ledger.ended[ledger.promoted[rung]].metrics[metric]):.4g}"
        for rung in (PRODUCTION, DISTILLATION)
        if rung in ledger.promoted
    }
    trials = counted(len(ledger.runs(CALIBRATION)), "trial")
    student = f"; student {figures[DISTILLATION]}" if DISTILLATION in figures else ""
    return {
        "campaign": str(config.out),
        "ledger": str(config.out / LEDGER),
        "promoted": {rung: str(config.out / run) for rung, run in ledger.promoted.items()},
        "skipped": ledger.skipped,
        "metrics": dict(ledger.ended[ledger.promoted[PRODUCTION]].metrics),
        "summary": f"{config.out}: {figures[PRODUCTION]} after {trials}{student}.",
    }
