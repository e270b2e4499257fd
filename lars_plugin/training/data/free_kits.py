# SPDX-License-Identifier: GPL-3.0-or-later
"""More drum kits for training, from packages in Debian.

``python -m lars_plugin.training.prepare kits FOLDER`` reads three kinds of packages (Hydrogen's
drum kits, General MIDI sound fonts, folders of one-shots), converts every hit to one form
(44.1 kHz, attack first, trimmed after the decay, usual levels) and writes them with a
``manifest.csv`` that ``lars train --kits`` reads, and a ``licences.csv`` for the model's card.
Packages that are not installed are skipped and named.

Two kits of these packages are left out on purpose: The Black Pearl and Gimme A Hand are Glen
MacArthur's, and so are the kits of our validation clips.
"""

from __future__ import annotations

import csv
import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np

from lars_plugin.errors import DatasetError
from lars_plugin.files import replacing
from lars_plugin.training.data.font_kits import font_hits
from lars_plugin.training.data.one_shots import Hit, write_kit
from lars_plugin.training.sounds.files import read_wave

__all__ = ["KIT_SOURCES", "KitSource", "make_free_kits"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KitSource:
    """Where a kit comes from.

    Attributes:
        name: of the kit (of a font: the start of its kits' names).
        package: Debian package that holds it.
        path: of the kit's folder, or of the font.
        author: as the package states it.
        licence: as the package states it.
    """

    name: str
    package: str
    path: Path
    author: str
    licence: str


_H = Path("/usr/share/hydrogen/data/drumkits")
_F = Path("/usr/share/sounds/sf2")

KIT_SOURCES = (
    KitSource("forzee", "hydrogen-drumkits", _H / "ForzeeStereo",
              "Vladimir Sadovnikov, Alexander Belokurov", "GPL-2"),
    KitSource("pacific", "hydrogen-drumkits", _H / "BJA_Pacific",
              "Bransin James Anderson, Luc Tanguay", "CC BY-SA 3.0 US"),
    KitSource("colombo", "hydrogen-drumkits", _H / "ColomboAcousticDrumkit",
              "Marcos Guglielmetti", "GPL-2+"),
    KitSource("millo1", "hydrogen-drumkits", _H / "Millo-Drums_v.1", "Emiliano Grilli", "GPL-2"),
    KitSource("millo2", "hydrogen-drumkits", _H / "Millo_MultiLayered2", "Emiliano Grilli",
              "GPL-2"),
    KitSource("millo3", "hydrogen-drumkits", _H / "Millo_MultiLayered3", "Emiliano Grilli",
              "GPL-2"),
    KitSource("rumpf", "hydrogen-drumkits", _H / "rumpf_kit_z01_h2", "Emanuel Rumpf",
              "CC BY 3.0"),
    KitSource("audiophob", "hydrogen-drumkits", _H / "Audiophob", "audiophobdubstep", "CC0 1.0"),
    KitSource("electric_empire", "hydrogen-drumkits", _H / "ElectricEmpireKit", "Artemiy Pavlov",
              "GPL-2+"),
    KitSource("hard_electro", "hydrogen-drumkits", _H / "HardElectro1", "Artemiy Pavlov",
              "GPL-2+"),
    KitSource("varibreaks", "hydrogen-drumkits", _H / "VariBreaks", "Artemiy Pavlov", "GPL-2+"),
    KitSource("fluid", "fluid-soundfont-gm", _F / "FluidR3_GM.sf2", "Frank Wen and others", "MIT"),
    KitSource("musescore", "musescore-general-soundfont-lossless",
              _F / "MuseScore_General_Full.sf2", "S. Christian Collins, Frank Wen and others",
              "MIT"),
    KitSource("timgm", "timgm6mb-soundfont", _F / "TimGM6mb.sf2", "Tim Brechbill", "GPL-2"),
    KitSource("lmms", "lmms-common", Path("/usr/share/lmms/samples/drums"), "the LMMS developers",
              "GPL-2+"),
    KitSource("sonicpi", "sonic-pi-samples", Path("/usr/share/sonic-pi/samples"),
              "freesound.org users, see the package", "CC0 1.0"),
)  # fmt: skip

# What a name means; the first match counts. None: not one of our six drums, or unclear.
_NAMES: tuple[tuple[str, tuple[str, str] | None], ...] = (
    (r"clap|cowbell|tamb|agogo|roll|conga|whistle|zap|\bfx\b|click\b(?! \()|shaker|clav|wood"
     r"|nasty|cup-|ride-crash|crash/ride|empty|^drum \d|(?<!bass )drum [12]$|cymbal \d|elec_"
     r"|glitch", None),
    (r"rim click|side.?stick|- stick|^stick$", ("snare", "sidestick")),
    (r"rim", ("snare", "rim")),
    (r"snare|^sn_", ("snare", "center")),
    (r"kick|bass ?drum|^bd_|drum_bass|drum_heavy", ("kick", "kick")),
    (r"cymbal_closed", ("hihat", "closed")),
    (r"cymbal_open", ("hihat", "open")),
    (r"cymbal_pedal", ("hihat", "pedal")),
    (r"(pedal|foot|\bpd\b).*(hh|hat)|hat.*(pedal|foot|\bpd\b)", ("hihat", "pedal")),
    (r"semi|half", ("hihat", "half")),
    (r"(open|\bop\b|side o|free).*(hh|hat)|hat.*(open|\bop\b|free)|side ohh", ("hihat", "open")),
    (r"hh|hat", ("hihat", "closed")),
    (r"ride.*(bell|cup)", ("ride", "bell")),
    (r"ride", ("ride", "bow")),
    (r"china", ("crash", "china")),
    (r"splash", ("crash", "splash")),
    (r"crash|drum_cymbal_(hard|soft)", ("crash", "crash")),
    (r"tom.*(low|lo_|floor)|floor|low tom", ("toms", "low")),
    (r"tom.*mid|middle tom", ("toms", "mid")),
    (r"tom", ("toms", "high")),
)  # fmt: skip


def drum_of(name: str) -> tuple[str, str] | None:
    """Stem and articulation that an instrument's or a file's name stands for, or None."""
    lower = name.lower()
    return next((drum for pattern, drum in _NAMES if re.search(pattern, lower)), None)


def _read(path: Path) -> Hit | None:
    try:
        wave, rate = read_wave(path)
    except DatasetError as error:
        log.warning("skipped a file: %s", error)
        return None
    if len(wave) < 64 or float(np.abs(wave).max()) < 1e-4:
        return None
    return Hit("", "", path.stem, 127, wave.T[:2], rate)


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ET.Element, name: str) -> str:
    return next((child.text or "" for child in element if _tag(child) == name), "")


def hydrogen_hits(folder: Path) -> Iterator[Hit]:
    """Hits of a Hydrogen kit; a layer's velocity is the upper end of its range."""
    try:
        root = ET.fromstring((folder / "drumkit.xml").read_bytes())
    except (OSError, ET.ParseError) as error:
        raise DatasetError(f"cannot read {folder / 'drumkit.xml'}: {error}") from error
    taken: set[str] = set()
    for instrument in root.iter():
        name = _text(instrument, "name")
        drum = drum_of(name) if _tag(instrument) == "instrument" else None
        if drum is None:
            continue
        layers = [child for child in instrument.iter() if _tag(child) == "layer"]
        for layer in layers or [instrument]:  # old kits have one file and no layers
            file = _text(layer, "filename")
            named = drum_of(file)
            # Some kits put a crash on a ride's pad; then neither name is trusted.
            if not file or file in taken or (named is not None and named[0] != drum[0]):
                continue
            taken.add(file)
            hit = _read(folder / file)
            if hit is not None:
                top = float(_text(layer, "max") or 1.0)
                yield Hit(*drum, name, max(1, round(127 * top)), hit.wave, hit.rate)


def file_hits(folder: Path) -> Iterator[Hit]:
    """Hits of a folder whose files are named after drums."""
    for path in sorted([*folder.glob("*.ogg"), *folder.glob("*.flac"), *folder.glob("*.wav")]):
        if re.match(r"loop|ambi|bass_|guit|mehackit|misc|perc|tabla|vinyl|elec|glitch", path.stem):
            continue
        drum = drum_of(path.stem)
        hit = _read(path) if drum else None
        if drum and hit:
            yield Hit(*drum, path.stem, 127, hit.wave, hit.rate)


def make_free_kits(folder: Path) -> dict[str, int]:
    """Write all kits that this machine's packages hold.

    Args:
        folder: gets ``<kit>/<stem>/*.flac``, ``manifest.csv`` and ``licences.csv``.

    Returns:
        Hits written by kit.

    Raises:
        DatasetError: none of the packages is installed, or a kit's description is damaged.
    """
    sources = [source for source in KIT_SOURCES if source.path.exists()]
    for source in KIT_SOURCES:
        if source not in sources:
            log.warning("%s is not installed: no kit %s", source.package, source.name)
    if not sources:
        packages = " ".join(sorted({source.package for source in KIT_SOURCES}))
        raise DatasetError(f"no kit is installed; on Debian: apt-get install {packages}")
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    kits: list[tuple[str, KitSource]] = []
    for source in sources:
        found: dict[str, list[Hit]] = defaultdict(list)
        if source.path.suffix == ".sf2":
            for kit, hit in font_hits(source.path, source.name):
                found[kit].append(hit)
        else:
            read = hydrogen_hits if (source.path / "drumkit.xml").is_file() else file_hits
            found[source.name] = list(read(source.path))
        for kit, hits in found.items():
            rows += write_kit(folder, kit, hits)
            kits.append((kit, source))
            log.info("%s: %d hits", kit, len(hits))
    with (
        replacing(folder / "licences.csv", error=DatasetError) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as handle,
    ):
        table = csv.writer(handle)
        table.writerow(["kit", "package", "author", "licence"])
        table.writerows([kit, s.package, s.author, s.licence] for kit, s in kits)
    manifest = folder / "manifest.csv"
    with (
        replacing(manifest, error=DatasetError) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as handle,
    ):
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return {kit: sum(row["kit"] == kit for row in rows) for kit, _ in kits}
