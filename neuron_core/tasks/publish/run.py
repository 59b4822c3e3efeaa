"""`neuron publish`: from a `.neuron` file to a version of a USD asset that never changes."""

from pathlib import Path

from neuron_core.foundation.interrupts import stop_if_requested
from neuron_core.foundation.progress import Reporter
from neuron_core.library.publishing import Submission, publish
from neuron_core.tasks.publish.config import PublishConfig
from neuron_core.usd.published import LibraryError
from neuron_core.voxels.baked import read_baked
from neuron_core.voxels.colors import mean_colors


def run(config: PublishConfig, report: Reporter) -> dict[str, object]:
    """Publish, or say that the latest version is the same. Returns paths and looks."""
    report.progress(0.0, "publish", str(config.asset))
    attached = attachments(config.attach)
    colors = mean_colors(read_baked(config.asset))
    stop_if_requested()
    report.progress(0.3, "publish", "stand-ins and layers")
    submission = Submission(config.asset, config.library, config.name, config.number, attached, colors)
    version, new = publish(submission)
    report.progress(1.0, "publish", version.label)
    entry = config.library / version.name / f"{version.name}.usd"
    verb = "published" if new else "is the same as the latest version"
    return {
        "name": version.name,
        "version": version.label,
        "entry": str(entry),
        "layer": str(config.library / version.layer),
        "file": str(config.library / version.file),
        "preview": str(config.library / version.preview) if version.preview else "",
        "digest": version.digest,
        "looks": [{"slug": look.slug, "prompt": look.prompt} for look in version.looks],
        "representations": list(version.representations),
        "new": new,
        "summary": f"{version.name} {version.label} {verb}: {entry} follows it, "
        f"{config.library / version.layer} stays with it.",
    }


def attachments(texts: tuple[str, ...]) -> dict[str, Path]:
    """USD files by representation, from texts like splat=FILE.usd. Raises LibraryError."""
    found: dict[str, Path] = {}
    for text in texts:
        representation, separator, path = text.partition("=")
        if not (representation and separator and path):
            raise LibraryError(f"{text!r} attaches nothing.", "Write it as splat=FILE.usd.")
        if representation in found:
            raise LibraryError(f"{representation} is attached twice.", "Attach one file for each.")
        found[representation] = Path(path)
    return found
