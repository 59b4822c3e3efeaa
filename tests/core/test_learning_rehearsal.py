"""A smoke run notices a loss that cannot fall and state that a checkpoint does not hold, and names them."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from neuron_core.learning.distributed import Placement
from neuron_core.learning.family import Built
from neuron_core.learning.objective import Optimized, ParamGroup, Stateless, Turn
from neuron_core.learning.plan import Phase
from neuron_core.learning.rehearsal import lost_between, rehearse, why_still
from neuron_core.learning.smoke import SmokeError
from tests.core import learning_laws as laws
from tests.core.toy_objectives import CPU, SETUPS, Fit, Rich, network, wanted


def rehearsed(make, phases=None):
    """Two builds of the same run, after the rehearsal."""
    setups = make(), make()
    fresh, trained = (Built(one.modules, one.objectives) for one in setups)
    rehearse(fresh, trained, phases or setups[0].phases, Placement(CPU), 0)
    return setups


def of_objective(kind, seed=1):
    """How to make a run of one phase with this objective on a small network."""

    class Made:
        def __init__(self):
            net = network(seed, 2, 8, 1)
            self.modules = {"net": net}
            self.objectives = {"fit": lambda: kind(net)}
            self.phases = [Phase("fit", 4, 1e-2)]

    return Made


@pytest.mark.parametrize("make", SETUPS.values(), ids=SETUPS)
def test_sound_runs_pass_and_their_trained_modules_stay_as_they_are(make):
    _, trained = rehearsed(make)
    laws.assert_same_bits(laws.bits(trained), laws.bits(make()))


# --- losses that do not fall ---


class Uphill(Fit):
    """Its error has the gradient of its negative."""

    def turns(self, step):
        for turn in super().turns(step):
            error = turn.terms["error"]
            yield Turn("fit", {**turn.terms, "error": 2 * error.detach() - error})


def test_a_loss_that_rises_is_named_with_its_term_and_its_figures():
    said = r"^The loss of the optimizer fit does not fall in 16 steps on one batch of the fit phase: it went "
    with pytest.raises(SmokeError, match=said + r"from 0\.\d+ to \d.*, its term error from 0\.\d+ to \d"):
        rehearsed(of_objective(Uphill))


def test_of_two_optimizers_the_one_whose_loss_rises_is_named():
    class Two(Stateless):
        def __init__(self, net):
            self.net = net

        def optimized(self):
            return [
                Optimized(name, [ParamGroup(list(self.net[layer].parameters()))])
                for name, layer in (("first", 0), ("last", 2))
            ]

        def turns(self, step):
            points = torch.rand(8, 2, generator=step.generator("points", CPU))
            for name, sign in (("first", 1.0), ("last", -1.0)):
                error = (self.net(points) - wanted(points)).square().mean()
                yield Turn(name, {f"of_{name}": sign * error + (1 - sign) * error.detach()})

    with pytest.raises(SmokeError, match=r"loss of the optimizer last does not fall .*: of_last went from"):
        rehearsed(of_objective(Two))


def test_each_optimizer_of_a_game_is_tried_against_an_opponent_that_holds_still():
    class Game(Stateless):
        """One raises what the other lowers: together they would get nowhere."""

        def __init__(self, net):
            self.net = net

        def optimized(self):
            return [
                Optimized(name, [ParamGroup([getattr(self.net[2], name)])]) for name in ("weight", "bias")
            ]

        def turns(self, step):
            points = torch.rand(8, 2, generator=step.generator("points", CPU))
            yield Turn("weight", {"low": (self.net(points) + 10).mean()})
            yield Turn("bias", {"high": (10 - self.net(points)).mean()})

    rehearsed(of_objective(Game))


@pytest.mark.parametrize(
    ("first", "last", "falls"),
    [(1.0, 0.998, True), (1.0, 0.9995, False), (1.0, 1.2, False), (-1.0, -1.1, True), (-1.0, -0.9995, False)],
)
def test_a_loss_falls_if_it_loses_a_thousandth_of_its_size_whatever_its_sign(first, last, falls):
    assert (why_still([{"a": first}, {"a": 9.0}, {"a": last}]) == "") is falls


def test_the_term_that_rose_most_is_named():
    said = why_still([{"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 0.5, "b": 3.0, "c": 3.1}])
    assert said == "it went from 6 to 6.6, its term b from 2 to 3"


# --- state that is missing ---


class WithGenerator(Fit):
    """Draws from a generator of its own, which no checkpoint holds."""

    def __init__(self, net):
        super().__init__(net)
        self.chance = torch.Generator().manual_seed(3)

    def turns(self, step):
        points = torch.rand(8, 2, generator=self.chance)
        yield Turn("fit", {"error": (self.net(points) - wanted(points)).square().mean()})


class WithMomentum(Fit):
    """Makes the update itself, with a moment; `keeps` it in its state or not."""

    keeps = False

    def __init__(self, net):
        super().__init__(net)
        self.moments = [torch.zeros_like(one) for one in net.parameters()]

    def optimized(self):
        return ()

    def turns(self, step):
        (turn,) = super().turns(step)
        parameters = list(self.net.parameters())
        gradients = torch.autograd.grad(turn.loss, parameters)
        yield Turn("", {name: term.detach() for name, term in turn.terms.items()})
        with torch.no_grad():
            for moment, parameter, gradient in zip(self.moments, parameters, gradients, strict=True):
                parameter -= 0.05 * moment.mul_(0.9).add_(gradient)

    def state(self):
        return {f"moment.{index}": one for index, one in enumerate(self.moments) if self.keeps}

    def load_state(self, state):
        for index, moment in enumerate(self.moments):
            if self.keeps:
                moment.copy_(state[f"moment.{index}"])


class WithOptimizer(WithMomentum):
    """Updates with an optimizer of its own."""

    def __init__(self, net):
        super().__init__(net)
        self.adam = torch.optim.Adam(net.parameters(), 1e-2)

    def turns(self, step):
        (turn,) = Fit.turns(self, step)
        self.adam.zero_grad()
        turn.loss.backward()
        yield Turn("", {name: term.detach() for name, term in turn.terms.items()})
        self.adam.step()


def test_a_generator_that_is_not_restored_is_named_with_the_loss_that_it_changes():
    with pytest.raises(
        SmokeError,
        match=r"^A resumed run does not repeat step 10 of the fit phase: error is 0\.\d+ instead of 0\.\d+\. "
        r"WithGenerator.chance was not restored and belongs in the state\(\) of the objective\.$",
    ):
        rehearsed(of_objective(WithGenerator))


@pytest.mark.parametrize(("kind", "name"), [(WithMomentum, "moments"), (WithOptimizer, "adam")])
def test_moments_that_are_not_restored_are_named_with_the_weights_that_they_change(kind, name):
    with pytest.raises(
        SmokeError,
        match=rf"step 10 .* it leaves other values of module.net.0.weight.*\. {kind.__name__}.{name} was",
    ):
        rehearsed(of_objective(kind))


def test_with_its_moments_in_its_state_the_same_objective_passes(monkeypatch):
    monkeypatch.setattr(WithMomentum, "keeps", True)
    rehearsed(of_objective(WithMomentum))


def test_state_that_nobody_can_see_is_noticed_all_the_same():
    made = []

    def hidden(net):
        made.append(len(made))

        class Hidden(Fit):
            def turns(self, step, own=made[-1]):
                for turn in super().turns(step):
                    yield Turn("fit", {**turn.terms, "own": turn.terms["size"] * (1 + own)})

        return Hidden(net)

    with pytest.raises(SmokeError, match=r"own is .*Something that its steps depend on is missing from"):
        rehearsed(of_objective(hidden))


def test_a_state_that_cannot_be_put_back_is_named():
    class Forgets(Rich):
        def state(self):
            return {"scale": self.scale.detach()}

    with pytest.raises(SmokeError, match=r"^The fit phase cannot be resumed: .*'count'"):
        rehearsed(of_objective(Forgets))


class Kept(Fit):
    """Attributes of every kind that is compared."""

    def __init__(self, seed):
        super().__init__(nn.Linear(2, 2))
        torch_chance = torch.Generator().manual_seed(seed)
        self.torch = torch_chance
        self.numpy = np.random.default_rng(seed)
        self.python = random.Random(seed)
        self.tensor = torch.full((2, 2), float(seed), dtype=torch.bfloat16)
        self.array = np.arange(3) + seed
        self.count = seed
        self.nested = {"a": [torch.tensor(seed)]}
        self.other = object()


def test_what_an_objective_keeps_is_compared_by_value_and_named_if_it_differs():
    assert lost_between(Kept(1), Kept(1)) == []
    names = ("torch", "numpy", "python", "tensor", "array", "count", "nested")
    assert lost_between(Kept(1), Kept(2)) == [f"Kept.{name}" for name in names]
