"""Conditions for promotion. A gate that refuses says why in one sentence, with the figures."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from neuron_core.foundation.errors import FileError
from neuron_core.foundation.wording import counted
from neuron_core.learning.curves import column, plateau_of, spikes_of
from neuron_core.learning.goals import Gate
from neuron_core.learning.outcome import Outcome
from neuron_core.learning.plan import Mode, improves

COMPLETE = ("finished", "patience", "minutes")  # ways for a run to end with weights


class Refusal(NamedTuple):
    """A gate that was not passed."""

    gate: str
    reason: str


def refusal_of(gates: Sequence[Gate], outcome: Outcome) -> Refusal | None:
    """The first gate that an outcome does not pass, or None: it may be promoted."""
    for gate in gates:
        reason = gate.judge(outcome)
        if reason:
            return Refusal(gate.name, reason)
    return None


def finishes() -> Gate:
    """The run ended with weights."""

    def judge(outcome: Outcome) -> str:
        if outcome.stopped in COMPLETE:
            return ""
        return outcome.reason or f"The run at {outcome.folder} {outcome.stopped}."

    return Gate("finishes", judge)


def measures(*metrics: str) -> Gate:
    """These figures are there, and none is NaN. Some, as PSNR, may be infinite."""

    def judge(outcome: Outcome) -> str:
        missing = next(filter(None, (_lacks(outcome, metric) for metric in metrics)), "")
        if missing:
            return missing
        bad = next((name for name, value in outcome.metrics.items() if math.isnan(value)), "")
        return f"{bad} is NaN." if bad else ""

    return Gate("measures", judge)


def reaches(metric: str, threshold: float, mode: Mode = "max") -> Gate:
    """A figure is at least the threshold; at most, for mode "min"."""

    def judge(outcome: Outcome) -> str:
        missing = _lacks(outcome, metric)
        if missing:
            return missing
        value = outcome.metrics[metric]
        if value == threshold or improves(value, threshold, mode):
            return ""
        wanted = "at least" if mode == "max" else "at most"
        return f"{metric} is {value:.4g}; {wanted} {threshold:.4g} is needed."

    return Gate(f"reaches {metric} {threshold:g}", judge)


def beats(metric: str, baseline: str, by: float = 0.0, mode: Mode = "max") -> Gate:
    """A figure is better than that of a baseline in the same measurement, by more than `by`."""

    def judge(outcome: Outcome) -> str:
        missing = _lacks(outcome, metric)
        if missing:
            return missing
        if metric not in outcome.baselines.get(baseline, {}):
            return f"{metric} of the baseline {baseline} was not measured."
        value, other = outcome.metrics[metric], outcome.baselines[baseline][metric]
        if improves(value, other, mode, by):
            return ""
        margin = f" by more than {by:g}" if by else ""
        return f"{metric} is {value:.4g}, not better{margin} than the {other:.4g} of the baseline {baseline}."

    return Gate(f"beats {baseline}", judge)


def near(metric: str, reference: float, gap: float, mode: Mode = "max", of: str = "the teacher") -> Gate:
    """A figure is at most `gap` worse than the reference."""

    def judge(outcome: Outcome) -> str:
        missing = _lacks(outcome, metric)
        if missing:
            return missing
        value = outcome.metrics[metric]
        worse = reference - value if mode == "max" else value - reference
        if worse <= gap:
            return ""
        return f"{metric} is {value:.4g}, {worse:.4g} worse than {of}; at most {gap:g} is allowed."

    return Gate(f"near {of}", judge)


def falls(loss: str = "loss", factor: float = 0.5) -> Gate:
    """A figure of the curve ends at most at `factor` times its beginning."""

    def judge(outcome: Outcome) -> str:
        values = column(outcome.curve, loss)
        if len(values) < 2:
            return f"The metrics have no curve of {loss}."
        if values[-1] <= factor * values[0]:
            return ""
        return f"{loss} went from {values[0]:.4g} to {values[-1]:.4g}; it should fall to {factor:g} of that."

    return Gate(f"{loss} falls", judge)


def settles(metric: str, tolerance: float, spikes: int = 0) -> Gate:
    """A figure of the curve ends on a plateau, with at most so many spikes on its way."""

    def judge(outcome: Outcome) -> str:
        values = column(outcome.curve, metric)
        found = spikes_of(values)
        if len(found) > spikes:
            return f"The curve of {metric} has {counted(len(found), 'spike')}; at most {spikes} may be there."
        if plateau_of(values, tolerance, window=3) is None:
            return f"{metric} still changes by more than {tolerance:g} at the end; train for longer."
        return ""

    return Gate(f"{metric} settles", judge)


def smaller(weights: Path, share: float) -> Gate:
    """The weights take at most `share` of the bytes of those at a path."""

    def judge(outcome: Outcome) -> str:
        if outcome.weights is None:
            return "The run has no weights."
        own, other = _bytes_of(outcome.weights), _bytes_of(weights)
        if own <= share * other:
            return ""
        return f"The weights take {own / other:.2f} of the teacher's bytes; at most {share:g} is allowed."

    return Gate("smaller", judge)


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise FileError(
            f"Cannot read the weights {path}: {error.strerror or error}.",
            "Put them back, or begin again with --overwrite.",
        ) from error


def _lacks(outcome: Outcome, metric: str) -> str:
    return "" if metric in outcome.metrics else f"{metric} was not measured."
