"""A smoke run names the fault: shapes, NaN, what does not learn. Without a fault it changes nothing."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from neuron_core.learning.finite import DivergedError
from neuron_core.learning.objective import Optimized, ParamGroup, Turn
from neuron_core.learning.smoke import Inspected, SmokeError, fault_of
from tests.core import learning_laws as laws
from tests.core.toy_objectives import SETUPS, Fit, Setup, fit, network


def inspected(setup):
    """The same, every phase under inspection."""
    setup.objectives = {
        phase.name: lambda phase=phase, make=setup.objectives[phase.name]: Inspected(
            make(), phase.steps, setup.modules
        )
        for phase in setup.phases
    }
    return setup


def smoke(objective, folder, steps=4, rate=1e-2):
    """Train the objective under inspection; it has a network `net`."""
    setup = fit(steps)
    modules = {"net": objective.net}
    phases = [replace(setup.phases[0], rate=rate)]
    laws.train(inspected(Setup(modules, phases, {"fit": lambda: objective})), folder)


@pytest.mark.parametrize("make", SETUPS.values(), ids=SETUPS)
def test_inspection_changes_nothing_that_is_trained(make, tmp_path):
    plain, watched = make(), inspected(make())
    laws.train(plain, tmp_path / "plain")
    laws.train(watched, tmp_path / "watched")
    laws.assert_same_bits(laws.bits(watched), laws.bits(plain))


def test_an_inspected_run_resumes(tmp_path):
    setup = inspected(SETUPS["two_phases"]())
    laws.train_until(setup, tmp_path, 4)
    laws.train(inspected(SETUPS["two_phases"]()), tmp_path)


class WithTurns(Fit):
    """A fit whose turns are changed."""

    def __init__(self, change, net=None):
        super().__init__(net or network(1, 2, 8, 1))
        self.change = change

    def turns(self, step):
        for turn in super().turns(step):
            yield self.change(turn, self.net)


def test_a_wrong_shape_is_named_with_its_place(tmp_path):
    with pytest.raises(
        SmokeError, match=r"^Step 0 of the fit phase fails: .*mat1 and mat2 .*\(toy_objectives.py, line"
    ):
        smoke(Fit(network(1, 3, 8, 1)), tmp_path)


def test_a_nan_in_a_loss_is_named(tmp_path):
    def nan(turn, net):
        return replace(turn, terms={**turn.terms, "size": turn.terms["size"] * torch.nan})

    with pytest.raises(DivergedError, match="step 0 of the fit phase: size is NaN"):
        smoke(WithTurns(nan), tmp_path)


def test_a_gradient_that_is_nan_where_the_loss_is_not_is_named(tmp_path):
    def root(turn, net):
        return Turn("fit", {**turn.terms, "root": (net[2].bias * 0).sqrt().sum()})

    with pytest.raises(SmokeError, match=r"^The gradient of net.2.bias is NaN or infinite at step 0"):
        smoke(WithTurns(root), tmp_path)


def test_a_parameter_without_gradient_is_named(tmp_path):
    class Cut(Fit):
        def turns(self, step):
            for turn in super().turns(step):
                error = (self.net[:2](torch.ones(1, 2)).detach() @ self.net[2].weight.T).square().mean()
                yield Turn("fit", {"error": error}, turn.metrics)

    with pytest.raises(
        SmokeError,
        match=r"^net.0.weight, net.0.bias, net.2.bias of the optimizer fit got no gradient in 4 steps",
    ):
        smoke(Cut(network(1, 2, 8, 1)), tmp_path)


def test_parameters_that_ask_for_no_gradient_are_named(tmp_path):
    net = network(1, 2, 8, 1)
    net[0].weight.requires_grad_(False)
    with pytest.raises(SmokeError, match=r"^net.0.weight of the optimizer fit got no gradient"):
        smoke(Fit(net), tmp_path)


def test_gradients_of_nothing_but_zero_are_named(tmp_path):
    net = network(1, 2, 8, 1)
    net[0].register_forward_hook(lambda module, inputs, output: output * 0)
    with pytest.raises(
        SmokeError, match=r"^net.0.weight, net.0.bias, net.2.weight .* got only gradients of 0"
    ):
        smoke(Fit(net), tmp_path)


def test_parameters_whose_rate_is_zero_are_named(tmp_path):
    class Still(Fit):
        def optimized(self):
            first, last = self.net[0], self.net[2]
            groups = [
                ParamGroup(list(last.parameters())),
                ParamGroup(list(first.parameters()), rate_factor=0.0),
            ]
            return [Optimized("fit", groups)]

    with pytest.raises(SmokeError, match=r"^net.0.weight, net.0.bias of the optimizer fit did not change"):
        smoke(Still(network(1, 2, 8, 1)), tmp_path)


def test_long_lists_of_parameters_are_cut(tmp_path):
    net = network(1, 2, *[4] * 9, 1)
    with pytest.raises(SmokeError, match=r"net.2.weight and 17 more of the optimizer fit did not change"):
        smoke(Fit(net), tmp_path, rate=0.0)


@pytest.mark.parametrize("only", [0, 3])
def test_one_step_in_which_a_parameter_has_a_gradient_is_enough(only, tmp_path):
    class Once(Fit):
        def turns(self, step):
            first = sum(parameter.sum() for parameter in self.net[0].parameters())
            detached = self.net[2](torch.ones(1, 8)).square().mean()
            yield Turn("fit", {"error": detached + (step.index == only) * first})

    smoke(Once(network(1, 2, 8, 1)), tmp_path)


def test_weight_decay_alone_is_not_learning(tmp_path):
    class Decayed(Fit):
        def optimized(self):
            return [Optimized("fit", [ParamGroup(list(self.net.parameters()), weight_decay=0.1)], "adamw")]

    net = network(1, 2, 8, 1)
    net[0].register_forward_hook(lambda module, inputs, output: output * 0)
    with pytest.raises(
        SmokeError, match=r"^net.0.weight, net.0.bias, net.2.weight .* got only gradients of 0"
    ):
        smoke(Decayed(net), tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda turn, net: Turn("fit", {}), "has no loss"),
        (lambda turn, net: Turn("fit", {"error": torch.ones(())}), "does not depend on any parameter"),
        (lambda turn, net: Turn("fit", {"a": turn.loss, "b": net[2].bias}), r"loss b has the shape \(1,\)"),
    ],
)
def test_losses_that_cannot_be_descended_are_named(change, said, tmp_path):
    with pytest.raises(SmokeError, match=said):
        smoke(WithTurns(change), tmp_path)


def test_a_fault_is_one_sentence_with_the_line_that_raised_it():
    try:
        nn.Linear(2, 3)(torch.ones(1, 5))
    except RuntimeError as error:
        said = fault_of(error, "Building the model")
    assert said.startswith("Building the model fails: ") and "(1x5 and 2x3)" in said
    assert said.count("\n") == 0 and "(test_learning_smoke.py, line " in said and said.endswith(").")
    assert fault_of(KeyError(), "It") == "It fails: KeyError."
