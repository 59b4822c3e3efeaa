"""Every check, as continuous integration runs them: python scripts/test.py [pytest arguments]

Lint, types, then the tests; all of them run, and the exit code is not 0 if one of them failed.
"""

import os
import sys
import time

import _environment


def main() -> int:
    """Run all checks and return 0 only if every one passed."""
    python = str(_environment.ensure(("test",)))
    os.chdir(_environment.PROJECT)
    checks = {
        "ruff": [python, "-m", "ruff", "check", "."],
        "mypy": [python, "-m", "mypy"],
        "pytest": [python, "-m", "pytest", *sys.argv[1:]],
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
