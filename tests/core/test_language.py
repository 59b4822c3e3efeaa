"""One spelling, and none of the turns of phrase that a reader stumbles over."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = {".py", ".md", ".h", ".toml", ".css", ".html", ".usda"}
# Words of the material grammar are data: encoders and fields were trained with them.
GRAMMAR = (
    "materials",
    "prompts",
    "prompt_encoder",
    "studies",
    "test_materials",
    "test_prompts",
    "test_field",
    "test_look",
)
BRITISH = re.compile(
    r"colour|centre|metre(?!l)|neighbour|behaviour|artefact|modelling|labelled"
    r"|(normal|optim|raster|quant|voxel|summar|vector|oxid|recogn|initial|random|visual|organ|minim|maxim"
    r"|general|special|synchron|serial|parametr|discret|regular|equal)is(e|ed|es|er|ers|ing|ation)\b",
    re.IGNORECASE,
)
GREY = re.compile(r"\bgrey", re.IGNORECASE)
RIDDLES = re.compile(r"(?<!here )\bis no (?!longer|more\b|other|one\b|way)\w+|\bthat (is|are) none\b(?! of)")
# Keys of Houdini's dialogs, and words that people type in either spelling.
SPELLED_ON_PURPOSE = re.compile(r"base_colour|[\"']colour[\"']|test_language|oxidised|sand coloured")


def texts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not listed:
        pytest.skip("the texts of a checkout are listed by git")
    return [ROOT / name for name in listed if Path(name).suffix in TEXT and "CHANGELOG" not in name]


def found(pattern: re.Pattern[str], *but: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in texts()
        if not any(word in path.relative_to(ROOT).as_posix() for word in (*but, "test_language"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(SPELLED_ON_PURPOSE.sub("", line))
    ]


def test_the_spelling_is_american() -> None:
    assert found(BRITISH, "prompts/weights") == []


def test_gray_is_gray_outside_the_grammar() -> None:
    assert found(GREY, *GRAMMAR) == []


def test_what_something_is_not_is_said_plainly() -> None:
    """ "X is not a camera", never "X is no camera"; an invalid name, never a name that is none."""
    assert found(RIDDLES) == []
