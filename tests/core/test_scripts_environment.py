"""The environment of the scripts, on a project that needs no package."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import _environment
import pytest
from _environment import locking, making, packages, processes, setting_up

SCRIPTS = _environment.PROJECT / "scripts"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a file for every hash, and an environment folder that is not there yet."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[project]\nname = 'tiny'\nversion = '1'\n")
    (folder / "constraints.txt").write_text("")
    monkeypatch.setenv("NEURON_ENV", str(tmp_path / "environment"))
    return folder


@pytest.fixture
def installed(monkeypatch):
    """Record what would be installed, and make environments without pip: quick, no network, no gigabytes."""
    calls: list[tuple[str, ...]] = []

    def make(environment: Path) -> None:
        making.empty(environment)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)

    def runs(environment: Path) -> bool:
        return _environment.python_of(environment).exists()

    def install_packages(environment: Path, extras: Sequence[str], project: Path) -> None:
        calls.append(tuple(extras))

    plenty = shutil.disk_usage(SCRIPTS)._replace(free=10**12)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: plenty)
    monkeypatch.setattr(making, "make", make)
    monkeypatch.setattr(making, "runs", runs)
    monkeypatch.setattr(packages, "install_packages", install_packages)
    return calls


def test_the_second_run_installs_nothing(project, installed):
    first = _environment.ensure(("test",), project)
    assert _environment.ensure(("test",), project) == first
    assert installed == [("test",)]
    assert subprocess.run([first, "-c", "import json"], check=False).returncode == 0


def test_fewer_extras_than_installed_are_enough_and_more_are_added(project, installed):
    _environment.ensure(("test",), project)
    _environment.ensure((), project)
    _environment.ensure(("bench",), project)
    assert installed == [("test",), ("bench", "test")]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed(project, installed, name):
    _environment.ensure((), project)
    (project / name).write_text("# other\n")
    _environment.ensure((), project)
    assert len(installed) == 2


def test_an_interrupted_installation_goes_on_in_the_same_environment(project, installed, monkeypatch):
    record = monkeypatch.setattr

    def interrupted(environment, extras, project):
        (environment / "half-installed").touch()
        raise KeyboardInterrupt

    complete = packages.install_packages
    record(packages, "install_packages", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _environment.ensure((), project)
    assert _environment.installed_extras(_environment.environment_folder(), project) is None
    record(packages, "install_packages", complete)
    python = _environment.ensure((), project)
    assert (python.parents[1] / "half-installed").exists()
    assert installed == [()]


def test_a_half_installed_package_is_installed_again(project, installed):
    python = _environment.ensure((), project)
    libraries = next((python.parents[1]).glob("**/site-packages"))
    for name in ("whole-1.dist-info", "half-1.dist-info"):
        (libraries / name).mkdir()
        (libraries / name / "METADATA").touch()
    (libraries / "whole-1.dist-info" / "INSTALLER").touch()
    setting_up.install(python.parents[1], (), project)
    assert (libraries / "whole-1.dist-info").exists()
    assert not (libraries / "half-1.dist-info").exists()


def test_a_damaged_stamp_counts_as_none(project, installed):
    python = _environment.ensure((), project)
    (python.parents[1] / _environment.STAMP).write_text('{"fingerprint": ')
    assert _environment.installed_extras(python.parents[1], project) is None


def test_an_environment_whose_python_is_gone_is_made_again(project, installed):
    python = _environment.ensure((), project)
    python.unlink()
    _environment.ensure((), project)
    assert python.exists()
    assert len(installed) == 2


def test_a_folder_with_other_files_is_left_alone(project, installed):
    folder = _environment.environment_folder()
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(_environment.EnvironmentProblem, match="NEURON_ENV"):
        _environment.ensure((), project)
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_an_environment_of_an_old_python_is_refused_by_name(project, installed):
    folder = _environment.environment_folder()
    folder.mkdir()
    (folder / "pyvenv.cfg").write_text("version = 3.9.2\n")
    with pytest.raises(_environment.EnvironmentProblem, match=r"3\.9\.2"):
        _environment.ensure((), project)


@pytest.mark.parametrize(
    ("variable", "needed"), [("NEURON_KEPT", 11), ("NEURON_TORCH_INDEX", 4.5), ("PIP_NO_INDEX", 4.5)]
)
def test_too_small_a_disk_is_refused_before_anything_is_made(
    project, installed, monkeypatch, tmp_path, variable, needed
):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # on the disk of the environment
    monkeypatch.delenv("NEURON_TORCH_INDEX", raising=False)
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setenv(variable, "1")
    disk = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk._replace(free=int((needed - 0.1) * 1e9)))
    with pytest.raises(_environment.EnvironmentProblem, match=f"takes about {needed:.1f} GB") as refusal:
        _environment.ensure((), project)
    assert ("whl/cpu needs about 4.5 GB" in str(refusal.value)) == (needed == 11)
    assert installed == [] and not (_environment.environment_folder() / "pyvenv.cfg").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk._replace(free=int((needed + 0.1) * 1e9)))
    _environment.ensure((), project)
    assert installed == [()]


def test_an_old_python_is_told_which_one_is_needed(project, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(_environment.EnvironmentProblem, match=r"Python 3\.11 or newer"):
        _environment.ensure((), project)


def test_of_two_at_once_one_installs_and_the_other_waits(project, installed, monkeypatch):
    complete = packages.install_packages

    def slow(environment, extras, project):
        time.sleep(0.5)
        complete(environment, extras, project)

    monkeypatch.setattr(packages, "install_packages", slow)
    threads = [threading.Thread(target=_environment.ensure, args=((), project)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert installed == [()]


@pytest.mark.skipif(os.name == "nt", reason="ends a process with SIGKILL")
def test_a_killed_installer_does_not_keep_the_lock(tmp_path):
    code = (
        f"import pathlib, sys, time; sys.path.insert(0, {str(SCRIPTS)!r})\n"
        "from _environment import locking\n"
        f"with locking.lock(pathlib.Path({str(tmp_path)!r})):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(3600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with locking.lock(tmp_path):
        pass  # would wait for ever


def test_variables_of_a_host_application_do_not_reach_the_environment(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/host/python")
    monkeypatch.setenv("PYTHONHOME", "/host")
    monkeypatch.setenv("NEURON_KEPT", "yes")
    variables = processes.clean_variables()
    assert "PYTHONPATH" not in variables and "PYTHONHOME" not in variables
    assert variables["NEURON_KEPT"] == "yes"


def test_problems_become_a_message_and_an_exit_code(capfd):
    def fail() -> int:
        raise _environment.EnvironmentProblem("There is no way.")

    assert _environment.guarded(fail) == 2
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == "There is no way.\n"


def test_a_ready_environment_is_found_without_starting_a_process(project, installed, monkeypatch):
    _environment.ensure((), project)
    monkeypatch.setattr(subprocess, "run", None)
    monkeypatch.setattr(subprocess, "call", None)
    _environment.ensure((), project)
    stamp = json.loads((_environment.environment_folder() / _environment.STAMP).read_text())
    assert stamp["extras"] == []
