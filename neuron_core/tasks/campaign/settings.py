"""From `--setting NAME=VALUE` to the config that all runs of a campaign have in common."""

import json
from dataclasses import fields
from typing import Any, get_type_hints

from neuron_core.foundation.errors import NeuronError
from neuron_core.foundation.records import read_value
from neuron_core.foundation.wording import listed
from neuron_core.learning.family import Family
from neuron_core.learning.goals import RATE, Goals, Settings
from neuron_core.tasks.campaign.config import CampaignConfig

GIVEN = ("dataset", "out", "device", "seed")  # what a campaign gives to the config of its family
OWN = (*GIVEN, "overwrite")  # that the campaign has options for, or decides


class SettingError(NeuronError):
    """A setting that the family does not have, or not like this."""

    kind = "arguments"


def config_of(family: Family[Any, Any], config: CampaignConfig) -> Any:
    """The family's config. Raises SettingError, also if the family is not trained from one dataset."""
    known = {entry.name for entry in fields(family.config)}
    missing = [name for name in GIVEN if name not in known]
    if missing:
        raise SettingError(
            f"A campaign cannot train the family {family.name}: its config has no {listed(missing)}.",
            "Train field, or call run_campaign with a launch of your own.",
        )
    given = dict(_setting(family, text) for text in config.setting)
    return family.config(
        dataset=config.dataset, out=config.out, device=config.device, seed=config.seed, **given
    )


def defaults_of(goals: Goals, config: Any) -> Settings:
    """What the settings that calibration may change are without it."""
    return {name: 1.0 if name == RATE else getattr(config, name) for name in goals.search}


def _setting(family: Family[Any, Any], text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals:
        raise SettingError(f"The setting {text!r} has no value.", "Write it as NAME=VALUE.")
    known = [field.name for field in fields(family.config) if field.name not in OWN]
    if name not in known:
        hint = f"Settings of {family.name}: {', '.join(known)}."
        if name in OWN:
            hint = f"The campaign has an option for it: --{name}."
        raise SettingError(f"{name!r} cannot be a setting of a campaign.", hint)
    return name, _value(
        get_type_hints(family.config, include_extras=True)[name], value, f"The setting {name}"
    )


def _value(hint: Any, text: str, where: str) -> Any:
    """The text itself where the type takes it, else what it says as JSON: numbers, true, null."""
    try:
        return read_value(hint, text, where, SettingError)
    except SettingError:
        try:
            content = json.loads(text)
        except ValueError:
            content = text
        return read_value(hint, content, where, SettingError)
