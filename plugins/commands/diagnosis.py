"""The findings of ``sightsmith doctor``: versions, devices, and missing packages with their install commands."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from pathlib import Path

import psutil

from sightsmith.core.contracts.records import Finding
from sightsmith.core.plugins.manager import DISABLE_VARIABLE, Plugins
from sightsmith.core.util.files import cache_dir
from sightsmith.engine.runs.lockfile import packages
from sightsmith.plugins.commands.faults import faults

LOW_DISK = 5 * 2**30
EXTRAS = (
    ("DICOM", "dicom", ("pydicom", "gdcm"), "reading .dcm files"),
    ("volumes", "volumes", ("nibabel", "nrrd"), "reading NIfTI and NRRD"),
    ("joblib", "joblib", ("hydra_plugins.hydra_joblib_launcher",), "parallel trials of a search"),
    ("Ray", "ray", ("ray",), "tuner=ray_pbt and tuner=ray_asha"),
    ("heat maps", "heatmap", ("captum",), "predict heatmaps=true"),
    ("data frames", "pandas", ("pandas",), "predictions.to_dataframe()"),
    ("ONNX", "export", ("onnx", "onnxruntime"), "export format=onnx"),
    ("server", "serve", ("fastapi", "uvicorn"), "sightsmith serve"),
)
"""Topic, extra, its modules, and its purpose."""


def findings(plugins: Plugins) -> list[Finding]:
    """Check everything that a run depends on. Imports torch."""
    return [*_versions(plugins), *_devices(), *_plugins(plugins), *_machine()]


def _versions(plugins: Plugins) -> list[Finding]:
    found = packages(plugins)
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    result = [Finding("python", f"{platform.python_version()} on {platform.platform()}"), Finding("packages", text)]
    for topic, extra, modules, purpose in EXTRAS:
        installed = all(importlib.util.find_spec(module) for module in modules)
        result.append(Finding(topic, f"{purpose}: {'installed' if installed else 'not installed'}",
                              advice="" if installed else f"pip install 'sightsmith[{extra}]'"))
    return result


def _devices() -> list[Finding]:
    import torch

    from sightsmith.engine.training.benchmark import emulates_bf16

    result = [Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")]
    if not torch.cuda.is_available():
        built = "built for CUDA, but no GPU is usable" if torch.version.cuda else "CPU build"
        result.append(Finding("GPU", f"none ({built}); training runs on the CPU"))
        slow = emulates_bf16()
        result.append(Finding("mixed precision", "none: this processor emulates bf16, so training uses fp32" if slow
                              else "each training measures bf16 and fp32, and uses the faster one"))
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        bf16 = "bf16" if torch.cuda.is_bf16_supported() else "fp16 only"
        result.append(Finding(f"GPU {index}", f"{torch.cuda.get_device_name(index)}, {free / 2**30:.1f} of "
                              f"{total / 2**30:.1f} GiB free, {bf16}"))
    return result


def _plugins(plugins: Plugins) -> list[Finding]:
    result = [Finding("plugins", ", ".join(map(str, plugins.providers)) or "none")]
    for item in plugins.broken:
        result.append(Finding("plugins", f"{item.provider} is broken: {item.cause}", ok=False,
                              advice=f"pip install --upgrade {item.provider.distribution}, or pip uninstall it, or "
                                     f"set {DISABLE_VARIABLE}=1 to disable external plugins"))
    result += [Finding("plugins", f"{provider}: {error.message}", ok=False, advice=error.hint or "")
               for provider, error in faults(plugins)]
    return result + plugins.diagnostics()


def _machine() -> list[Finding]:
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(Path.cwd())
    result = [
        Finding("machine", f"{os.cpu_count()} cores, {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB "
                           "memory free"),
        Finding("disk", f"{disk.free / 2**30:.1f} GiB free in {Path.cwd()}", ok=disk.free > LOW_DISK,
                advice="" if disk.free > LOW_DISK else "free some space, or set output_dir to another disk"),
    ]
    cache = cache_dir()
    if cache.exists():
        result.append(Finding("cache", f"{cache} (archives and embedded data sets; safe to delete)"))
    return result


def print_findings(found: list[Finding]) -> None:
    width = max(len(item.topic) for item in found)
    for item in found:
        print(f"{'ok  ' if item.ok else 'BAD '} {item.topic:<{width}}  {item.text}")
        if item.advice:
            print(f"     {'':<{width}}  -> {item.advice}")
