"""Lint, types and tests: python scripts/test.py [--all] [pytest arguments]

All three run, and the exit code is not 0 if one of them failed. Without --all the tests are those that
guard every change; --all adds the slow studies and other programs' readers, as continuous integration runs
them. Test files are shared out among the cores, at most eight; `-n 0` runs them one by one.
"""

import os
import sys
import time

import _environment

MOST_WORKERS = 8  # each holds torch, Warp and Mitsuba: about a gigabyte


def main() -> int:
    """Run all checks and return 0 only if every one passed."""
    python = str(_environment.ensure(("test",)))
    os.chdir(_environment.PROJECT)
    arguments = [word for word in sys.argv[1:] if word != "--all"]
    tier = ["-m", "not gpu"] if "--all" in sys.argv[1:] else []
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    shared_out = ["-n", str(workers), "--dist", "loadfile"]  # a file's fixtures are trained once
    checks = {
        "ruff": [python, "-m", "ruff", "check", "."],
        "mypy": [python, "-m", "mypy"],
        "pytest": [python, "-m", "pytest", *shared_out, *tier, *arguments],
    }
    codes: dict[str, int] = {}
    for name, command in checks.items():
        if name == "pytest" and any(codes.values()):
            print(f"Not clean: {', '.join(check for check, code in codes.items() if code)}", flush=True)
        print(f"== {name}", flush=True)
        started = time.monotonic()
        codes[name] = _environment.run(command)
        if name != "pytest":  # its own closing line stays the last one
            print(f"   {time.monotonic() - started:.0f} s", flush=True)
    return next((code for code in codes.values() if code), 0)


if __name__ == "__main__":
    sys.exit(_environment.guarded(main))
