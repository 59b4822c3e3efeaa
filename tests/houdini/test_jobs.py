"""Laws of jobs that run beside Houdini: how they end, what is heard of them, and who may start one."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.houdini import published_scene
from tests.houdini.published_hou import node_of
from tests.patience import wait_until


@pytest.fixture
def jobs(hou):
    from neuron_houdini.engine import jobs

    return jobs


@pytest.fixture
def work(jobs):
    """A job that does what a function says."""

    def made(what, title="work"):
        class Work(jobs.Background):
            asked = 0

            def _work(self):
                return what(self)

            def _stop(self):
                self.asked += 1

        return Work(title)

    return made


def ended(job):
    job.start()
    job.join()
    return job


class Engine:
    """Processes of the engine that answer at once; `heard` is what was started."""

    def __init__(self, during=lambda words: None, events=()):
        self.heard, self._during, self._events = [], during, events

    def __call__(self, words, python):
        self.heard.append(list(words))
        return SimpleNamespace(wait=self._wait, cancel=lambda: None)

    def _wait(self, progress):
        for event in self._events:
            progress(*event)
        self._during(self.heard[-1])
        return self.heard[-1]


# --- ends ---


def test_a_job_ends_in_one_way_only(jobs, work):
    from neuron_houdini.errors import EngineError

    def refuse(_):
        raise EngineError("input", "No dataset.", "Make one.")

    def lack(_):
        raise FileNotFoundError(2, "No such file", "/gone")

    for what, kind in ((lambda _: "answer", None), (refuse, "input"), (lack, "file")):
        job = ended(work(what))
        assert job.over and (job.result is None) == (kind is not None)
        assert (job.error.kind if job.error else None) == kind
        assert job.fraction == (1.0 if kind is None else 0.0)
        assert job.text == ("done" if kind is None else job.error.message)


def test_a_fault_of_ours_ends_the_job_and_reaches_the_console(jobs, work, monkeypatch):
    """Nothing waits for ever for a job whose code is broken."""
    seen = []
    monkeypatch.setattr(threading, "excepthook", lambda given: seen.append(given.exc_type))
    job = ended(work(lambda _: 1 // 0, "Drawing"))
    assert job.over and job.error.kind == "crash" and "Drawing failed" in job.error.message
    assert seen == [ZeroDivisionError]


def test_the_clock_of_a_job_stops_with_it(jobs, work, monkeypatch):
    now = [10.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now[0])
    go = threading.Event()
    job = work(lambda _: go.wait() and "answer")
    job.start()
    now[0] = 13.0
    assert job.seconds == 3.0
    go.set()
    job.join()
    now[0] = 99.0
    assert job.seconds == 3.0


# --- commands ---


def test_commands_run_in_turn_and_share_the_progress(jobs, monkeypatch):
    """Each has an equal part; the whole never goes back and is 1 only at the end."""
    seen = []
    events = [(0.0, "a", ""), (0.5, "b", "half"), (1.0, "c", "whole")]
    engine = Engine(lambda words: seen.append(job.fraction), events)
    monkeypatch.setattr(jobs.process, "Process", engine)
    job = jobs.Job("two", [["first"], ["second"], ["third"]], Path("python"))
    ended(job)
    assert engine.heard == [["first"], ["second"], ["third"]] and job.result == ["third"]
    assert seen == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert list(job.log) == ["a", "b half", "c whole"] * 3


def test_a_line_that_is_said_again_is_not_logged_again_and_a_log_has_an_end(jobs, monkeypatch):
    events = [(0.1, "same", ""), (0.2, "same", "")] + [(0.3, "n", str(n)) for n in range(jobs.MOST_LINES)]
    monkeypatch.setattr(jobs.process, "Process", Engine(events=events))
    job = ended(jobs.Job("one", [["x"]], Path("python")))
    assert len(job.log) == jobs.MOST_LINES
    assert "same" not in job.log and job.log[-1] == f"n {jobs.MOST_LINES - 1}"
    monkeypatch.setattr(jobs.process, "Process", Engine(events=events[:2]))
    assert list(ended(jobs.Job("one", [["x"]], Path("python"))).log) == ["same"]


def test_after_cancelling_no_other_command_begins(jobs, monkeypatch):
    engine = Engine(lambda words: job.cancel())
    monkeypatch.setattr(jobs.process, "Process", engine)
    job = jobs.Job("two", [["first"], ["second"]], Path("python"))
    ended(job)
    assert engine.heard == [["first"]] and job.stopped
    before = jobs.Job("two", [["first"]], Path("python"))
    before.cancel()
    assert ended(before).stopped and engine.heard == [["first"]], "nor the first one"


# --- the session ---


def test_a_node_has_one_job_and_the_newest_is_last(jobs, work):
    go = threading.Event()
    running = work(lambda _: go.wait() and "answer", "Long")
    jobs.submit(1, running)
    jobs.submit(2, work(lambda _: "answer")).join()
    with pytest.raises(jobs.EngineError, match="Long is still running") as caught:
        jobs.submit(1, work(lambda _: "answer"))
    assert caught.value.kind == "busy" and caught.value.hint
    go.set()
    running.join()
    again = jobs.submit(1, work(lambda _: "answer"))
    again.join()
    assert jobs.all_jobs() == [jobs.of(2), again] and jobs.of(1) is again


def test_only_what_ended_is_forgotten_and_only_what_runs_is_cancelled(jobs, work):
    go = threading.Event()
    running, done = work(lambda _: go.wait() and "answer"), work(lambda _: "answer")
    jobs.submit(1, running)
    jobs.submit(2, done).join()
    jobs.cancel_all()
    assert (running.asked, done.asked) == (1, 0)
    jobs.forget_ended()
    assert jobs.all_jobs() == [running] and jobs.of(2) is None
    go.set()
    running.join()


# --- what a node shows ---


@pytest.fixture
def desk(hou):
    """A Houdini with a window, and the module that follows jobs."""
    scene = published_scene.enter(hou)
    from neuron_houdini.engine import jobs
    from neuron_houdini.nodes import background

    def tick():
        for callback in list(scene.callbacks):
            callback()

    return SimpleNamespace(scene=scene, jobs=jobs, background=background, tick=tick)


def test_the_status_follows_the_job_and_the_end_is_acted_on_once(desk, work):
    node = desk.scene.roots["out"].createNode("neuron::train::1.0")
    go, done = threading.Event(), []
    job = work(lambda _: go.wait() and "answer")
    desk.background.submit(node, job, done.append)
    job.fraction, job.text = 0.25, "learning"
    desk.tick()
    assert node.evalParm("status") == "25% learning" and done == []
    go.set()
    job.join()
    desk.tick()
    assert node.evalParm("status") == "100% done" and done == [node]
    desk.tick()
    assert done == [node] and desk.scene.callbacks == []


@pytest.mark.parametrize(("kind", "shown"), [("input", ["No. Do."]), ("stopped", [])])
def test_an_error_is_shown_unless_somebody_asked_for_it(desk, work, kind, shown):
    from neuron_houdini.errors import EngineError

    def fail(_):
        raise EngineError(kind, "No.", "Do.")

    node, done = desk.scene.roots["out"].createNode("neuron::train::1.0"), []
    desk.background.submit(node, work(fail), done.append)
    desk.jobs.of(node.sessionId()).join()
    desk.tick()
    assert desk.scene.told == shown and done == [] and node.evalParm("status") == "0% No."


def test_a_node_that_was_deleted_is_followed_no_longer(desk, work):
    node = desk.scene.roots["out"].createNode("neuron::train::1.0")
    go, done = threading.Event(), []
    desk.background.submit(node, work(lambda _: go.wait() and "answer"), done.append)
    del desk.scene.by_id[node.sessionId()]
    go.set()
    wait_until(lambda: desk.jobs.of(node.sessionId()).over)
    desk.tick()
    assert done == [] and desk.scene.callbacks == []


def test_a_second_job_of_a_node_is_refused_in_a_dialog_and_the_first_runs_on(desk, work):
    node = desk.scene.roots["out"].createNode("neuron::train::1.0")
    go = threading.Event()
    first, second = work(lambda _: go.wait() and "answer", "First"), work(lambda _: "answer")
    desk.background.submit(node, first)
    desk.background.submit(node, second)
    assert desk.scene.told == ["First is still running. Cancel it, or wait."]
    assert desk.jobs.of(node.sessionId()) is first and len(desk.scene.callbacks) == 1
    desk.background.cancel(node)
    assert (first.asked, second.asked) == (1, 0)
    go.set()
    first.join()


def test_without_a_desktop_nothing_is_followed_and_a_refusal_is_an_error_of_the_node(hou, work):
    from neuron_houdini.nodes import background

    node, go = node_of("train"), threading.Event()
    job = work(lambda _: go.wait() and "answer", "First")
    background.submit(node, job)
    with pytest.raises(hou.NodeError, match="First is still running"):
        background.submit(node, work(lambda _: "answer"))
    background.cancel(node_of("train"))  # which has no job
    assert job.asked == 0
    go.set()
    job.join()
