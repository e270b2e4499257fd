# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster files of docs/batch.md, as far as one can tell without a cluster."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lars_plugin.batch.command import add_batch_parser

TEXT = (Path(__file__).parents[2] / "docs" / "batch.md").read_text("utf-8")
# pip puts it beside Python.
SHELLCHECK = shutil.which("shellcheck", path=os.path.dirname(sys.executable))


def block(kind: str) -> str:
    """The one block of code of that kind."""
    found = re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.M | re.S)
    assert len(found) == 1
    return str(found[0])


def parsed(command: str) -> argparse.Namespace:
    """The options of a `lars` command line."""
    parser = argparse.ArgumentParser()
    add_batch_parser(parser.add_subparsers())
    program, *words = shlex.split(command)
    assert program == "lars"
    return parser.parse_args(words)


def test_the_kubernetes_file_is_a_ray_job_whose_parts_fit_together() -> None:
    job = yaml.safe_load(block("yaml"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    args = parsed(job["spec"]["entrypoint"])
    assert (args.engine, args.address) == ("ray", "auto")
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [group["template"]["spec"]["containers"][0] for group in groups]
    assert len({one["image"] for one in containers}) == 1
    for group in groups[1:]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    # A worker's place is a whole number of ours.
    cpus = float(containers[1]["resources"]["requests"]["cpu"])
    assert cpus % args.cpus_per_worker == 0
    # The ledger lies on a volume that the driver's pod has.
    pod: dict[str, Any] = groups[0]["template"]["spec"]
    mounts = {one["mountPath"]: one["name"] for one in containers[0]["volumeMounts"]}
    assert mounts[str(args.ledger.parent)] in {one["name"] for one in pod["volumes"]}


def test_the_slurm_script_is_one_for_bash_and_its_last_command_one_of_ours(tmp_path: Path) -> None:
    script = block("bash")
    (tmp_path / "job.sh").write_text(script, "utf-8")
    if shutil.which("bash") is not None:
        subprocess.run(["bash", "-n", tmp_path / "job.sh"], check=True)
    last = script[script.rindex("\nlars ") :].replace("\\\n", " ")
    args = parsed(last)
    assert (args.engine, args.address) == ("ray", "$head:6379")
    assert args.ledger is not None
    for line in re.findall(r"^#SBATCH (.*)", script, re.M):
        assert all(word.startswith("--") for word in line.split())


@pytest.mark.skipif(SHELLCHECK is None, reason="no shellcheck, of the extra 'dev'")
def test_shellcheck_finds_nothing_in_the_slurm_script_and_in_ours(tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text(block("bash"), "utf-8")
    assert SHELLCHECK is not None
    scripts = sorted(Path(__file__).parents[2].glob("scripts/*.sh"))
    assert scripts
    done = subprocess.run(
        [SHELLCHECK, tmp_path / "job.sh", *scripts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
