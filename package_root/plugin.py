"""The public API for plugins: ``from sightsmith.plugin import NetworkRecord, hookimpl``.

Importing this module is cheap, because every command imports every plugin: it loads what registration needs, and each
name in :data:`LAZY` on first access. Some helpers have a longer name here than in their module (``masks.decode`` is
:func:`decode_mask`). Only this module and :mod:`sightsmith.testing` are stable.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from sightsmith.core.contracts.annotation import (
    Annotation,
    Box,
    Mask,
    Object,
    Polygons,
    RunLengths,
    SemanticMask,
    richest,
)
from sightsmith.core.contracts.module_network import ModuleNetworkRecord
from sightsmith.core.contracts.network_record import NetworkRecord, ZooNetwork
from sightsmith.core.contracts.records import (
    ConfigPath,
    DatasetFormatRecord,
    Finding,
    LoggerRecord,
    PresetFolder,
    RecipeRecord,
    TaskRecord,
    TunerRecord,
)
from sightsmith.core.plugins.hookspecs import hookimpl
from sightsmith.core.util.errors import Problem, UserError, listed, near

if TYPE_CHECKING:
    from sightsmith.core.contracts.augmentation import AugmentationRecord, Option
    from sightsmith.core.contracts.dataset import (
        IMAGE_SUFFIXES,
        CheckedDataset,
        DatasetFormat,
        DatasetIndex,
        FormatMatch,
        Sample,
        Split,
        Writer,
    )
    from sightsmith.core.contracts.exporter import Exporter, ExportFormat, Outputs, Runner
    from sightsmith.core.contracts.image import (
        Array,
        Frame,
        Geometry,
        ImageError,
        ImageInfo,
        MissingReaderError,
        PartReader,
        Reader,
        SeriesError,
    )
    from sightsmith.core.contracts.keys import is_among
    from sightsmith.core.contracts.logger import MetricLogger
    from sightsmith.core.contracts.module_network import ModuleBuilder
    from sightsmith.core.contracts.network_record import Score
    from sightsmith.core.contracts.plan import Plan
    from sightsmith.core.contracts.prediction import PredictedObject, Prediction
    from sightsmith.core.contracts.recommendation import Recommendation, RecommendedValue
    from sightsmith.core.contracts.records import CommandRecord, ExportFormatRecord, ImageReaderRecord
    from sightsmith.core.contracts.report import Colour, Link, Picture, Section
    from sightsmith.core.contracts.results import Model, PredictionT, RawPrediction, ResultT, SampleResult
    from sightsmith.core.contracts.schema import AugmentConfig, Config, ImageConfig, NetworkConfig, TaskConfig
    from sightsmith.core.contracts.task import Task
    from sightsmith.core.contracts.weights import LoadReport, PublishedWeights
    from sightsmith.core.plugins.manager import Plugins
    from sightsmith.core.util.files import (
        cache_dir,
        fill_folder,
        resolved_path,
        short_path,
        stem_of,
        write_atomic,
        write_json,
    )
    from sightsmith.core.util.text import counted, format_metric
    from sightsmith.engine.data.annotated_image import (
        AnnotatedImage,
        ComposingAugmentation,
        GeometricAugmentation,
        PhotometricAugmentation,
    )
    from sightsmith.engine.data.annotation_files import (
        HEAD,
        LARGEST_TEXT,
        about_link,
        files_in,
        has_images,
        images_by_stem,
        images_in,
        is_there,
        natural_order,
        read_bytes,
        read_head,
        read_json,
        read_text,
        read_yaml,
        relative_name,
        subfolders,
        walk_files,
    )
    from sightsmith.engine.data.annotation_values import (
        read_flag,
        read_id,
        read_integer,
        read_number,
        read_numbers,
        read_size,
    )
    from sightsmith.engine.data.augmentations import (
        CheckedAugmentation,
        apply_augmentations,
        apply_composing,
        apply_geometric,
        has_kind,
    )
    from sightsmith.engine.data.cache import FileCache, MemoryCache
    from sightsmith.engine.data.channelwise import channelwise
    from sightsmith.engine.data.color_jitter import Uniform, color_jitter
    from sightsmith.engine.data.dataset_statistics import DatasetStatistics
    from sightsmith.engine.data.grey_levels import largest as largest_value
    from sightsmith.engine.data.grey_levels import window_limits
    from sightsmith.engine.data.image_files import is_image, is_inside
    from sightsmith.engine.data.image_finder import ImageFinder, ImageFrame, split_frame
    from sightsmith.engine.data.image_limits import check_jpeg_scans, integer_limits, is_large
    from sightsmith.engine.data.image_limits import check_size as check_image_size
    from sightsmith.engine.data.images import read_image, read_input
    from sightsmith.engine.data.joined_files import join_files
    from sightsmith.engine.data.mask_files import MaskError, mask_frames
    from sightsmith.engine.data.mask_files import count_values as count_mask_values
    from sightsmith.engine.data.masks import IGNORED, semantic_map
    from sightsmith.engine.data.masks import area as mask_area
    from sightsmith.engine.data.masks import box as mask_box
    from sightsmith.engine.data.masks import decode as decode_mask
    from sightsmith.engine.data.masks import encode as encode_mask
    from sightsmith.engine.data.masks import encode_part as encode_mask_part
    from sightsmith.engine.data.masks import encoded as run_lengths
    from sightsmith.engine.data.masks import from_counts as mask_from_counts
    from sightsmith.engine.data.parts import ImagePart, read_part
    from sightsmith.engine.data.split_names import SPLIT_NAMES, split_of
    from sightsmith.engine.data.thumbnails import (
        FALSE_NEGATIVE,
        FALSE_POSITIVE,
        TRUE_POSITIVE,
        around,
        blended,
        load_rgb,
        load_rgb_part,
        network_rgb,
        scaled_box,
    )
    from sightsmith.engine.data.thumbnails import SHOWN as SHOWN_THUMBNAILS
    from sightsmith.engine.data.thumbnails import plain as escape_dollars
    from sightsmith.engine.data.write import of_crowds
    from sightsmith.engine.pipeline.default_recipe import default_recipe
    from sightsmith.engine.runs.heads import Head, find_heads, plain_layout
    from sightsmith.engine.runs.heads import Layout as HeadLayout
    from sightsmith.engine.runs.heads import Row as HeadRow
    from sightsmith.engine.runs.published import read_starting_weights
    from sightsmith.engine.runs.resources import is_out_of_memory
    from sightsmith.engine.runs.resume import CHANGEABLE
    from sightsmith.engine.runs.weights import (
        PLAIN_STEM,
        Stem,
        WeightsFile,
        file_digest,
        load_by_class,
        load_matching,
        read_weights,
    )
    from sightsmith.engine.search.search_space import Parameter, Value
    from sightsmith.engine.search.sweep_syntax import as_distribution
    from sightsmith.engine.search.tuner import (
        Asked,
        AsynchronousTuner,
        SearchSpace,
        Suggestion,
        Train,
        TrialResult,
        Tuner,
        ranked,
    )
    from sightsmith.engine.training.network_module import build_module, load_module_weights
    from sightsmith.engine.training.precision import to_float32

_NAMES = {
    "core.contracts.augmentation": "AugmentationRecord Option",
    "core.contracts.dataset": "IMAGE_SUFFIXES CheckedDataset DatasetFormat DatasetIndex FormatMatch Sample Split "
                              "Writer",
    "core.contracts.exporter": "ExportFormat Exporter Outputs Runner",
    "core.contracts.image": "Array Frame Geometry ImageError ImageInfo MissingReaderError PartReader Reader "
                            "SeriesError",
    "core.contracts.keys": "is_among",
    "core.contracts.logger": "MetricLogger",
    "core.contracts.module_network": "ModuleBuilder",
    "core.contracts.network_record": "Score",
    "core.contracts.plan": "Plan",
    "core.contracts.prediction": "PredictedObject Prediction",
    "core.contracts.recommendation": "Recommendation RecommendedValue",
    "core.contracts.records": "CommandRecord ExportFormatRecord ImageReaderRecord",
    "core.contracts.report": "Colour Link Picture Section",
    "core.contracts.results": "Model PredictionT RawPrediction ResultT SampleResult",
    "core.contracts.schema": "AugmentConfig Config ImageConfig NetworkConfig TaskConfig",
    "core.contracts.task": "Task",
    "core.contracts.weights": "LoadReport PublishedWeights",
    "core.plugins.manager": "Plugins",
    "core.util.files": "cache_dir fill_folder resolved_path short_path stem_of write_atomic write_json",
    "core.util.text": "counted format_metric",
    "engine.data.annotated_image": "AnnotatedImage ComposingAugmentation GeometricAugmentation PhotometricAugmentation",
    "engine.data.annotation_files": "HEAD LARGEST_TEXT about_link files_in has_images images_by_stem images_in "
                                    "is_there natural_order read_bytes read_head read_json read_text read_yaml "
                                    "relative_name subfolders walk_files",
    "engine.data.annotation_values": "read_flag read_id read_integer read_number read_numbers read_size",
    "engine.data.augmentations": "CheckedAugmentation apply_augmentations apply_composing apply_geometric has_kind",
    "engine.data.cache": "FileCache MemoryCache",
    "engine.data.channelwise": "channelwise",
    "engine.data.color_jitter": "Uniform color_jitter",
    "engine.data.dataset_statistics": "DatasetStatistics",
    "engine.data.grey_levels": "largest_value=largest window_limits",
    "engine.data.image_files": "is_image is_inside",
    "engine.data.image_finder": "ImageFinder ImageFrame split_frame",
    "engine.data.image_limits": "check_image_size=check_size check_jpeg_scans integer_limits is_large",
    "engine.data.images": "read_image read_input",
    "engine.data.joined_files": "join_files",
    "engine.data.mask_files": "MaskError count_mask_values=count_values mask_frames",
    "engine.data.masks": "IGNORED decode_mask=decode encode_mask=encode encode_mask_part=encode_part "
                         "mask_area=area mask_box=box mask_from_counts=from_counts run_lengths=encoded semantic_map",
    "engine.data.parts": "ImagePart read_part",
    "engine.data.split_names": "SPLIT_NAMES split_of",
    "engine.data.thumbnails": "FALSE_NEGATIVE FALSE_POSITIVE SHOWN_THUMBNAILS=SHOWN TRUE_POSITIVE around blended "
                              "escape_dollars=plain load_rgb load_rgb_part network_rgb scaled_box",
    "engine.data.write": "of_crowds",
    "engine.pipeline.default_recipe": "default_recipe",
    "engine.runs.heads": "Head HeadLayout=Layout HeadRow=Row find_heads plain_layout",
    "engine.runs.published": "read_starting_weights",
    "engine.runs.resources": "is_out_of_memory",
    "engine.runs.resume": "CHANGEABLE",
    "engine.runs.weights": "PLAIN_STEM Stem WeightsFile file_digest load_by_class load_matching read_weights",
    "engine.search.search_space": "Parameter Value",
    "engine.search.sweep_syntax": "as_distribution",
    "engine.search.tuner": "Asked AsynchronousTuner SearchSpace Suggestion Train TrialResult Tuner ranked",
    "engine.training.network_module": "build_module load_module_weights",
    "engine.training.precision": "to_float32",
}
"""The names of each module that are imported on first access; ``new=old`` has another name here."""

LAZY = {name: f"sightsmith.{module}:{own or name}" for module, names in _NAMES.items()
        for name, _, own in (item.partition("=") for item in names.split())}
"""Names that are imported on first access, with their location."""

__all__ = [
    "CHANGEABLE", "FALSE_NEGATIVE", "FALSE_POSITIVE", "HEAD", "IGNORED", "IMAGE_SUFFIXES", "LARGEST_TEXT",
    "PLAIN_STEM", "SHOWN_THUMBNAILS", "SPLIT_NAMES", "TRUE_POSITIVE", "AnnotatedImage", "Annotation", "Array",
    "Asked", "AsynchronousTuner", "AugmentConfig", "AugmentationRecord", "Box", "CheckedAugmentation",
    "CheckedDataset", "Colour", "CommandRecord", "ComposingAugmentation", "Config", "ConfigPath", "DatasetFormat",
    "DatasetFormatRecord", "DatasetIndex", "DatasetStatistics", "ExportFormat", "ExportFormatRecord", "Exporter",
    "FileCache", "Finding", "FormatMatch", "Frame", "GeometricAugmentation", "Geometry", "Head", "HeadLayout",
    "HeadRow", "ImageConfig", "ImageError", "ImageFinder", "ImageFrame", "ImageInfo", "ImagePart",
    "ImageReaderRecord", "Link", "LoadReport", "LoggerRecord", "Mask", "MaskError", "MemoryCache", "MetricLogger",
    "MissingReaderError", "Model", "ModuleBuilder", "ModuleNetworkRecord", "NetworkConfig", "NetworkRecord",
    "Object", "Option", "Outputs", "Parameter", "PartReader", "PhotometricAugmentation", "Picture", "Plan",
    "Plugins", "Polygons", "PredictedObject", "Prediction", "PredictionT", "PresetFolder", "Problem",
    "PublishedWeights", "RawPrediction", "Reader", "RecipeRecord", "Recommendation", "RecommendedValue", "ResultT",
    "RunLengths", "Runner", "Sample", "SampleResult", "Score", "SearchSpace", "Section", "SemanticMask",
    "SeriesError", "Split", "Stem", "Suggestion", "Task", "TaskConfig", "TaskRecord", "Train", "TrialResult",
    "Tuner", "TunerRecord", "Uniform", "UserError", "Value", "WeightsFile", "Writer", "ZooNetwork", "about_link",
    "apply_augmentations", "apply_composing", "apply_geometric", "around", "as_distribution", "blended",
    "build_module", "cache_dir", "channelwise", "check_image_size", "check_jpeg_scans", "color_jitter",
    "count_mask_values", "counted", "decode_mask", "default_recipe", "encode_mask", "encode_mask_part",
    "escape_dollars", "file_digest", "files_in", "fill_folder", "find_heads", "format_metric", "has_images",
    "has_kind", "hookimpl", "images_by_stem", "images_in", "integer_limits", "is_among", "is_image", "is_inside",
    "is_large", "is_out_of_memory", "is_there", "join_files", "largest_value", "listed", "load_by_class",
    "load_matching", "load_module_weights", "load_rgb", "load_rgb_part", "mask_area", "mask_box", "mask_frames",
    "mask_from_counts", "natural_order", "near", "network_rgb", "of_crowds", "plain_layout", "ranked",
    "read_bytes", "read_flag", "read_head", "read_id", "read_image", "read_input", "read_integer", "read_json",
    "read_number", "read_numbers", "read_part", "read_size", "read_starting_weights", "read_text", "read_weights",
    "read_yaml", "relative_name", "resolved_path", "richest", "run_lengths", "scaled_box", "semantic_map",
    "short_path", "split_frame", "split_of", "stem_of", "subfolders", "to_float32", "walk_files", "window_limits",
    "write_atomic", "write_json",
]

if not TYPE_CHECKING:  # otherwise a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name not in LAZY:
            raise AttributeError(f"sightsmith.plugin has no {name!r}.{near(name, __all__)}")
        globals()[name] = value = resolve_name(LAZY[name])
        return value
