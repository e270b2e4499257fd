# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backend and precision are chosen for what there is."""

from __future__ import annotations

from typing import Any

import pytest

from lars_plugin.backends.choice import Choice, choose_backend
from lars_plugin.errors import InputError


@pytest.fixture(autouse=True)
def _no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LARS_BACKEND", raising=False)


def chosen(
    backend: str | None = None,
    precision: str = "auto",
    *,
    architecture: str = "bandunet",
    device: str = "auto",
    torchscript: bool = False,
    gpu: bool = False,
    openvino: bool = True,
    bfloat16: bool = True,
) -> tuple[str, str]:
    choice: Choice = choose_backend(
        backend,
        precision,
        architecture=architecture,
        device=device,
        torchscript=torchscript,
        accelerated=lambda: gpu,
        openvino=lambda: openvino,
        bfloat16=lambda: bfloat16,
    )
    return choice.backend, choice.precision


def test_automatic_choice_takes_bfloat16_only_where_it_is_cheap_and_in_hardware() -> None:
    assert chosen() == ("openvino", "bfloat16")
    assert chosen(bfloat16=False) == ("openvino", "float32")
    assert chosen(openvino=False) == ("torch", "float32")
    # Nobody has measured what it costs this one.
    assert chosen(architecture="mdx23c") == ("openvino", "float32")


def test_automatic_choice_in_float32_is_openvino_wherever_it_can_run_the_network() -> None:
    for architecture in ("bandunet", "mdx23c", "livenet"):
        assert chosen(precision="float32", architecture=architecture) == ("openvino", "float32")
        without = chosen(precision="float32", architecture=architecture, openvino=False)
        assert without == ("torch", "float32")


def test_a_graphics_card_and_other_architectures_stay_with_pytorch() -> None:
    assert chosen(gpu=True) == ("torch", "float32")
    assert chosen(gpu=True, device="cpu") == ("openvino", "bfloat16")
    assert chosen(device="cuda") == ("torch", "float32")
    for architecture in ("hdemucs", ""):
        assert chosen(architecture=architecture) == ("torch", "float32")
    assert chosen(precision="bfloat16", gpu=True) == ("torch", "bfloat16")


def test_what_is_asked_for_is_done_or_refused() -> None:
    assert chosen("torch") == ("torch", "float32")
    assert chosen("torch", "bfloat16") == ("torch", "bfloat16")
    assert chosen("openvino", "float32") == ("openvino", "float32")
    assert chosen("openvino", "int8") == ("openvino", "int8")
    assert chosen("auto", "int8") == ("openvino", "int8")
    # OpenVINO has none of it on processors.
    assert chosen("auto", "float16") == chosen("torch", "float16") == ("torch", "float16")
    assert chosen("auto", "float16", gpu=True) == ("torch", "float16")
    assert chosen(torchscript=True) == ("torchscript", "float32")
    refused: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (("onnx",), {}),
        (("auto", "float8"), {}),
        (("openvino", "float16"), {}),
        (("auto", "float16"), {"torchscript": True}),
        (("torch", "int8"), {}),
        (("auto", "int8"), {"openvino": False}),
        (("openvino",), {"architecture": "hdemucs"}),
        (("openvino",), {"device": "cuda"}),
        (("torchscript",), {}),
        (("openvino",), {"torchscript": True}),
        (("auto", "bfloat16"), {"torchscript": True}),
    ]
    for asked, there in refused:
        with pytest.raises(InputError):
            chosen(*asked, **there)


def test_the_environment_chooses_where_it_can_and_yields_where_it_cannot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LARS_BACKEND", "torch")
    assert chosen() == ("torch", "float32")
    assert chosen("openvino") == ("openvino", "bfloat16")
    assert chosen(torchscript=True) == ("torchscript", "float32")
    monkeypatch.setenv("LARS_BACKEND", "openvino")
    assert chosen(precision="float32") == ("openvino", "float32")
    assert chosen(precision="float16") == ("torch", "float16")
    assert chosen(architecture="hdemucs") == ("torch", "float32")
    monkeypatch.setenv("LARS_BACKEND", "nonsense")
    with pytest.raises(InputError, match="nonsense"):
        chosen()
