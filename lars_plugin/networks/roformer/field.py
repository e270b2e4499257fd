# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the field's YAML files: which options there are, and which are not supported."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from lars_plugin.errors import InputError

__all__ = ["field_settings"]

# The field's names of settings that are called otherwise here.
_NAMES = {"stft_n_fft": "n_fft", "stft_hop_length": "hop_length"}

# Losses, dropout and memory in training, and which kernel computes attention. ``stft_normalized``
# scales the spectra, which the first layer's norm and the inverse transform undo.
_IGNORED = frozenset(
    (
        *("attn_dropout", "ff_dropout", "use_torch_checkpoint", "match_input_audio_length"),
        *("flash_attn", "linear_flash_attn", "sage_attention", "stft_normalized"),
        *("multi_stft_resolution_loss_weight", "multi_stft_resolutions_window_sizes"),
        *("multi_stft_hop_size", "multi_stft_normalized"),
        "dim_freqs_in",  # said by n_fft
    )
)

# Options of later variants, and the values with which they do nothing.
_OFF: dict[str, tuple[Any, ...]] = {
    "use_pope": (False,),
    "num_residual_streams": (1,),
    "num_residual_fracs": (1,),
    "add_value_residual": (False,),
    "freq_range": ((-1, -1),),
    "stft_window_fn": (),
    "multi_stft_window_fn": (),
    "mc_hyper_conn_sinkhorn_iters": (2,),
}

_OWN = ("stereo", "num_stems", "stft_win_length", "sample_rate")


def field_settings(
    title: str, field: Mapping[str, Any], known: Collection[str], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a configuration from ``audio``, ``model`` and ``training``.

    Args:
        title: of the architecture, for errors.
        field: what the YAML file holds.
        known: names of the configuration's fields.
        defaults: what the field takes where its file says nothing, and we do not.

    Raises:
        InputError: a key is missing, contradicts another, or is an option that is not supported.
    """
    # An option without a value is one that is not there.
    model = {key: one for key, one in _section(title, field, "model").items() if one is not None}
    audio = {key: one for key, one in _section(title, field, "audio").items() if one is not None}
    for key in ("dim", "depth"):
        if model.get(key) is None:
            raise InputError(f"no configuration of a {title}: model.{key} is missing")
    settings = dict(defaults)
    unknown = []
    for key, value in model.items():
        name = _NAMES.get(key, key)
        if key in _OFF:
            if (tuple(value) if isinstance(value, list) else value) not in _OFF[key]:
                off = ", ".join(str(one) for one in _OFF[key]) or "nothing"
                raise InputError(
                    f"{title}: model.{key} {value!r} is not supported; supported: {off}"
                )
        elif key in _IGNORED or key in _OWN:
            continue
        elif key not in _NAMES.values() and name in known:
            settings[name] = tuple(value) if isinstance(value, list) else value
        else:
            unknown.append(key)
    if unknown:
        theirs = {name: key for key, name in _NAMES.items()}
        options = sorted(theirs.get(name, name) for name in {*known} - {"stems", "audio_channels"})
        raise InputError(
            f"{title}: unsupported option model.{unknown[0]}; supported: {', '.join(options)}"
        )
    n_fft = settings.get("n_fft", 2048)
    if model.get("stft_win_length", n_fft) != n_fft:
        raise InputError(
            f"{title}: model.stft_win_length {model['stft_win_length']!r} is not supported;"
            f" supported: the same as stft_n_fft, {n_fft}"
        )
    rate = audio.get("sample_rate", 44100)
    if "sample_rate" in known:
        settings["sample_rate"] = rate
        # The bands depend on it, and the field's code takes 44100 where its file says nothing.
        if model.get("sample_rate", 44100) != rate:
            said = repr(model["sample_rate"]) if "sample_rate" in model else "(44100, not given)"
            raise InputError(
                f"{title}: model.sample_rate {said} is not audio.sample_rate {rate!r}: make them"
                " equal"
            )
    return settings | _sizes(title, field, model, audio)


def _sizes(
    title: str, field: Mapping[str, Any], model: Mapping[str, Any], audio: Mapping[str, Any]
) -> dict[str, Any]:
    """Stems and channels, which a file says twice."""
    training = _section(title, field, "training")
    instruments = training.get("instruments")
    if not isinstance(instruments, (list, tuple)) or not instruments:
        raise InputError(f"no configuration of a {title}: training.instruments is missing")
    stems = 1 if training.get("target_instrument") else len(instruments)
    if model.get("num_stems", 1) != stems:
        raise InputError(
            f"{title}: model.num_stems is {model.get('num_stems', 1)!r}, but training names"
            f" {stems} stem{'s' if stems > 1 else ''}"
        )
    channels, declared = (2 if model.get("stereo", False) else 1), audio.get("num_channels", 2)
    if declared != channels:
        raise InputError(
            f"{title}: audio.num_channels is {declared!r}, but model.stereo means {channels}"
        )
    return {"stems": stems, "audio_channels": channels}


def _section(title: str, field: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = field.get(name)
    if not isinstance(found, Mapping):
        raise InputError(f"no configuration of a {title}: {name} is missing")
    return found
