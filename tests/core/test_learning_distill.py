"""Teachers are asked once, never half, and students learn from what they said."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from neuron_core.learning.distill import (
    FILE,
    DistillError,
    DistillWeights,
    Teaching,
    cached,
    digest_of,
    distill_terms,
    distilled,
    divergence,
)
from neuron_core.learning.objective import Optimized, ParamGroup, Predicted, Stateless, Step, Turn
from neuron_core.learning.plan import Phase
from tests.core import learning_laws as laws
from tests.core.toy_objectives import CPU, Fit, Setup, network

COUNT = 10
POINTS = torch.linspace(-1, 1, 2 * COUNT).reshape(COUNT, 2)
STEP = Step(0, 0.0, 0, "fit")
ALL = DistillWeights(outputs={"value": 1.0}, features={"hidden": 0.5}, logits={"value": 0.1})


class Killed(BaseException):
    """The process ends here, as by SIGKILL."""


class Answering(nn.Module):
    """A network that shows what it thinks on its way."""

    def __init__(self, seed=1):
        super().__init__()
        self.net = network(seed, 2, 8, 3)

    def forward(self, points):
        hidden = self.net[:2](points)
        return {"hidden": hidden, "value": self.net[2](hidden)}


class Student(Stateless):
    """Learns zeros from the truth."""

    def __init__(self, net, predicts=True, batch=4):
        self.net = net
        self.predicts = predicts
        self.batch = batch

    def optimized(self):
        return [Optimized("fit", [ParamGroup(list(self.net.parameters()))])]

    def turns(self, step):
        items = step.share(torch.randint(COUNT, (self.batch,), generator=step.generator("rows", CPU)))
        answers = self.net(POINTS[items])
        error = answers["value"].square().mean()
        yield Turn("fit", {"error": error}, predicted=Predicted(items, answers) if self.predicts else None)


class Teacher:
    """Counts how often it is asked."""

    def __init__(self, seed=1, rows=4, inputs="points", fails_at=None, count=COUNT):
        self.net = Answering(seed)
        self.asked = []
        self.fails_at = fails_at
        self.teaching = Teaching(count, inputs, self.teach, ALL, rows)

    def teach(self, items):
        if self.fails_at is not None and int(items[0]) >= self.fails_at:
            raise Killed
        assert not torch.is_grad_enabled()  # whose graph would hold all rows in memory
        self.asked.append(items.tolist())
        return self.net(POINTS[items])

    def cache(self, folder):
        return cached(folder, {"net": self.net}, self.teaching)


def everything(cache):
    return cache.rows(torch.arange(COUNT))


# --- the cache ---


def test_cached_answers_are_those_of_the_teacher_in_any_order(tmp_path):
    teacher = Teacher()
    items = torch.tensor([7, 0, 9, 3, 3])
    found = teacher.cache(tmp_path).rows(items)
    answers = [teacher.net(POINTS[torch.arange(first, min(first + 4, COUNT))]) for first in (0, 4, 8)]
    wanted = {name: torch.cat([one[name] for one in answers])[items] for name in ("hidden", "value")}
    laws.assert_same_bits(found, wanted)
    assert not any(value.requires_grad for value in found.values())


def test_a_teacher_is_asked_once_and_for_few_rows_at_a_time(tmp_path):
    first, second = Teacher(), Teacher()
    before = everything(first.cache(tmp_path))
    laws.assert_same_bits(everything(second.cache(tmp_path)), before)
    assert first.asked == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] and second.asked == []


@pytest.mark.parametrize("changed", [{"seed": 2}, {"inputs": "others"}, {"rows": 3}, {"count": 9}])
def test_another_teacher_or_other_inputs_are_noticed(changed, tmp_path):
    Teacher().cache(tmp_path)
    other = Teacher(**changed)
    cache = other.cache(tmp_path)
    assert sum(map(len, other.asked)) == other.teaching.count
    fresh = Teacher(**changed).cache(tmp_path / "fresh")
    rows = torch.arange(other.teaching.count)
    laws.assert_same_bits(cache.rows(rows), fresh.rows(rows))
    assert len(list(tmp_path.glob("answers-*"))) == len(list((tmp_path / "fresh").glob("answers-*")))


@pytest.mark.parametrize("fails_at", [0, 4, 8])
def test_what_was_cut_off_is_completed_and_nothing_else_is_asked_again(fails_at, tmp_path):
    with pytest.raises(Killed):
        Teacher(fails_at=fails_at).cache(tmp_path)
    (tmp_path / f".{FILE.format(fails_at // 4)}.half.safetensors").write_bytes(b"half a file")
    teacher = Teacher()
    found = everything(teacher.cache(tmp_path))
    assert teacher.asked[0][0] == fails_at
    laws.assert_same_bits(found, everything(Teacher().cache(tmp_path / "whole")))


def test_what_another_teacher_left_unfinished_is_not_used(tmp_path):
    with pytest.raises(Killed):
        Teacher(seed=2, fails_at=8).cache(tmp_path)
    laws.assert_same_bits(everything(Teacher().cache(tmp_path)), everything(Teacher().cache(tmp_path / "b")))


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damaged_answers_are_named(damage, tmp_path):
    path = tmp_path / FILE.format(1)
    Teacher().cache(tmp_path)
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-3])
    cache = Teacher().cache(tmp_path)
    assert len(cache.rows(torch.tensor([0]))) == 2
    with pytest.raises(DistillError, match="answers-00001.safetensors is missing or damaged"):
        cache.rows(torch.tensor([5]))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda items: {"value": torch.ones(1, 2)}, r"answers value with \[1, 2\] for 4 rows"),
        (lambda items: {"value": torch.full((len(items),), torch.nan)}, "answer value is NaN or infinite"),
    ],
)
def test_answers_that_cannot_be_learned_from_are_refused(answer, said, tmp_path):
    teacher = Teacher()
    with pytest.raises(DistillError, match=said):
        cached(tmp_path, {"net": teacher.net}, replace(teacher.teaching, teach=answer))


def test_the_digest_sees_every_value_name_shape_and_type():
    net = nn.Linear(2, 3)
    digests = {digest_of({"net": net}), digest_of({"other": net})}
    with torch.no_grad():
        net.bias[2] += 1e-6
    digests |= {digest_of({"net": net}), digest_of({"net": net.double()})}
    net.weight = nn.Parameter(net.weight.reshape(2, 3))
    assert len({*digests, digest_of({"net": net})}) == 5


# --- the terms ---


def test_a_student_that_equals_its_teacher_has_no_distillation_loss_and_no_gradient(tmp_path):
    teacher = Teacher()
    student = Student(Answering())
    cache = cached(tmp_path, {"net": teacher.net}, replace(teacher.teaching, rows=1))

    class Single(Student):  # the same batch as the teacher's, so that all bits are equal
        def turns(self, step):
            items = torch.tensor([3])
            yield Turn("fit", {}, predicted=Predicted(items, self.net(POINTS[items])))

    (turn,) = distilled(Single(student.net), cache, ALL).turns(STEP)
    assert set(turn.terms) == {"teacher.outputs.value", "teacher.features.hidden", "teacher.logits.value"}
    turn.loss.backward()
    assert all(float(term.detach()) == 0 for term in turn.terms.values())
    assert all(float(parameter.grad.abs().max()) < 1e-7 for parameter in student.net.parameters())


def test_the_gradient_reaches_the_student_alone(tmp_path):
    teacher, student = Teacher(), Answering(5)
    (turn,) = distilled(Student(student), teacher.cache(tmp_path), ALL).turns(STEP)
    turn.loss.backward()
    assert all(parameter.grad.any() for parameter in student.parameters())
    assert all(parameter.grad is None for parameter in teacher.net.parameters())


def test_every_weighted_term_moves_the_student(tmp_path):
    cache, net = Teacher().cache(tmp_path), Answering(5)
    for weights in (
        DistillWeights(outputs={"value": 1.0}),
        DistillWeights(features={"hidden": 1.0}),
        DistillWeights(logits={"value": 1.0}),
    ):
        objective = distilled(Student(net), cache, weights)
        assert [laws.silent_terms(objective, turn) for turn in objective.turns(STEP)] == [[]]


def pair(seed=0, *shape):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape or (4, 3), generator=random), torch.randn(shape or (4, 3), generator=random)


def terms_of(own, other, **weights):
    predicted = Predicted(torch.arange(len(own)), {"value": own})
    return distill_terms(predicted, {"value": other}, DistillWeights(**weights))


def test_outputs_differ_by_their_mean_distance_and_features_by_its_square():
    own, other = pair()
    outputs = terms_of(own, other, outputs={"value": 2.0})["teacher.outputs.value"]
    features = terms_of(own, other, features={"value": 3.0})["teacher.features.value"]
    torch.testing.assert_close(outputs, 2 * (own - other).abs().mean())
    torch.testing.assert_close(features, 3 * ((own - other) ** 2).mean())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_divergence_is_that_of_its_definition(temperature):
    own, other = pair(1, 2, 3, 4)
    p, q = F.softmax(other / temperature, 1), F.softmax(own / temperature, 1)
    wanted = temperature**2 * sum(
        (p[b, c, i] * (p[b, c, i] / q[b, c, i]).log()) for b in range(2) for c in range(3) for i in range(4)
    )
    torch.testing.assert_close(divergence(own, other, temperature), wanted / 8)


@given(st.integers(0, 10_000), st.floats(0.5, 8))
def test_the_divergence_is_never_negative_and_blind_to_an_offset(seed, temperature):
    own, other = pair(seed)
    found = divergence(own, other, temperature)
    assert float(found) >= -1e-6
    torch.testing.assert_close(divergence(own + 3, other - 2, temperature), found, atol=1e-5, rtol=1e-4)


def test_hot_divergences_are_squared_differences():
    # For large temperatures: half the mean square of centered differences, over 3 classes.
    own, other = pair(2)
    apart = (own - other) - (own - other).mean(1, keepdim=True)
    found = divergence(own.double(), other.double(), 1e3)
    torch.testing.assert_close(found, (apart.double() ** 2).mean(1).mean() / 2, rtol=2e-3, atol=0)


def test_crops_are_compared_with_crops():
    whole, _ = pair(3, 2, 3, 6, 6)
    predicted = Predicted(
        torch.tensor([0, 1]), {"value": whole[..., 2:4, 1:3]}, lambda rows: rows[..., 2:4, 1:3]
    )
    terms = distill_terms(predicted, {"value": whole}, DistillWeights(outputs={"value": 1.0}))
    assert float(terms["teacher.outputs.value"]) == 0


def test_the_truth_counts_as_much_as_its_weight_says(tmp_path):
    cache = Teacher().cache(tmp_path)

    def terms(own):
        weights = replace(ALL, own=own)
        (turn,) = distilled(Student(Answering(5)), cache, weights).turns(STEP)
        return {name: float(term.detach()) for name, term in turn.terms.items()}

    whole = terms(1.0)
    assert terms(0.25) == {**whole, "error": whole["error"] / 4}
    assert terms(0.0) == {name: value for name, value in whole.items() if name != "error"}


def test_turns_that_predict_nothing_are_as_they_were(tmp_path):
    cache = Teacher().cache(tmp_path)
    (plain,) = Student(Answering(5), predicts=False).turns(STEP)
    (turn,) = distilled(Student(Answering(5), predicts=False), cache, ALL).turns(STEP)
    assert set(turn.terms) == {"error"} and torch.equal(turn.loss, plain.loss)


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [
        ({}, {"value": torch.ones(1)}, "The student does not answer value; it answers nothing."),
        ({"value": torch.ones(1)}, {"a": torch.ones(1)}, "The teacher does not answer value; it answers a."),
        (
            {"value": torch.ones(1, 2)},
            {"value": torch.ones(1, 3)},
            r"The student answers value with the shape \[1, 2\], the teacher with \[1, 3\].",
        ),
    ],
)
def test_a_teacher_and_a_student_that_do_not_fit_are_named(own, other, said):
    predicted = Predicted(torch.tensor([0]), own)
    with pytest.raises(DistillError, match=said):
        distill_terms(predicted, other, DistillWeights(outputs={"value": 1.0}))


# --- in the loop ---


def taught(folder, steps=5, weights=ALL):
    def make():
        net = Answering(5)
        cache = Teacher().cache(folder)
        objective = lambda: distilled(Student(net), cache, weights)  # noqa: E731
        return Setup({"net": net}, [Phase("fit", steps, 1e-2)], {"fit": objective})

    return make


def test_a_student_resumes_exactly(tmp_path):
    laws.resumes_exactly(taught(tmp_path / "teacher"), tmp_path)


def test_a_student_is_trained_by_two_processes_as_by_one(tmp_path):
    laws.shares_add_up(taught(tmp_path / "teacher"))


def test_a_student_comes_to_say_what_its_teacher_says(tmp_path):
    only = DistillWeights(own=0.0, outputs={"value": 1.0})
    setup = taught(tmp_path / "teacher", 80, only)()
    laws.losses_fall(setup, tmp_path / "run", {"fit": "teacher.outputs.value"})


def test_the_state_of_a_student_is_kept(tmp_path):
    class Kept(Fit):
        value = {"a": torch.ones(2)}

        def state(self):
            return self.value

        def load_state(self, state):
            self.value = state

    student = Kept(network(1, 2, 8, 1))
    objective = distilled(student, Teacher().cache(tmp_path), ALL)
    assert objective.state() is student.value
    objective.load_state({})
    assert student.value == {}
