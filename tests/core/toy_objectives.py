"""Tiny things to train, for the laws of the learning core: a fit, a GAN, one with everything."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neuron_core.learning.objective import Optimized, ParamGroup, Stateless, Step, Turn
from neuron_core.learning.plan import Keep, Phase, WarmCosine

CPU = torch.device("cpu")


@dataclass
class Setup:
    """Everything that a run trains, fresh."""

    modules: Mapping[str, nn.Module]
    phases: list[Phase]
    objectives: Mapping[str, Callable[[], object]]
    validate: Callable[[object], Mapping[str, float]] = field(default=lambda position: {})


def network(seed: int, *widths: int) -> nn.Sequential:
    """Linear layers with tanh between."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(fan_in, fan_out), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


class Fit(Stateless):
    """A network that learns a function of the plane from random points."""

    def __init__(self, net: nn.Module, batch: int = 8, clip: float | None = None) -> None:
        self.net = net
        self.batch = batch
        self.clip = clip

    def optimized(self) -> list[Optimized]:
        return [Optimized("fit", [ParamGroup(list(self.net.parameters()))], clip_norm=self.clip)]

    def turns(self, step: Step) -> Iterator[Turn]:
        random = step.generator("points", CPU)
        points = step.share(torch.rand(self.batch, 2, generator=random))
        values = self.net(points)
        error = F.mse_loss(values, wanted(points))
        yield Turn("fit", {"error": error, "size": 1e-3 * values.square().mean()}, {"loss": error.detach()})


def wanted(points: Tensor) -> Tensor:
    """What the network should say."""
    return torch.sin(3 * points[:, :1]) * points[:, 1:]


class Rich:
    """Two rates, gradients of two halves added up, a parameter and a count of its own."""

    def __init__(self, net: nn.Module, batch: int = 8) -> None:
        self.net = net
        self.batch = batch
        self.scale = nn.Parameter(torch.ones(1))
        self.count = torch.zeros((), dtype=torch.long)

    def optimized(self) -> list[Optimized]:
        groups = [
            ParamGroup(list(self.net.parameters()), weight_decay=0.01),
            ParamGroup([self.scale], rate_factor=0.1),
        ]
        return [Optimized("all", groups, "adamw")]

    def turns(self, step: Step) -> Iterator[Turn]:
        self.count += 1
        points = step.share(torch.rand(self.batch, 2, generator=step.generator("points", CPU)))
        for index, half in enumerate(points.chunk(2)):
            dropped = F.dropout(self.net(half) * self.scale, 0.1)
            error = F.mse_loss(dropped, wanted(half)) / 2
            yield Turn("all", {"error": error}, {"loss": error.detach()}, update=index == 1)

    def state(self) -> Mapping[str, Tensor]:
        return {"scale": self.scale.detach(), "count": self.count}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            self.scale.copy_(state["scale"])
        self.count.copy_(state["count"])


class Gan(Stateless):
    """A critic with a gradient penalty on real points (R1), and a generator: two optimizers in turn."""

    def __init__(self, generator: nn.Module, critic: nn.Module, batch: int = 8) -> None:
        self.generator = generator
        self.critic = critic
        self.batch = batch

    def optimized(self) -> list[Optimized]:
        return [
            Optimized("critic", [ParamGroup(list(self.critic.parameters()))], betas=(0.0, 0.99)),
            Optimized("generator", [ParamGroup(list(self.generator.parameters()))], "rmsprop", clip_norm=0.5),
        ]

    def turns(self, step: Step) -> Iterator[Turn]:
        random = step.generator("points", CPU)
        real = step.share(torch.rand(self.batch, 2, generator=random)).requires_grad_()
        noise = step.share(torch.randn(self.batch, 2, generator=random))
        scores = self.critic(real)
        (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
        fooled = F.softplus(self.critic(self.generator(noise).detach())).mean()
        terms = {"real": F.softplus(-scores).mean(), "fake": fooled, "r1": slope.square().sum(-1).mean()}
        yield Turn("critic", terms, {"critic": fooled.detach()})
        loss = F.softplus(-self.critic(self.generator(noise))).mean()
        yield Turn("generator", {"fool": loss}, {"generator": loss.detach()})


def fit(steps: int = 5, **changes: object) -> Setup:
    """One network, one phase."""
    net = network(1, 2, 8, 1)
    phase = Phase("fit", steps, 1e-2, schedule=WarmCosine(3), **changes)  # type: ignore[arg-type]
    return Setup({"net": net}, [phase], {"fit": lambda: Fit(net)})


def two_phases(steps: int = 5) -> Setup:
    """A fit, then the rich one with averaged weights that are kept."""
    net = network(2, 2, 8, 1)
    phases = [
        Phase("fit", max(1, steps // 2), 1e-2),
        Phase("rich", steps - steps // 2, 1e-2, ema=0.8, keep=Keep(weights="ema")),
    ]
    return Setup({"net": net}, phases, {"fit": lambda: Fit(net), "rich": lambda: Rich(net)})


def gan(steps: int = 5) -> Setup:
    """Two modules, two optimizers."""
    modules = {"generator": network(3, 2, 8, 2), "critic": network(4, 2, 8, 1)}
    return Setup(modules, [Phase("gan", steps, 1e-2)], {"gan": lambda: Gan(**modules)})


def judged(steps: int = 5) -> Setup:
    """The best of a validation after every step is kept; the fourth is the best."""
    setup = fit(steps, validate_every=1, keep=Keep("best", "score"), ema=0.5)
    setup.validate = lambda position: {"score": -abs(position.total - 4.0)}  # type: ignore[attr-defined]
    return setup


SETUPS: dict[str, Callable[[], Setup]] = {"fit": fit, "two_phases": two_phases, "gan": gan, "judged": judged}
