"""What is asked of a look: a new one from a prompt, or other edits of one that an asset has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from neuron_core.assets.errors import AssetError
from neuron_core.assets.manifest import Look, Manifest, is_slug, slug_of
from neuron_core.prompts import edits as stacks
from neuron_core.prompts.edits import Edit, Stack
from neuron_core.prompts.encoder import PromptError, check_prompt


@dataclass(frozen=True, slots=True)
class LookRequest:
    """A new look by `prompt`; with `look`, edits of that one: first taken back, switched and moved, then
    the new ones."""

    look: str = ""  # name or prompt of the look to edit; the first one if there is no prompt either
    prompt: str = ""
    name: str = ""  # of a new look
    weight: float = 1.0  # how far an edit by prompt goes
    mix: tuple[tuple[str, float], ...] = ()  # looks or prompts, and the part of the way to them
    slider: tuple[tuple[str, float], ...] = ()  # axes or words of them
    undo: int = 0  # of the last edits
    disable: tuple[int, ...] = ()  # numbers of edits, counted from 1
    enable: tuple[int, ...] = ()
    move: tuple[int, int] | None = None  # from, to


@dataclass(frozen=True, slots=True)
class EditedLook:
    """A look as it should be in the end."""

    look: Look
    stack: Stack
    is_new: bool
    changed: bool

    def result(self) -> dict[str, object]:
        """What a result says of it."""
        edits = [edit.to_json() for edit in self.stack]
        return {"look": self.look.slug, "prompt": self.look.prompt, "edits": edits, "new": self.is_new}


def edited_look(manifest: Manifest, request: LookRequest) -> EditedLook:
    """What a request makes of an asset's looks. Raises AssetError or PromptError."""
    if request.prompt and not request.look:
        return _new_look(manifest, request)
    if not manifest.looks:
        raise AssetError(f"{manifest.name} has no looks.", "Make one with --prompt TEXT.")
    look = manifest.find_look(request.look) if request.look else manifest.looks[0]
    if look is None:
        raise AssetError(f"There is no look {request.look!r}.", f"There are: {manifest.listed_looks()}.")
    before = stacks.read_stack(look.details)
    stack = stacks.taken_back(before, request.undo)
    for number in request.disable:
        stack = stacks.switched(stack, number, False)
    for number in request.enable:
        stack = stacks.switched(stack, number, True)
    if request.move:
        stack = stacks.moved(stack, *request.move)
    stack = stacks.pushed(stack, _new_edits(manifest, request, request.prompt))
    details = stacks.write_stack(look.details, stack)
    return EditedLook(replace(look, details=details), stack, False, stack != before)


def with_look(manifest: Manifest, edited: EditedLook) -> Manifest:
    """The manifest with that look in place of the one of its name, or as another one."""
    if edited.is_new:
        return replace(manifest, looks=(*manifest.looks, edited.look))
    looks = tuple(edited.look if look.slug == edited.look.slug else look for look in manifest.looks)
    return replace(manifest, looks=looks)


def listed(manifest: Manifest) -> tuple[list[dict[str, object]], list[str]]:
    """All looks with their edits, as plain data and as lines for a person."""
    looks: list[dict[str, object]] = []
    rows: list[str] = []
    for look in manifest.looks:
        stack = stacks.read_stack(look.details)
        looks.append({"slug": look.slug, "prompt": look.prompt, "edits": [edit.to_json() for edit in stack]})
        rows.append(f'{look.slug}: "{look.prompt}"')
        rows += [f"  {number}. {edit.described()}" for number, edit in enumerate(stack, 1)]
    return looks, rows


def _new_look(manifest: Manifest, request: LookRequest) -> EditedLook:
    if request.undo or request.disable or request.enable or request.move:
        raise PromptError("A new look has no edits yet.", "Name the look to edit with --look.")
    prompt = check_prompt(request.prompt)
    if request.name and not is_slug(request.name):
        raise AssetError(f"A look cannot be called {request.name!r}.", "Use lower-case words joined by _.")
    stack = tuple(_new_edits(manifest, request, ""))
    for look in manifest.looks:
        if look.prompt.lower() == prompt.lower() and stacks.read_stack(look.details) == stack:
            return EditedLook(look, stack, False, False)
    taken = [look.slug for look in manifest.looks]
    if request.name in taken:
        raise AssetError(
            f"There is a look {request.name!r} already.", "Pick another --name, or --look to edit."
        )
    details = {**stacks.write_stack({}, stack), "asked": True}
    return EditedLook(Look(request.name or slug_of(prompt, taken), prompt, details), stack, True, True)


def _new_edits(manifest: Manifest, request: LookRequest, prompt: str) -> Sequence[Edit]:
    edits = [stacks.understood(prompt, request.weight)] if prompt else []
    prompts = {look.slug: look.prompt for look in manifest.looks}
    edits += [Edit("mix", prompts.get(text, text), amount) for text, amount in request.mix]
    return edits + [
        Edit("axis", stacks.axis_of(text.lower()) or text, amount) for text, amount in request.slider
    ]
