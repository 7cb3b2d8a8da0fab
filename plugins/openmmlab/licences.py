"""The licences of OpenMMLab's networks and published weights."""

from __future__ import annotations

LICENCE = "Apache-2.0 (OpenMMLab)"
LICENCES = {
    "segformer": "NVIDIA Source Code License, non-commercial",
    "mae": "CC-BY-NC-4.0 (MAE's pre-training)",
    "selfsup_pretrain": "CC-BY-NC-4.0 (MoCo's and SwAV's pre-training)",
}
"""Other licences, by folder: mmsegmentation's LICENSES.md, and the repositories of MAE, MoCo and SwAV."""


def licence(config: str) -> str:
    """The licence of a configuration's network and published weights."""
    return LICENCES.get(config.split("/")[0], LICENCE)
