"""Every family of models keeps the laws of learning, on data that is small enough."""

import pytest

from neuron_core.learning import rehearsal
from neuron_core.learning.distributed import Placement
from neuron_core.learning.family import Built
from neuron_core.learning.smoke import Inspected
from neuron_core.models.registry import FAMILIES, family_of
from tests.core import learning_laws as laws
from tests.core.family_runs import encoder_run, judge_run, splat_run
from tests.core.field_runs import DATASETS, setup_of
from tests.core.toy_objectives import CPU

STEPS = 3  # of a phase


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return {kind: write(folder / kind) for kind, write in DATASETS.items()}


FIELDS = {f"field/{kind}": kind for kind in DATASETS}
OTHERS = {"judge": judge_run, "prompt_encoder": encoder_run}
BY_KERNELS = ("splats",)  # kernels make gradients and updates: no parameter of torch moves
TRAINED = (*FIELDS, *OTHERS, *BY_KERNELS)


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    return tmp_path_factory.mktemp("assets")


@pytest.fixture
def make(request, datasets, assets):
    """How to make the run of that name fresh."""
    name = request.param
    if name in FIELDS:
        kind = FIELDS[name]
        return lambda steps=STEPS, batch=64: setup_of(kind, datasets[kind], steps, batch)
    if name in OTHERS:
        return lambda steps=STEPS, batch=4: OTHERS[name](steps, batch)
    return lambda steps=STEPS, batch=0: splat_run(assets, steps)


of_every_family = pytest.mark.parametrize("make", TRAINED, indirect=True)
of_families_with_parameters = pytest.mark.parametrize("make", (*FIELDS, *OTHERS), indirect=True)


def test_every_family_keeps_the_laws():
    assert {name.partition("/")[0] for name in TRAINED} == set(FAMILIES)
    for name in FAMILIES:
        assert family_of(name).name == name


@of_every_family
def test_a_run_that_is_killed_at_every_step_ends_as_one_that_is_not(make, tmp_path):
    laws.resumes_exactly_with_a_kill_at_every_step(make, tmp_path)


TERMS = {
    "geometry": ["distance", "free", "normal", "normal_beside", "outside", "space", "surface"],
    "appearance": ["codes", "detail", "edges", "picture"],
    "frames": ["detail", "normal", "picture", "silhouette"],
    "volume": ["color", "exposure"],
}
TERMS_OF_OTHERS = {
    "judge": ["judge.loss"],
    "contrast": [
        "heads.composition",
        "heads.tags",
        "towers.composition",
        "towers.pictures",
        "towers.prompts",
        "towers.tags",
    ],
}


@of_families_with_parameters
def test_every_term_of_a_loss_moves_a_parameter(make, tmp_path, request):
    found = laws.every_term_moves_a_parameter(make, tmp_path)
    with_alpha = {"volume": ["color", "opacity"]}
    for phase, terms in found.items():
        if phase in TERMS_OF_OTHERS:
            assert terms == TERMS_OF_OTHERS[phase]
            continue
        wanted = with_alpha.get(phase, TERMS[phase]) if "transparent" in request.node.name else TERMS[phase]
        assert terms == [f"field.{name}" for name in wanted]


@of_families_with_parameters
def test_the_mean_over_two_processes_is_one_with_the_whole_batch(make):
    laws.shares_add_up(make)


@of_families_with_parameters
def test_a_smoke_run_finds_nothing_wrong(make, tmp_path):
    setup = make()
    plain = setup.objectives
    setup.objectives = {
        phase.name: lambda phase=phase: Inspected(plain[phase.name](), phase.steps, setup.modules)
        for phase in setup.phases
    }
    laws.train(setup, tmp_path)


@of_every_family
def test_a_loss_falls_on_one_batch_and_a_resumed_step_is_repeated(make, monkeypatch):
    monkeypatch.setattr(rehearsal, "BEFORE", 2)
    monkeypatch.setattr(rehearsal, "ON_ONE_BATCH", 6)
    setups = make(), make()
    fresh, trained = (Built(one.modules, one.objectives) for one in setups)
    rehearsal.rehearse(fresh, trained, setups[0].phases, Placement(CPU), 0)


@of_every_family
def test_a_nan_is_named_and_never_written(make, tmp_path):
    laws.names_nan_and_keeps_it_from_disk(lambda: make(2), tmp_path)


FALLING = {  # by phase: a figure that falls
    "geometry": "distance",
    "appearance": "loss",
    "frames": "loss",
    "volume": "loss",
    "judge": "loss",
    "contrast": "composition",
    "refine": "loss",
}
LONG_ENOUGH = {"judge": (12, 12), "prompt_encoder": (100, 8), "splats": (60, 0)}  # steps, batch


@of_every_family
def test_losses_halve(make, tmp_path, request):
    length = LONG_ENOUGH.get(request.node.callspec.params["make"], (150, 256))
    laws.losses_fall(make(*length), tmp_path, FALLING)
