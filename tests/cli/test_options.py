# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that several commands have are the same in all of them."""

from __future__ import annotations

import argparse
import re

import pytest

from lars_plugin.backends.choice import BACKENDS, PRECISION_CHOICES
from lars_plugin.cli import COMMANDS, _function
from lars_plugin.evaluation.systems import ModelSystem, make_systems
from lars_plugin.options import PRESET_CHOICES, count, name_list

# What runs networks: all that a model can be loaded with.
RUNNING = ("separate", "midi", "demo", "evaluate", "serve")


def options(command: str) -> dict[str, argparse.Action]:
    subparsers = argparse.ArgumentParser().add_subparsers()
    row = next(row for row in COMMANDS if row.name == command)
    _function(row, "add_{}_parser")(subparsers)
    found: dict[str, argparse.Action] = {}
    for action in subparsers.choices[command]._actions:
        found.update(dict.fromkeys(action.option_strings, action))
    return found


def words(action: argparse.Action) -> str:
    """The help text without what is said of defaults and of this command alone."""
    text = re.sub(r" \(default: .*\)$", "", action.help or "")
    return re.sub(r"; .*default: lars-mini$", "", text)


@pytest.mark.parametrize("command", RUNNING)
def test_backends_and_precisions_are_those_that_models_can_be_loaded_with(command: str) -> None:
    found = options(command)
    assert found["--backend"].choices == BACKENDS
    assert found["--precision"].choices == PRECISION_CHOICES
    assert {"-d", "--device"} <= set(found)


@pytest.mark.parametrize(
    ("option", "commands"),
    [
        ("--backend", RUNNING),
        ("--precision", RUNNING),
        ("--device", RUNNING),
        ("--model", ("separate", "midi", "demo", "evaluate", "bench")),
        ("--preset", ("separate", "midi", "demo", "evaluate")),
        ("--overlap", ("separate", "midi", "demo", "evaluate")),
        ("--shifts", ("separate", "midi", "demo", "evaluate")),
    ],
)
def test_shared_options_have_the_same_words_everywhere(
    option: str, commands: tuple[str, ...]
) -> None:
    assert len({words(options(command)[option]) for command in commands}) == 1


def test_presets_are_the_same_everywhere() -> None:
    for command in ("separate", "midi", "demo", "evaluate", "bench"):
        assert options(command)["--preset"].choices == PRESET_CHOICES


def test_defaults_differ_where_figures_must_be_comparable_and_nowhere_else() -> None:
    for command in RUNNING:
        found = options(command)
        wanted = ("torch", "float32") if command == "evaluate" else (None, "auto")
        assert (found["--backend"].default, found["--precision"].default) == wanted


def test_lists_of_names_and_counts_are_read_in_one_way() -> None:
    assert name_list(" a, b,,a ") == ("a", "b")
    assert count("3") == 3
    for text in ("0", "-1", "x"):
        with pytest.raises((argparse.ArgumentTypeError, ValueError)):
            count(text)


def test_scores_say_with_which_backend_and_precision_they_were_made() -> None:
    def settings(**how: str) -> str:
        (system,) = make_systems(["lars-mini"], **how)  # type: ignore[arg-type]
        assert isinstance(system, ModelSystem)
        return system.settings

    assert settings() == ""
    assert settings(precision="bfloat16") == "bfloat16"
    assert settings(backend="openvino", precision="int8") == "int8, backend openvino"
    assert settings(backend="auto", precision="auto") == "precision auto, backend auto"
