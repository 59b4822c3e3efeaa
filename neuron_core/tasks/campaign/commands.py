"""The commands that start runs of a campaign in processes of their own."""

import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields

from neuron_core.learning.launch import Command
from neuron_core.tasks.campaign.config import CampaignConfig

NOT_PASSED_ON = ("family", "dataset", "out", "launch", "processes", "run", "overwrite")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone")


def command_of(config: CampaignConfig, weights: str) -> Command:
    """Starts a run in one process, or under torchrun in several. `weights` names the file that it leaves."""
    program: tuple[str, ...] = ("-m", "neuron_core")
    if config.launch == "torchrun":
        # Behind "--" no word is torchrun's own; it would take --run for --run-path.
        program = (*TORCHRUN, f"--nproc-per-node={config.processes}", "-m", "--", "neuron_core")
    return Command((sys.executable, *program, "campaign", *arguments_of(config)), weights)


def arguments_of(config: CampaignConfig) -> Sequence[str]:
    """The words of the command line that a run of the campaign is started with."""
    words = [config.family, str(config.dataset), str(config.out)]
    for entry in fields(config):
        value = getattr(config, entry.name)
        default = entry.default if entry.default is not MISSING else None
        if entry.name in NOT_PASSED_ON or value == default:
            continue
        for one in value if isinstance(value, tuple) else (value,):
            words += [f"--{entry.name}", str(one)]
    return words
