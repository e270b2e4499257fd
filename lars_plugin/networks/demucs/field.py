# SPDX-License-Identifier: GPL-3.0-or-later
"""What the field says of a Demucs, in its packages and in its YAML files, as our settings."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from lars_plugin.errors import InputError
from lars_plugin.networks.shared.shape import OWN_ENTRIES, check_number, check_whole

__all__ = ["field_settings", "package_settings"]

_LONGEST = 1 << 31  # samples, far above every segment
_SEGMENT = "segment_length"
# Arguments of the field's classes with a part in training only, or in what is off here.
_TRAINING = frozenset(
    (
        *("end_iters", "wiener_residual", "emb_smooth", "dconv_init", "rescale", "t_dropout"),
        *("t_weight_decay", "t_lr", "t_mask_type", "t_mask_random_seed", "t_sparse_attn_window"),
        *("t_global_window", "t_sparsity", "t_auto_sparsity", "t_cape_augment"),
        "t_cape_glob_loc_scale",
    )
)


def package_settings(shape: Any, said: Mapping[str, Any]) -> dict[str, Any]:
    """What a published package says about its network, as settings under ``network``.

    Args:
        shape: the class of shapes that they are for.
        said: the arguments of the network's class by name; those of training are left out, and so
            are names that this class never had, as the field does.

    Raises:
        InputError: an option that these networks do not have here.
    """
    for key, only in shape.fixed.items():
        if said.get(key, only) != only:
            raise InputError(f"{shape.title}: {key} can only be {only}, got {said[key]!r}")
    own = (*OWN_ENTRIES, _SEGMENT)
    names = [key for key in shape.__dataclass_fields__ if key in said and key not in own]
    found = {key: said[key] for key in names}
    shares = found.get("multi_freqs")
    if not isinstance(shares, (list, tuple, type(None))):
        raise InputError(f"{shape.title}: multi_freqs must be a list of shares, got {shares!r}")
    found["multi_freqs"] = tuple(shares or ())
    # The field's defaults, where a package says nothing.
    if _SEGMENT in shape.__dataclass_fields__ and said.get("use_train_segment", True):
        found[_SEGMENT] = _segment(shape.title, said)
    return found


def _segment(title: str, said: Mapping[str, Any]) -> int:
    """The samples that a network was trained on."""
    seconds, rate = said.get("segment", 10), said.get("samplerate", 44100)
    for key, value in (("segment", seconds), ("samplerate", rate)):
        if not isinstance(value, Fraction):
            check_number(f"{title}: {key}", value)
    if not 1 <= seconds * rate <= _LONGEST:
        raise InputError(f"{title}: a segment of {seconds} s cannot be used")
    return int(seconds * rate)


def field_settings(shape: Any, field: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a shape from a YAML file of the field: ``training``, and the section that
    ``model`` names.

    Args:
        shape: the class of shapes that they are for.
        field: what the file holds.

    Raises:
        InputError: a key is missing, or is an option that is not supported.
    """
    title, name = shape.title, field.get("model")
    training, section = field.get("training"), field.get(str(name))
    if not isinstance(training, Mapping) or not isinstance(section, Mapping):
        missing = name if isinstance(training, Mapping) else "training"
        raise InputError(f"no configuration of a {title}: {missing} is missing")
    # An option without a value is one that is not there.
    said = {key: one for key, one in section.items() if one is not None}
    options = [key for key in shape.__dataclass_fields__ if key not in (*OWN_ENTRIES, _SEGMENT)]
    known = {*options, *shape.fixed, *_TRAINING, "use_train_segment"}
    unknown = [key for key in said if key not in known]
    if unknown:
        raise InputError(
            f"{title}: unsupported option {name}.{unknown[0]}; supported: "
            + ", ".join(sorted(options))
        )
    instruments = training.get("instruments")
    if not isinstance(instruments, (list, tuple)) or not instruments:
        raise InputError(f"no configuration of a {title}: training.instruments is missing")
    for key in ("segment", "samplerate"):
        if training.get(key) is None:
            raise InputError(f"no configuration of a {title}: training.{key} is missing")
        said[key] = training[key]
    channels = training.get("channels")
    return {
        "stems": len(instruments),
        "audio_channels": 2 if channels is None else check_whole("training.channels", channels),
        "sample_rate": check_whole("training.samplerate", training["samplerate"]),
        **package_settings(shape, said),
    }
