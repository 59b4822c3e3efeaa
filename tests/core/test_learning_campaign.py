"""Campaigns promote through gates only, and end the same wherever they were killed."""

import json
import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from neuron_core.foundation.errors import ClaimedError, ConfigMismatchError, FileError
from neuron_core.foundation.progress import Silent
from neuron_core.learning import gates
from neuron_core.learning.calibration import Trial, propose
from neuron_core.learning.campaign import CAMPAIGN, Campaign, GateError, run_campaign
from neuron_core.learning.goals import Goals, Range
from neuron_core.learning.ledger import LEDGER, LedgerError, Recipe, ledger_at, read_ledger
from neuron_core.learning.outcome import Outcome
from neuron_core.learning.rungs import rungs_of

SPACE = {"rate": Range(0.1, 10.0, log=True)}
ORDER = ["smoke", "calibration/000", "calibration/001", "calibration/002", "production"]
STUDENTS = ["distillation/taught", "distillation/alone"]


class Killed(BaseException):
    """The process ends here, as by SIGKILL."""


def score_of(recipe: Recipe) -> float:
    """A quadratic in the logarithm of the rate with its best, 30, at 2."""
    rate = recipe.settings.get("rate", 1.0)
    assert isinstance(rate, float)
    found = 30.0 - 20.0 * math.log10(rate / 2.0) ** 2
    return found - 0.5 * recipe.student - 0.2 * (recipe.student and not recipe.teacher)


@dataclass
class Toy:
    """Launches runs that only say their score. Like real ones, they say so again once they finished."""

    trained: list[str] = field(default_factory=list)  # runs, whenever one is really trained
    launched: list[str] = field(default_factory=list)  # runs, also those that say again how they ended
    faults: dict[str, Outcome] = field(default_factory=dict)
    kill: str = ""  # the run that is killed, before it finished
    kill_after: str = ""  # the run after which it is killed, before anybody was told

    def __call__(self, recipe, folder, report):
        self.launched.append(recipe.run)
        if recipe.run in self.faults:
            return self.faults[recipe.run]
        done = folder / "weights.safetensors"
        if not done.is_file():
            if recipe.run == self.kill:
                raise Killed
            self.trained.append(recipe.run)
            folder.mkdir(parents=True, exist_ok=True)
            done.write_bytes(bytes(30 if recipe.student else 100))
        if recipe.run == self.kill_after:
            raise Killed
        baselines = {"nearest": {"psnr": 20.0}}
        return Outcome(folder, {"psnr": score_of(recipe)}, steps=7, weights=done, baselines=baselines)


def campaign_of(folder, *, trials=3, student=True, seed=0, depends_on=None, family="toy", **goals):
    wanted = Goals("psnr", search=SPACE, student_share=0.34, **goals)
    rungs = rungs_of(wanted, {"rate": 1.0}, trials, seed, student)
    return Campaign(folder, family, {"data": "d", "trials": trials, **(depends_on or {})}, rungs)


def run(folder, launch=None, overwrite=False, **changes):
    launch = launch or Toy()
    return run_campaign(campaign_of(folder, **changes), launch, Silent(), overwrite)


def failed(folder, reason="The loss is NaN."):
    return Outcome(folder, {}, stopped="diverged", reason=reason)


# --- order and promotion ---


def test_the_rungs_come_in_order_and_the_best_settings_go_up(tmp_path):
    toy = Toy()
    ledger = run(tmp_path, toy)
    assert toy.trained == ORDER + STUDENTS
    trials = {run: score_of(recipe) for run, recipe in ledger.recipes.items() if recipe.rung == "calibration"}
    best = max(trials, key=trials.__getitem__)
    assert ledger.promoted == {
        "smoke": "smoke",
        "calibration": best,
        "production": "production",
        "distillation": "distillation/taught",
    }
    assert all(
        ledger.recipes[run].settings == ledger.recipes[best].settings for run in ("production", *STUDENTS)
    )
    assert ledger.recipes["smoke"].settings == {} and ledger.recipes["calibration/000"].settings == {
        "rate": 1.0
    }
    assert [ledger.recipes[run].size for run in ORDER] == ["smoke", "trial", "trial", "trial", "full"]
    assert ledger.recipes["distillation/taught"].teacher == "production"
    assert ledger.recipes["distillation/alone"].teacher is None


def test_the_student_that_was_taught_counts_only_if_it_is_the_better_one(tmp_path):
    class Worse(Toy):
        def __call__(self, recipe, folder, report):
            outcome = super().__call__(recipe, folder, report)
            if recipe.teacher:
                outcome.metrics["psnr"] -= 0.3
            return outcome

    assert run(tmp_path, Worse()).promoted["distillation"] == "distillation/alone"


def test_without_trials_and_student_their_rungs_are_skipped(tmp_path):
    toy = Toy()
    ledger = run(tmp_path, toy, trials=0, student=False)
    assert toy.trained == ["smoke", "production"] and ledger.recipes["production"].settings == {}
    assert set(ledger.skipped) == {"calibration", "distillation"}


def test_a_fault_in_smoke_stops_the_campaign_before_anything_is_trained(tmp_path):
    toy = Toy(faults={"smoke": failed(tmp_path, "net.0.weight of the optimizer fit got no gradient.")})
    with pytest.raises(
        GateError, match=r"^The smoke rung stopped the campaign: net.0.weight .* no gradient.$"
    ):
        run(tmp_path, toy)
    assert toy.trained == []


@pytest.mark.parametrize(
    ("goals", "said"),
    [
        ({"gates": (gates.reaches("psnr", 40.0),)}, "production rung .* at least 40 is needed"),
        ({"gates": (gates.beats("psnr", "nearest", 15.0),)}, "production rung .* of the baseline nearest"),
        ({"student_gap": 0.1}, "distillation rung .* worse than the teacher"),
        ({"student_share": 0.2}, "distillation rung .* of the teacher's bytes"),
    ],
)
def test_a_gate_that_refuses_stops_the_campaign_with_its_figures(goals, said, tmp_path):
    wanted = Goals("psnr", search=SPACE, **goals)
    campaign = Campaign(tmp_path, "toy", {}, rungs_of(wanted, {"rate": 1.0}, 2, 0, True))
    with pytest.raises(GateError, match=said):
        run_campaign(campaign, Toy(), Silent())


def test_trials_that_fail_are_results_as_long_as_one_finishes(tmp_path):
    toy = Toy(faults={"calibration/000": failed(tmp_path), "calibration/002": failed(tmp_path)})
    ledger = run(tmp_path, toy)
    assert ledger.promoted["calibration"] == "calibration/001"
    assert ledger.ended["calibration/000"].reason == "The loss is NaN."


def test_every_trial_learns_from_those_before_it(whole):
    recipes = [event.recipe for event in read_ledger(whole / LEDGER) if event.event == "started"]
    settings = [recipe.settings["rate"] for recipe in recipes if recipe.rung == "calibration"]
    found = [Trial({"rate": rate}, score_of(Recipe("a", settings={"rate": rate}))) for rate in settings]
    proposed = [propose(SPACE, {"rate": 1.0}, found[:number], 0)["rate"] for number in range(3)]
    assert settings == proposed and len(set(settings)) == 3


def test_a_run_that_was_started_keeps_its_settings(whole, tmp_path):
    # Another version of the sampler may propose something else.
    lines = (whole / LEDGER).read_text().splitlines(keepends=True)
    last = next(number for number, line in enumerate(lines) if '"run":"calibration/001"' in line)
    started = json.loads(lines[last])
    started["recipe"]["settings"] = {"rate": 5.0}
    (tmp_path / LEDGER).write_text("".join(lines[:last]) + json.dumps(started) + "\n")
    ledger = run(tmp_path)
    assert ledger.recipes["calibration/001"].settings == {"rate": 5.0}
    trained = Recipe("a", settings={"rate": 5.0})
    assert ledger.ended["calibration/001"].metrics == {"psnr": score_of(trained)}


def test_a_trial_whose_figure_is_nan_is_not_the_best(tmp_path):
    nan = Outcome(tmp_path, {"psnr": math.nan})
    ledger = run(tmp_path, Toy(faults={"calibration/000": nan}))
    assert ledger.promoted["calibration"] in ("calibration/001", "calibration/002")


def test_a_figure_that_is_nan_is_never_promoted(tmp_path):
    nan = Outcome(tmp_path / "production", {"psnr": math.nan})
    with pytest.raises(GateError, match="psnr is NaN"):
        run(tmp_path, Toy(faults={"production": nan}))
    with pytest.raises(GateError, match="psnr was not measured"):
        run(tmp_path, Toy(faults={"production": Outcome(tmp_path, {})}))


# --- killed and resumed ---


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a campaign that nobody killed."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder)
    return folder


@pytest.mark.parametrize("moment", ["kill", "kill_after"])
@pytest.mark.parametrize("at", ORDER + STUDENTS)
def test_killed_in_any_run_a_campaign_ends_the_same_and_repeats_nothing(at, moment, whole, tmp_path):
    toy = Toy(**{moment: at})
    with pytest.raises(Killed):
        run(tmp_path, toy)
    again = Toy()
    run(tmp_path, again)
    assert toy.trained + again.trained == ORDER + STUDENTS
    assert (tmp_path / LEDGER).read_bytes() == (whole / LEDGER).read_bytes()
    assert (tmp_path / CAMPAIGN).read_bytes() == (whole / CAMPAIGN).read_bytes()


def test_killed_after_any_byte_of_the_ledger_a_campaign_ends_the_same(whole, tmp_path):
    content = (whole / LEDGER).read_bytes()
    ends = [index + 1 for index, byte in enumerate(content) if byte == 10]
    for cut in sorted({0, *ends[::2], *(end - 1 for end in ends[1::4]), *(end - 30 for end in ends[3::4])}):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / LEDGER).write_bytes(content[:cut])
        ended = [event.run for event in read_ledger(folder / LEDGER) if event.event == "ended"]
        for run_name in ended:
            shutil.copytree(whole / run_name, folder / run_name)
        toy = Toy()
        run(folder, toy)
        assert (folder / LEDGER).read_bytes() == content, f"cut after {cut} bytes"
        assert toy.trained == (ORDER + STUDENTS)[len(ended) :], f"cut after {cut} bytes"


def test_a_finished_campaign_launches_nothing(whole):
    toy, before = Toy(), (whole / LEDGER).read_bytes()
    assert run(whole, toy).promoted["distillation"] == "distillation/taught"
    assert toy.launched == [] and (whole / LEDGER).read_bytes() == before


def test_an_error_of_the_machine_counts_for_nothing(whole, tmp_path):
    class Full(Toy):
        def __call__(self, recipe, folder, report):
            if recipe.run == "calibration/001":
                raise FileError("The disk is full.")
            return super().__call__(recipe, folder, report)

    with pytest.raises(FileError):
        run(tmp_path, Full())
    run(tmp_path)
    assert (tmp_path / LEDGER).read_bytes() == (whole / LEDGER).read_bytes()


# --- refused and tried again ---


def test_a_refused_rung_tries_its_failed_runs_again_and_no_others(tmp_path):
    with pytest.raises(GateError):
        run(tmp_path, Toy(faults={"production": failed(tmp_path)}))
    toy = Toy()
    ledger = run(tmp_path, toy)
    assert toy.trained == ["production", *STUDENTS]
    assert ledger.promoted["production"] == "production" and ledger.refused == {}


def test_what_was_refused_with_weights_is_refused_again_without_training(tmp_path):
    toy = Toy()
    for _ in range(2):
        with pytest.raises(GateError, match="at least 40"):
            run(tmp_path, toy, gates=(gates.reaches("psnr", 40.0),))
    assert toy.launched == ORDER


def test_if_all_trials_failed_all_are_tried_again(tmp_path):
    with pytest.raises(GateError, match="calibration rung stopped the campaign: The loss is NaN."):
        run(tmp_path, Toy(faults={f"calibration/00{number}": failed(tmp_path) for number in range(3)}))
    toy = Toy()
    run(tmp_path, toy)
    assert toy.trained == ORDER[1:] + STUDENTS


def test_a_run_that_is_tried_again_starts_afresh(tmp_path):
    (tmp_path / "production").mkdir()
    checkpoint = tmp_path / "production" / "checkpoint.safetensors"
    checkpoint.write_bytes(b"from before it diverged")
    with pytest.raises(GateError):
        run(tmp_path, Toy(faults={"production": failed(tmp_path)}))
    run(tmp_path)
    assert not checkpoint.exists()


# --- whose campaign it is ---


def test_a_campaign_with_other_settings_is_refused_by_name_and_nothing_is_lost(whole):
    before = (whole / LEDGER).read_bytes()
    with pytest.raises(ConfigMismatchError, match="trials 3 instead of 4"):
        run(whole, trials=4)
    with pytest.raises(ConfigMismatchError, match='family "toy" instead of "other"'):
        run(whole, family="other")
    assert (whole / LEDGER).read_bytes() == before


def test_overwriting_deletes_what_is_ours_and_nothing_else(tmp_path):
    run(tmp_path)
    note = tmp_path / "production" / "note.txt"
    note.write_text("mine")
    toy = Toy()
    run(tmp_path, toy, depends_on={"data": "other"}, overwrite=True)
    assert toy.trained == ORDER + STUDENTS and note.read_text() == "mine"


def test_two_campaigns_at_once_in_one_folder_are_one_too_many(tmp_path):
    class Nested(Toy):
        def __call__(self, recipe, folder, report):
            with pytest.raises(ClaimedError, match="in use by another process"):
                run(tmp_path, trials=0, student=False)
            return super().__call__(recipe, folder, report)

    run(tmp_path, Nested(), trials=0, student=False)


def ledger_of(tmp_path, lines):
    """A folder with this ledger, whose campaign is not finished."""
    with pytest.raises(Killed):
        run(tmp_path, Toy(kill="smoke"))
    path = tmp_path / LEDGER
    found = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines(found)))
    return path


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (lambda found: [{**found[0], "version": 2}], "has version 2; this Neuron reads versions up to 1"),
        (
            lambda found: [{**found[0], "family": "other"}],
            "is of a campaign of the family 'other', not 'toy'",
        ),
        (lambda found: [{**found[0], "fingerprint": "0" * 32}], "other settings or data"),
        (lambda found: found[1:], "line 1: it does not say whose ledger it is"),
        (lambda found: [found[0], found[0]], "line 2: it begins a second time"),
        (lambda found: [*found, {"event": "danced"}], "line 3: .* the event 'danced'"),
        (lambda found: [*found, [1]], "line 3: .* the event None"),
        (lambda found: [*found, {"event": "ended", "run": "smoke"}], "line 3: .* has no field stopped"),
        (
            lambda found: [*found, {"event": "ended", "run": "other", "stopped": "finished", "metrics": {}}],
            "line 3: the run other ended and never started",
        ),
        (
            lambda found: [*found, {"event": "promoted", "rung": "smoke", "run": "smoke"}],
            "line 3: the run smoke was promoted and never ended",
        ),
        (
            lambda found: [*found, {"event": "started", "recipe": {"run": "../../home"}}],
            "line 3: .*recipe.run is",
        ),
    ],
)
def test_a_ledger_that_is_damaged_newer_or_another_s_is_one_clear_error(lines, said, tmp_path):
    path = ledger_of(tmp_path, lines)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=said) as caught:
        run(tmp_path)
    assert path.read_bytes() == before and caught.value.hint and str(path) in caught.value.message


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (lambda found: found[1:], "line 1: it does not say whose ledger it is"),
        (lambda found: [found[0], *found[2:]], "line 2: the run smoke ended and never started"),
    ],
)
def test_whoever_only_reads_a_ledger_learns_the_same_of_its_damage(lines, said, whole, tmp_path):
    found = (whole / LEDGER).read_bytes().splitlines(keepends=True)
    (tmp_path / LEDGER).write_bytes(b"".join(lines(found)))
    with pytest.raises(LedgerError, match=said) as caught:
        ledger_at(tmp_path / LEDGER)
    assert str(tmp_path / LEDGER) in caught.value.message and caught.value.hint


def test_a_line_that_is_not_json_is_named(whole, tmp_path):
    lines = (whole / LEDGER).read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"', b"'", 1)
    (tmp_path / LEDGER).write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match="damaged at line 5: Line 5 is not valid JSON") as caught:
        run(tmp_path)
    assert "delete the lines from 5 on" in caught.value.hint
    (tmp_path / LEDGER).write_bytes(b"".join(lines[:4]))  # what the hint says
    run(tmp_path)
    assert (tmp_path / LEDGER).read_bytes() == (whole / LEDGER).read_bytes()


def test_a_ledger_keeps_figures_that_json_cannot(tmp_path):
    odd = Outcome(
        tmp_path / "smoke",
        {"psnr": math.inf, "low": -math.inf, "ssim": 0.1},
        best={"psnr": 0.1 + 0.2},
        best_step=3,
        seconds=1.5,
        weights=tmp_path / "smoke" / "weights.safetensors",
        baselines={"black": {"psnr": 1.0}},
    )
    ledger = run(tmp_path, Toy(faults={"smoke": odd}))
    assert ledger.ended["smoke"].outcome(tmp_path) == odd
    events = read_ledger(tmp_path / LEDGER)
    assert next(event for event in events if event.event == "ended").outcome(tmp_path) == odd


def test_a_campaign_moves_with_its_folder(whole, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(whole, moved)
    ledger = run(moved)
    assert ledger.ended["production"].outcome(moved).weights == moved / "production" / "weights.safetensors"


def test_progress_only_rises_and_names_the_rung(tmp_path):
    class Listener(Silent):
        seen: list[tuple[float, str]] = []

        def progress(self, fraction, stage, message="", metrics=()):
            self.seen.append((fraction, stage))

    class Reports(Toy):
        def __call__(self, recipe, folder, report):
            report.progress(0.5, "train")
            report.progress(1.0, "train")
            return super().__call__(recipe, folder, report)

    listener = Listener()
    run_campaign(campaign_of(tmp_path), Reports(), listener)
    fractions = [fraction for fraction, _ in listener.seen]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)
    assert [name for _, name in listener.seen if name != "train"] == [
        "smoke",
        *["calibration"] * 3,
        "production",
        *["distillation"] * 2,
    ]


def test_paths_of_runs_stay_inside_the_campaign():
    assert Path(Recipe("calibration/001").run).parts == ("calibration", "001")
    assert Recipe("calibration/001").rung == "calibration" and Recipe("smoke").rung == "smoke"
