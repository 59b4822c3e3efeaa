"""The environment on other machines: other systems, small disks, missing parts, broken installations."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from _environment import (
    EnvironmentProblem,
    disk,
    guarded,
    installed_extras,
    locking,
    making,
    packages,
    places,
    processes,
    python_of,
    setting_up,
    stamp,
)

POSIX = pytest.mark.skipif(os.name == "nt", reason="programs that stand in for Python are shell scripts")
WINDOWS = SimpleNamespace(name="nt", environ={})
GB = 10**9


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project and an environment folder, both with blanks and an umlaut in their paths."""
    folder = tmp_path / "größe project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[project]\nname = 'tiny'\nversion = '1'\n")
    (folder / "constraints.txt").write_text("")
    monkeypatch.setenv("NEURON_ENV", str(tmp_path / "an environment"))
    for name in ("NEURON_TORCH_INDEX", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(disk, "require_room", lambda _: None)
    monkeypatch.setattr(setting_up, "require_room", lambda _: None)
    return folder


@pytest.fixture
def environment(project):
    return places.environment_folder()


def program(path: Path, *lines: str) -> Path:
    """A shell script in the place of a Python."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def python_for_venv(path: Path, installs: str) -> Path:
    """A Python whose `-m venv FOLDER` makes an environment in which `pip install` does what is said."""
    return program(
        path,
        f'echo venv >> "{path.parent}/calls"',
        'mkdir -p "$3/bin"',
        'echo "version = 3.11.9" > "$3/pyvenv.cfg"',
        "cat > \"$3/bin/python\" <<'END'",
        "#!/bin/sh",
        'if [ "$3" = --version ]; then exit 0; fi',
        installs,
        "END",
        'chmod +x "$3/bin/python"',
    )


# --- what a machine says of itself ---


def test_the_interpreter_is_where_the_system_puts_it(monkeypatch, tmp_path):
    assert python_of(tmp_path) == tmp_path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    monkeypatch.setattr(places, "os", WINDOWS)
    assert python_of(tmp_path) == tmp_path / "Scripts" / "python.exe"


def test_an_environment_of_windows_is_found_by_its_own_interpreter(project, environment, monkeypatch):
    """The stamp alone is not enough: with the other system's interpreter in it, it has to be made again."""
    for name in ("bin/python", "Scripts/python.exe"):
        (environment / name).parent.mkdir(parents=True, exist_ok=True)
    (environment / "pyvenv.cfg").write_text("version = 3.11.9\n")
    stamp.write_stamp(environment, ("test",), project)
    (environment / "Scripts" / "python.exe").touch()
    assert os.name == "nt" or installed_extras(environment, project) is None
    monkeypatch.setattr(places, "os", WINDOWS)
    assert installed_extras(environment, project) == {"test"}


def test_records_of_half_installed_packages_are_removed_in_both_layouts(tmp_path):
    folders = [tmp_path / "lib/python3.11/site-packages", tmp_path / "Lib/site-packages"]
    for folder in folders:
        for name in ("whole-1.dist-info", "half-1.dist-info", "half"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "whole-1.dist-info" / "INSTALLER").touch()
    packages.forget_half_installed(tmp_path)
    for folder in folders:  # the files of the package itself stay; pip writes over them
        assert {path.name for path in folder.iterdir()} == {"whole-1.dist-info", "half"}


@pytest.mark.parametrize(
    ("platform", "variables", "cuda"),
    [
        ("linux", {}, True),
        ("linux", {"NEURON_TORCH_INDEX": "  ", "PIP_NO_INDEX": ""}, True),
        ("linux", {"NEURON_TORCH_INDEX": "https://index"}, False),
        ("linux", {"PIP_NO_INDEX": "1"}, False),
        ("darwin", {}, False),
        ("win32", {}, False),
    ],
)
def test_room_and_notice_follow_from_the_build_of_torch(
    monkeypatch, project, tmp_path, platform, variables, cuda
):
    """Only the default build for Linux has CUDA; what is asked of the disk and said is that of one build."""
    monkeypatch.undo()
    monkeypatch.setattr(disk, "sys", SimpleNamespace(platform=platform))
    monkeypatch.setattr(disk, "os", SimpleNamespace(environ=variables))
    monkeypatch.setattr(disk.tempfile, "tempdir", str(tmp_path))
    sizes = disk.ROOM_WITH_CUDA if cuda else disk.ROOM
    for free, enough in ((sum(sizes) + 0.01, True), (sum(sizes) - 0.01, False)):
        usage = SimpleNamespace(disk_usage=lambda _, free=free: SimpleNamespace(free=free * GB))
        monkeypatch.setattr(disk, "shutil", usage)
        with contextlib.nullcontext() if enough else pytest.raises(EnvironmentProblem) as caught:
            disk.require_room(tmp_path)
        assert enough or (disk.SMALL_TORCH in str(caught.value)) == cuda
    assert ("CUDA" in disk.size_notice()) == cuda


def test_two_disks_are_asked_for_their_own_part_each(monkeypatch):
    """The environment's disk needs no room for downloads, the other one none for the environment."""
    where = {"env": 1, "tmp": 2}

    class Folder(str):
        def stat(self):
            return SimpleNamespace(st_dev=where[self])

    monkeypatch.setattr(disk, "Path", Folder)
    monkeypatch.setattr(disk, "tempfile", SimpleNamespace(gettempdir=lambda: "tmp"))
    monkeypatch.setattr(disk, "brings_cuda", lambda: True)
    in_env, in_tmp = disk.ROOM_WITH_CUDA
    free = {"env": in_env + 0.1, "tmp": in_tmp + 0.1}
    usage = SimpleNamespace(disk_usage=lambda folder: SimpleNamespace(free=free[folder] * GB))
    monkeypatch.setattr(disk, "shutil", usage)
    disk.require_room(Folder("env"))
    for name, size in (("env", in_env), ("tmp", in_tmp)):
        free[name] -= 0.2
        with pytest.raises(EnvironmentProblem, match=f"^{name} has .* takes about {size:.1f} GB"):
            disk.require_room(Folder("env"))
        free[name] += 0.2
    where["tmp"] = 1  # now both are on one disk, which has too little for the sum
    with pytest.raises(EnvironmentProblem, match=f"takes about {in_env + in_tmp:.1f} GB"):
        disk.require_room(Folder("env"))


# --- parts that are missing ---


@POSIX
def test_a_python_without_venv_is_named_and_the_next_one_starts_afresh(project, environment, monkeypatch):
    """Debian's Python without its venv package leaves a folder with a part of an environment in it."""
    broken = program(
        project / "pythons/broken", 'mkdir -p "$3/bin"; touch "$3/pyvenv.cfg" "$3/left"', "exit 1"
    )
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(EnvironmentProblem, match=r"python\d+\.\d+-venv") as caught:
        setting_up.ensure((), project)
    assert str(environment) in str(caught.value)
    assert installed_extras(environment, project) is None
    good = python_for_venv(project / "pythons" / "good", "exit 0")
    monkeypatch.setattr(sys, "executable", str(good))
    assert setting_up.ensure((), project) == python_of(environment)
    assert installed_extras(environment, project) == frozenset()
    assert not (environment / "left").exists()


@POSIX
def test_without_network_pip_is_blamed_and_the_next_attempt_resumes(project, environment, monkeypatch, capfd):
    """The bare environment is kept, nothing counts as installed, and standard output stays clean."""
    answer = 'echo "Could not connect" ; exit 1'
    monkeypatch.setattr(sys, "executable", str(python_for_venv(project / "pythons" / "python", answer)))
    assert guarded(lambda: setting_up.ensure((), project) and 0) == 2
    shown = capfd.readouterr()
    assert shown.out == "" and "Could not connect" in shown.err
    assert shown.err.splitlines()[-1].startswith("pip could not install")
    assert "run the same command again" in shown.err and str(environment) in shown.err
    assert installed_extras(environment, project) is None
    python_of(environment).write_text("#!/bin/sh\nexit 0\n")  # the network is back
    setting_up.ensure((), project)
    assert installed_extras(environment, project) == frozenset()
    assert (project / "pythons" / "calls").read_text() == "venv\n", "made once"


@POSIX
@pytest.mark.parametrize("damage", ["python", "pip", "configuration"])
def test_a_half_made_environment_is_made_again(project, environment, monkeypatch, damage):
    python = python_for_venv(project / "pythons" / "python", "exit 0")
    monkeypatch.setattr(sys, "executable", str(python))
    setting_up.ensure((), project)
    (environment / "old").touch()
    if damage == "python":
        python_of(environment).unlink()
    elif damage == "pip":
        python_of(environment).write_text("#!/bin/sh\nexit 1\n")
        (environment / stamp.STAMP).unlink()
    else:
        (environment / "pyvenv.cfg").write_text("")
        python_of(environment).unlink()
    setting_up.ensure((), project)
    assert (project / "pythons" / "calls").read_text() == "venv\n" * 2
    assert not (environment / "old").exists() and making.runs(environment)


@POSIX
def test_an_interruption_at_any_step_leaves_no_stamp(project, environment, monkeypatch):
    """The stamp is gone before anything is changed, and written last."""
    python = python_for_venv(project / "pythons" / "python", "exit 0")
    monkeypatch.setattr(sys, "executable", str(python))
    for module, name in (
        (packages, "forget_half_installed"),
        (making, "runs"),
        (packages, "install_packages"),
        (setting_up, "write_stamp"),
    ):
        setting_up.ensure((), project)
        (project / "constraints.txt").write_text(f"# {name}\n")

        def stop(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as broken:
            broken.setattr(module, name, stop)
            assert guarded(lambda: setting_up.ensure((), project) and 0) == 130
        assert not (environment / stamp.STAMP).exists(), name
        (project / "constraints.txt").write_text("")  # the old state of the project is not believed either
        assert installed_extras(environment, project) is None


@POSIX
def test_pip_is_told_everything_in_words_of_their_own(project, environment, monkeypatch):
    """Blanks in paths do not divide words; an index is an addition, not a replacement."""
    python = program(python_of(environment), 'for word in "$@"; do echo "$word"; done > "$0.words"')
    for index in ("", "https://index/cpu"):
        monkeypatch.setenv("NEURON_TORCH_INDEX", index)
        packages.install_packages(environment, ("bench", "test"), project)
        words = Path(f"{python}.words").read_text(encoding="utf-8").splitlines()
        assert words[:3] == ["-m", "pip", "install"] and words[-2:] == ["-e", f"{project}[bench,test]"]
        assert words[words.index("-c") + 1] == str(project / "constraints.txt")
        added = [after for word, after in zip(words, words[1:], strict=False) if word == "--extra-index-url"]
        assert added == [index] * bool(index)
    packages.install_packages(environment, (), project)
    assert Path(f"{python}.words").read_text(encoding="utf-8").splitlines()[-1] == str(project)


@POSIX
def test_pip_sees_no_settings_that_lead_it_elsewhere(project, environment, monkeypatch):
    for name in processes.UNWANTED:
        monkeypatch.setenv(name, "/elsewhere")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    program(python_of(environment), 'env > "$0.env"')
    packages.install_packages(environment, (), project)
    seen = dict(line.split("=", 1) for line in Path(f"{python_of(environment)}.env").read_text().splitlines())
    assert not set(processes.UNWANTED) & set(seen)
    assert (seen["PIP_FIND_LINKS"], seen["PYTHONNOUSERSITE"]) == ("/wheels", "1")


def test_a_file_in_the_place_of_the_environment_is_said_and_left(project, environment):
    environment.write_text("mine")
    with pytest.raises(EnvironmentProblem, match="Cannot write to .*NEURON_ENV"):
        setting_up.ensure((), project)
    assert environment.read_text() == "mine"


@pytest.mark.parametrize("version", [(3, 6, 8), (3, 10, 13), (2, 7, 18)])
def test_an_old_python_touches_nothing(project, environment, monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(sys, "version", ".".join(map(str, version)) + " (main)")
    with pytest.raises(EnvironmentProblem, match=".".join(map(str, version))):
        setting_up.ensure((), project)
    assert not environment.exists()


# --- the stamp ---


def stamped(environment: Path, project: Path) -> Path:
    """An environment that looks whole."""
    python_of(environment).parent.mkdir(parents=True)
    python_of(environment).touch()
    (environment / "pyvenv.cfg").write_text("home = /usr\nversion = 3.11.9\n")
    stamp.write_stamp(environment, ("test", "bench"), project)
    assert installed_extras(environment, project) == {"bench", "test"}
    return environment / stamp.STAMP


def test_no_part_of_a_stamp_counts_as_a_stamp(project, environment):
    path = stamped(environment, project)
    whole = path.read_bytes()
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        assert installed_extras(environment, project) is None, length
    for other in (b"[]", b"null", b"3", b'"text"', b"{}", b"\xff\xfe", whole.replace(b'["', b'5, "a": ["')):
        path.write_bytes(other)
        assert installed_extras(environment, project) is None, other
    path.write_bytes(whole)
    assert installed_extras(environment, project) == {"bench", "test"}


def test_an_environment_belongs_to_one_project_one_python_and_one_set_of_pins(project, environment):
    stamped(environment, project)
    moved = project.rename(project.with_name("moved"))
    assert installed_extras(environment, moved) is None
    moved.rename(project)
    assert installed_extras(environment, project) is not None
    (environment / "pyvenv.cfg").write_text("home = /usr\nversion = 3.12.1\n")
    assert installed_extras(environment, project) is None
    (environment / "pyvenv.cfg").write_text("version_info = 3.11.9\n")  # as virtualenv writes it
    assert installed_extras(environment, project) is not None
    for name in ("pyproject.toml", "constraints.txt"):
        before = (project / name).read_text()
        (project / name).write_text(before + " ")
        assert installed_extras(environment, project) is None
        (project / name).write_text(before)
    assert installed_extras(environment, project) is not None


# --- locks and processes ---


def test_windows_locks_the_first_byte_without_waiting_in_the_system(tmp_path, monkeypatch):
    """And an error of the system there means that another process holds it."""
    held, calls = [True, True, False], []

    def locking_call(descriptor, mode, count):
        calls.append((os.lseek(descriptor, 0, os.SEEK_CUR), mode, count))
        if held.pop(0):
            raise PermissionError("in use")

    msvcrt = SimpleNamespace(locking=locking_call, LK_NBLCK=2)
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    monkeypatch.setattr(locking, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(locking, "time", SimpleNamespace(sleep=lambda seconds: None))
    (tmp_path / locking.LOCK).write_text("what an earlier one left")
    with locking.lock(tmp_path):
        assert calls == [(0, 2, 1)] * 3
    assert (tmp_path / locking.LOCK).read_text() == "what an earlier one left"


def test_the_one_that_waits_says_so_once(tmp_path, monkeypatch, capfd):
    answers = iter([False] * 5 + [True])
    monkeypatch.setattr(locking, "_try_lock", lambda descriptor: next(answers))
    monkeypatch.setattr(locking, "time", SimpleNamespace(sleep=lambda seconds: None))
    with locking.lock(tmp_path):
        assert capfd.readouterr().err.count("waiting for it") == 1
    assert next(answers, None) is None, "asked until it was free, and not once more"


def test_an_interrupted_wait_for_a_program_waits_for_its_end(monkeypatch):
    """Ctrl+C reaches the program too, which ends where nothing is lost; its code is the answer."""
    ends = iter([KeyboardInterrupt, KeyboardInterrupt, 7])

    def wait():
        end = next(ends)
        if end is KeyboardInterrupt:
            raise end
        return end

    monkeypatch.setattr(processes.subprocess, "Popen", lambda *_, **__: SimpleNamespace(wait=wait))
    assert processes.run(["program"]) == 7 and next(ends, None) is None


def test_on_windows_a_program_is_run_and_its_code_returned(monkeypatch):
    code = [sys.executable, "-c", "raise SystemExit(9)"]
    windows = SimpleNamespace(name="nt", environ=os.environ, execve=None)
    monkeypatch.setattr(processes, "os", windows)
    assert processes.replace_by(code) == 9


@POSIX
def test_elsewhere_the_program_takes_the_place_of_the_script():
    """The same process: whoever started the script can stop the program and gets its exit code."""
    code = (
        f"import sys; sys.path.insert(0, {str(places.PROJECT / 'scripts')!r})\n"
        "import os, _environment; print(os.getpid(), flush=True)\n"
        "code = 'import os; print(os.getpid()); raise SystemExit(9)'\n"
        "_environment.replace_by([sys.executable, '-c', code])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    first, second = done.stdout.split()
    assert first == second and done.returncode == 9


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (EnvironmentProblem("No way."), 2, "No way."),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (KeyboardInterrupt(), 130, "resumes"),
    ],
)
def test_every_foreseen_end_is_one_line_and_a_code(capfd, raised, code, said):
    def body() -> int:
        raise raised

    assert guarded(body) == code
    shown = capfd.readouterr()
    assert shown.out == "" and said in shown.err and shown.err.count("\n") == 1


def test_our_own_faults_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0)
    assert guarded(lambda: 5) == 5
