"""A moving average of weights while they are trained (exponential, EMA)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """After n updates with weights w_k: decay**n w_0 + (1 - decay) sum decay**(n - k) w_k.

    w_0 are the weights that it was made with.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.parameters = dict(parameters)
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """One step further, with the weights as they are now."""
        for name, value in self.values.items():
            value.lerp_(self.parameters[name], 1.0 - self.decay)

    @torch.no_grad()
    def load(self, values: Mapping[str, Tensor]) -> None:
        """Put back the averages themselves."""
        for name, value in self.values.items():
            value.copy_(values[name])

    @torch.no_grad()
    def keep(self) -> None:
        """Make the averages the weights."""
        for name, value in self.values.items():
            self.parameters[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averages are the weights inside the block."""
        raw = {name: value.detach().clone() for name, value in self.parameters.items()}
        self.keep()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in raw.items():
                    self.parameters[name].copy_(value)
