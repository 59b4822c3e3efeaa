"""`neuron campaign`: settings become configs, and a killed campaign of a field ends with the same bits."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from neuron_core.cli.arguments import parse
from neuron_core.cli.registry import find_task
from neuron_core.foundation.errors import ConfigMismatchError, NeuronError
from neuron_core.foundation.progress import Silent
from neuron_core.learning.goals import Goals
from neuron_core.learning.ledger import LEDGER, read_ledger
from neuron_core.learning.stored import load_tensors
from neuron_core.models.field.family import FAMILY
from neuron_core.models.registry import FAMILIES, family_of
from neuron_core.tasks.campaign.commands import arguments_of, command_of
from neuron_core.tasks.campaign.config import CampaignConfig
from neuron_core.tasks.campaign.run import run
from neuron_core.tasks.campaign.settings import SettingError, config_of, defaults_of
from tests.core import learning_laws as laws
from tests.core.field_runs import small_family
from tests.core.toy_family import ToyConfig, ToyFamily
from tests.core.training_samples import write_photographs

REPOSITORY = Path(__file__).resolve().parents[2]
QUICK = ("preset=cpu-demo", "validate_every=0", "encoder=blank")  # a text encoder takes seconds to import


def config(*settings, **changes):
    return CampaignConfig("toy", Path("data"), Path("out"), settings, **changes)


# --- settings ---


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("width=16", "width", 16),
        ("name=16", "name", "16"),
        ("name=a=b", "name", "a=b"),
        ("steps=40", "steps", 40),
        ("steps=null", "steps", None),
    ],
)
def test_settings_have_the_type_of_the_config(text, name, value):
    assert getattr(config_of(ToyFamily(), config(text)), name) == value


def test_options_of_the_campaign_reach_every_run():
    found = config_of(ToyFamily(), config(seed=3, device="cpu"))
    assert found == ToyConfig(Path("data"), Path("out"), seed=3, device="cpu")
    assert config_of(FAMILY, config("learn-from=frames")).learn_from == "frames"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("width", "The setting 'width' has no value.", "NAME=VALUE"),
        ("height=3", "'height' cannot be a setting", "Settings of toy: width, name"),
        ("seed=3", "'seed' cannot be a setting", "option for it: --seed"),
        ("width=wide", "The setting width is 'wide', not an integer.", ""),
        ("width=1.5", "The setting width is 1.5, not an integer.", ""),
    ],
)
def test_settings_that_the_family_does_not_have_are_named(text, said, hint):
    with pytest.raises(SettingError, match=said.replace(".", r"\.")) as caught:
        config_of(ToyFamily(), config(text))
    assert hint in caught.value.hint


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "field"])
def test_a_family_that_is_not_trained_from_one_dataset_is_refused_by_what_it_lacks(name):
    with pytest.raises(SettingError, match=f"cannot train the family {name}: its config has no .*out"):
        config_of(family_of(name), config())


def test_calibration_starts_from_the_config():
    family = ToyFamily()
    assert defaults_of(family.goals, config_of(family, config("width=16"))) == {"rate": 1.0, "width": 16}


def test_a_run_is_started_with_the_options_of_its_campaign():
    given = config("width=16", "name=a b", trials=3, seed=2, launch="torchrun", processes=4, overwrite=True)
    words = "toy data out --setting width=16 --setting"
    assert arguments_of(given) == [*words.split(), "name=a b", "--trials", "3", "--seed", "2"]
    assert arguments_of(config()) == ["toy", "data", "out"]


def test_torchrun_hands_on_every_word_of_a_run():
    from torch.distributed.run import parse_args

    given = config("width=16", trials=3, launch="torchrun", processes=4)
    run = ["--run", "calibration/000", "--json"]
    python, module, torchrun, *words = [*command_of(given, "w").command, *run]
    assert (python, module, torchrun) == (sys.executable, "-m", "torch.distributed.run")
    found = parse_args(words)
    assert found.nproc_per_node == "4" and found.module and found.training_script == "neuron_core"
    assert found.training_script_args == ["campaign", *arguments_of(given), *run]
    alone = command_of(config("width=16", trials=3, launch="process"), "w").command
    assert [*alone] == [python, "-m", "neuron_core", "campaign", *arguments_of(given)]


def test_a_started_run_reads_the_config_that_its_campaign_had():
    given = config("width=16", "name=a b", trials=3, seed=-2, device="cpu", launch="process")
    assert parse(find_task("campaign"), arguments_of(given)) == replace(given, launch="here")


# --- a field ---


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_photographs(tmp_path_factory.mktemp("campaign") / "data", transparent=True)


def field_config(data, out, **changes):
    settings = ("preset=cpu-demo", "validate_every=0")
    return CampaignConfig(
        "field", data, out, **{"setting": settings, "trials": 2, "device": "cpu", **changes}
    )


def campaign(data, out, reporter=None, **changes):
    """A campaign of a small field that checkpoints after every step, and is too short to be any good."""
    family = replace(small_family(), goals=Goals("psnr"))
    return run(field_config(data, out, **changes), reporter or Silent(), family, laws.ALWAYS)


@pytest.fixture(scope="module")
def whole(data):
    """What a campaign answered that nobody killed."""
    return campaign(data, data.parent / "whole")


def field_of(folder):
    return load_tensors(folder / "production" / "field.safetensors")[0]


SCRIPT = """
import sys
from pathlib import Path
from neuron_core.foundation.progress import Silent
from tests.core.test_campaign_task import campaign
class Says(Silent):
    def progress(self, fraction, stage, message="", metrics=()):
        print(stage, message, flush=True)
campaign(Path(sys.argv[1]), Path(sys.argv[2]), Says())
"""


def test_a_campaign_of_a_field_says_what_it_promoted(whole, data):
    out = data.parent / "whole"
    assert set(whole["promoted"]) == {"smoke", "calibration", "production"}
    assert whole["skipped"] == {"distillation": "The family has no smaller model."}
    assert whole["summary"].startswith(f"{out}: psnr ") and "after 2 trials" in whole["summary"]
    assert json.loads(json.dumps(whole)) == whole


def test_killed_in_production_a_campaign_ends_with_the_same_field(whole, data, tmp_path):
    words = [sys.executable, "-c", SCRIPT, str(data), str(tmp_path)]
    with subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        production = False
        for line in process.stdout:
            production |= line.startswith("production")
            if production and line.startswith("volume step 3"):
                process.send_signal(signal.SIGKILL)
                break
    events = read_ledger(tmp_path / LEDGER)
    assert events[-1].event == "started" and events[-1].recipe.run == "production"
    assert (tmp_path / "production" / "checkpoint.safetensors").is_file()
    before = (tmp_path / LEDGER).read_bytes()
    campaign(data, tmp_path)
    laws.assert_same_bits(field_of(tmp_path), field_of(data.parent / "whole"))
    assert (tmp_path / LEDGER).read_bytes().startswith(before)


def test_a_finished_campaign_answers_the_same_again(whole, data):
    assert campaign(data, data.parent / "whole") == whole


def test_a_campaign_with_other_settings_is_refused_by_name(whole, data):
    out = data.parent / "whole"
    with pytest.raises(ConfigMismatchError, match="trials 2 instead of 3"):
        campaign(data, out, trials=3)
    with pytest.raises(ConfigMismatchError, match="steps null instead of 9"):
        campaign(data, out, setting=(*QUICK, "steps=9"))


def test_a_field_that_is_no_better_than_an_even_color_is_not_promoted(whole, data):
    ended = read_ledger(data.parent / "whole" / LEDGER)
    outcome = next(one for one in ended if one.event == "ended" and one.run == "production").outcome(data)
    (gate,) = FAMILY.goals.gates
    even = outcome.baselines["flat color"]["psnr"]
    for psnr, said in (
        (even + 0.1, ""),
        (even, "not better than the"),
        (even - 1, "of the baseline flat color"),
    ):
        found = gate.judge(replace(outcome, metrics={"psnr": psnr}))
        assert (said in found) if said else not found


def test_a_single_run_is_that_of_the_ledger(whole, data):
    found = campaign(data, data.parent / "whole", run="calibration/001")
    assert found["run"] == str(data.parent / "whole" / "calibration" / "001")
    with pytest.raises(NeuronError, match="has not started the run 'calibration/007'"):
        campaign(data, data.parent / "whole", run="calibration/007")
