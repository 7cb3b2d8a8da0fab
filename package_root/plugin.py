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
        Reader,
    )
    from sightsmith.core.contracts.keys import is_among
    from sightsmith.core.contracts.logger import MetricLogger
    from sightsmith.core.contracts.module_network import ModuleBuilder
    from sightsmith.core.contracts.network_record import Score
    from sightsmith.core.contracts.plan import Plan
    from sightsmith.core.contracts.prediction import PredictedObject, Prediction
    from sightsmith.core.contracts.recommendation import Recommendation, RecommendedValue
    from sightsmith.core.contracts.records import CommandRecord, ExportFormatRecord, ImageReaderRecord
    from sightsmith.core.contracts.report import Colour, Picture, Section
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
    from sightsmith.core.util.text import format_metric
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
    from sightsmith.engine.data.image_limits import check_jpeg_scans, integer_limits
    from sightsmith.engine.data.image_limits import check_size as check_image_size
    from sightsmith.engine.data.images import read_image, read_input
    from sightsmith.engine.data.joined_files import join_files
    from sightsmith.engine.data.masks import IGNORED, MaskError, mask_frames, picture_values, semantic_map
    from sightsmith.engine.data.masks import area as mask_area
    from sightsmith.engine.data.masks import box as mask_box
    from sightsmith.engine.data.masks import decode as decode_mask
    from sightsmith.engine.data.masks import encode as encode_mask
    from sightsmith.engine.data.masks import encoded as run_lengths
    from sightsmith.engine.data.masks import from_counts as mask_from_counts
    from sightsmith.engine.data.split_names import SPLIT_NAMES, split_of
    from sightsmith.engine.data.thumbnails import (
        FALSE_NEGATIVE,
        FALSE_POSITIVE,
        TRUE_POSITIVE,
        blended,
        cut_out,
        load_rgb,
        network_rgb,
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

LAZY = {
    "CommandRecord": "sightsmith.core.contracts.records:CommandRecord",
    "ExportFormatRecord": "sightsmith.core.contracts.records:ExportFormatRecord",
    "ImageReaderRecord": "sightsmith.core.contracts.records:ImageReaderRecord",
    "Score": "sightsmith.core.contracts.network_record:Score",
    "Plugins": "sightsmith.core.plugins.manager:Plugins",
    "AugmentationRecord": "sightsmith.core.contracts.augmentation:AugmentationRecord",
    "Option": "sightsmith.core.contracts.augmentation:Option",
    "IMAGE_SUFFIXES": "sightsmith.core.contracts.dataset:IMAGE_SUFFIXES",
    "CheckedDataset": "sightsmith.core.contracts.dataset:CheckedDataset",
    "DatasetFormat": "sightsmith.core.contracts.dataset:DatasetFormat",
    "DatasetIndex": "sightsmith.core.contracts.dataset:DatasetIndex",
    "FormatMatch": "sightsmith.core.contracts.dataset:FormatMatch",
    "Sample": "sightsmith.core.contracts.dataset:Sample",
    "Split": "sightsmith.core.contracts.dataset:Split",
    "Writer": "sightsmith.core.contracts.dataset:Writer",
    "ExportFormat": "sightsmith.core.contracts.exporter:ExportFormat",
    "Exporter": "sightsmith.core.contracts.exporter:Exporter",
    "Outputs": "sightsmith.core.contracts.exporter:Outputs",
    "Runner": "sightsmith.core.contracts.exporter:Runner",
    "Array": "sightsmith.core.contracts.image:Array",
    "Frame": "sightsmith.core.contracts.image:Frame",
    "ImageError": "sightsmith.core.contracts.image:ImageError",
    "Geometry": "sightsmith.core.contracts.image:Geometry",
    "ImageInfo": "sightsmith.core.contracts.image:ImageInfo",
    "MissingReaderError": "sightsmith.core.contracts.image:MissingReaderError",
    "Reader": "sightsmith.core.contracts.image:Reader",
    "window_limits": "sightsmith.engine.data.grey_levels:window_limits",
    "MetricLogger": "sightsmith.core.contracts.logger:MetricLogger",
    "ModuleBuilder": "sightsmith.core.contracts.module_network:ModuleBuilder",
    "Plan": "sightsmith.core.contracts.plan:Plan",
    "PredictedObject": "sightsmith.core.contracts.prediction:PredictedObject",
    "Prediction": "sightsmith.core.contracts.prediction:Prediction",
    "Recommendation": "sightsmith.core.contracts.recommendation:Recommendation",
    "RecommendedValue": "sightsmith.core.contracts.recommendation:RecommendedValue",
    "Colour": "sightsmith.core.contracts.report:Colour",
    "Picture": "sightsmith.core.contracts.report:Picture",
    "Section": "sightsmith.core.contracts.report:Section",
    "Model": "sightsmith.core.contracts.results:Model",
    "PredictionT": "sightsmith.core.contracts.results:PredictionT",
    "ResultT": "sightsmith.core.contracts.results:ResultT",
    "RawPrediction": "sightsmith.core.contracts.results:RawPrediction",
    "SampleResult": "sightsmith.core.contracts.results:SampleResult",
    "AugmentConfig": "sightsmith.core.contracts.schema:AugmentConfig",
    "Config": "sightsmith.core.contracts.schema:Config",
    "ImageConfig": "sightsmith.core.contracts.schema:ImageConfig",
    "NetworkConfig": "sightsmith.core.contracts.schema:NetworkConfig",
    "TaskConfig": "sightsmith.core.contracts.schema:TaskConfig",
    "is_among": "sightsmith.core.contracts.keys:is_among",
    "Parameter": "sightsmith.engine.search.search_space:Parameter",
    "Value": "sightsmith.engine.search.search_space:Value",
    "Task": "sightsmith.core.contracts.task:Task",
    "Asked": "sightsmith.engine.search.tuner:Asked",
    "AsynchronousTuner": "sightsmith.engine.search.tuner:AsynchronousTuner",
    "SearchSpace": "sightsmith.engine.search.tuner:SearchSpace",
    "Suggestion": "sightsmith.engine.search.tuner:Suggestion",
    "Train": "sightsmith.engine.search.tuner:Train",
    "TrialResult": "sightsmith.engine.search.tuner:TrialResult",
    "Tuner": "sightsmith.engine.search.tuner:Tuner",
    "ranked": "sightsmith.engine.search.tuner:ranked",
    "LoadReport": "sightsmith.core.contracts.weights:LoadReport",
    "PublishedWeights": "sightsmith.core.contracts.weights:PublishedWeights",
    "stem_of": "sightsmith.core.util.files:stem_of",
    "cache_dir": "sightsmith.core.util.files:cache_dir",
    "fill_folder": "sightsmith.core.util.files:fill_folder",
    "resolved_path": "sightsmith.core.util.files:resolved_path",
    "short_path": "sightsmith.core.util.files:short_path",
    "write_atomic": "sightsmith.core.util.files:write_atomic",
    "write_json": "sightsmith.core.util.files:write_json",
    "format_metric": "sightsmith.core.util.text:format_metric",
    "AnnotatedImage": "sightsmith.engine.data.annotated_image:AnnotatedImage",
    "ComposingAugmentation": "sightsmith.engine.data.annotated_image:ComposingAugmentation",
    "GeometricAugmentation": "sightsmith.engine.data.annotated_image:GeometricAugmentation",
    "PhotometricAugmentation": "sightsmith.engine.data.annotated_image:PhotometricAugmentation",
    "HEAD": "sightsmith.engine.data.annotation_files:HEAD",
    "LARGEST_TEXT": "sightsmith.engine.data.annotation_files:LARGEST_TEXT",
    "about_link": "sightsmith.engine.data.annotation_files:about_link",
    "files_in": "sightsmith.engine.data.annotation_files:files_in",
    "has_images": "sightsmith.engine.data.annotation_files:has_images",
    "images_by_stem": "sightsmith.engine.data.annotation_files:images_by_stem",
    "images_in": "sightsmith.engine.data.annotation_files:images_in",
    "is_inside": "sightsmith.engine.data.image_files:is_inside",
    "is_there": "sightsmith.engine.data.annotation_files:is_there",
    "natural_order": "sightsmith.engine.data.annotation_files:natural_order",
    "read_bytes": "sightsmith.engine.data.annotation_files:read_bytes",
    "read_head": "sightsmith.engine.data.annotation_files:read_head",
    "read_json": "sightsmith.engine.data.annotation_files:read_json",
    "read_yaml": "sightsmith.engine.data.annotation_files:read_yaml",
    "read_text": "sightsmith.engine.data.annotation_files:read_text",
    "relative_name": "sightsmith.engine.data.annotation_files:relative_name",
    "subfolders": "sightsmith.engine.data.annotation_files:subfolders",
    "walk_files": "sightsmith.engine.data.annotation_files:walk_files",
    "read_flag": "sightsmith.engine.data.annotation_values:read_flag",
    "read_id": "sightsmith.engine.data.annotation_values:read_id",
    "read_integer": "sightsmith.engine.data.annotation_values:read_integer",
    "read_number": "sightsmith.engine.data.annotation_values:read_number",
    "read_numbers": "sightsmith.engine.data.annotation_values:read_numbers",
    "read_size": "sightsmith.engine.data.annotation_values:read_size",
    "ImageFinder": "sightsmith.engine.data.image_finder:ImageFinder",
    "ImageFrame": "sightsmith.engine.data.image_finder:ImageFrame",
    "join_files": "sightsmith.engine.data.joined_files:join_files",
    "split_frame": "sightsmith.engine.data.image_finder:split_frame",
    "SPLIT_NAMES": "sightsmith.engine.data.split_names:SPLIT_NAMES",
    "split_of": "sightsmith.engine.data.split_names:split_of",
    "CheckedAugmentation": "sightsmith.engine.data.augmentations:CheckedAugmentation",
    "apply_augmentations": "sightsmith.engine.data.augmentations:apply_augmentations",
    "apply_composing": "sightsmith.engine.data.augmentations:apply_composing",
    "apply_geometric": "sightsmith.engine.data.augmentations:apply_geometric",
    "has_kind": "sightsmith.engine.data.augmentations:has_kind",
    "FileCache": "sightsmith.engine.data.cache:FileCache",
    "MemoryCache": "sightsmith.engine.data.cache:MemoryCache",
    "Uniform": "sightsmith.engine.data.color_jitter:Uniform",
    "color_jitter": "sightsmith.engine.data.color_jitter:color_jitter",
    "DatasetStatistics": "sightsmith.engine.data.dataset_statistics:DatasetStatistics",
    "default_recipe": "sightsmith.engine.pipeline.default_recipe:default_recipe",
    "is_image": "sightsmith.engine.data.image_files:is_image",
    "integer_limits": "sightsmith.engine.data.image_limits:integer_limits",
    "read_image": "sightsmith.engine.data.images:read_image",
    "read_input": "sightsmith.engine.data.images:read_input",
    "check_image_size": "sightsmith.engine.data.image_limits:check_size",
    "check_jpeg_scans": "sightsmith.engine.data.image_limits:check_jpeg_scans",
    "largest_value": "sightsmith.engine.data.grey_levels:largest",
    "IGNORED": "sightsmith.engine.data.masks:IGNORED",
    "MaskError": "sightsmith.engine.data.masks:MaskError",
    "mask_frames": "sightsmith.engine.data.masks:mask_frames",
    "picture_values": "sightsmith.engine.data.masks:picture_values",
    "semantic_map": "sightsmith.engine.data.masks:semantic_map",
    "mask_area": "sightsmith.engine.data.masks:area",
    "mask_box": "sightsmith.engine.data.masks:box",
    "decode_mask": "sightsmith.engine.data.masks:decode",
    "encode_mask": "sightsmith.engine.data.masks:encode",
    "run_lengths": "sightsmith.engine.data.masks:encoded",
    "mask_from_counts": "sightsmith.engine.data.masks:from_counts",
    "blended": "sightsmith.engine.data.thumbnails:blended",
    "cut_out": "sightsmith.engine.data.thumbnails:cut_out",
    "channelwise": "sightsmith.engine.data.channelwise:channelwise",
    "load_rgb": "sightsmith.engine.data.thumbnails:load_rgb",
    "network_rgb": "sightsmith.engine.data.thumbnails:network_rgb",
    "FALSE_NEGATIVE": "sightsmith.engine.data.thumbnails:FALSE_NEGATIVE",
    "FALSE_POSITIVE": "sightsmith.engine.data.thumbnails:FALSE_POSITIVE",
    "TRUE_POSITIVE": "sightsmith.engine.data.thumbnails:TRUE_POSITIVE",
    "SHOWN_THUMBNAILS": "sightsmith.engine.data.thumbnails:SHOWN",
    "escape_dollars": "sightsmith.engine.data.thumbnails:plain",
    "of_crowds": "sightsmith.engine.data.write:of_crowds",
    "Head": "sightsmith.engine.runs.heads:Head",
    "find_heads": "sightsmith.engine.runs.heads:find_heads",
    "plain_layout": "sightsmith.engine.runs.heads:plain_layout",
    "HeadLayout": "sightsmith.engine.runs.heads:Layout",
    "HeadRow": "sightsmith.engine.runs.heads:Row",
    "is_out_of_memory": "sightsmith.engine.runs.resources:is_out_of_memory",
    "CHANGEABLE": "sightsmith.engine.runs.resume:CHANGEABLE",
    "PLAIN_STEM": "sightsmith.engine.runs.weights:PLAIN_STEM",
    "Stem": "sightsmith.engine.runs.weights:Stem",
    "WeightsFile": "sightsmith.engine.runs.weights:WeightsFile",
    "file_digest": "sightsmith.engine.runs.weights:file_digest",
    "load_by_class": "sightsmith.engine.runs.weights:load_by_class",
    "load_matching": "sightsmith.engine.runs.weights:load_matching",
    "read_weights": "sightsmith.engine.runs.weights:read_weights",
    "read_starting_weights": "sightsmith.engine.runs.published:read_starting_weights",
    "as_distribution": "sightsmith.engine.search.sweep_syntax:as_distribution",
    "build_module": "sightsmith.engine.training.network_module:build_module",
    "load_module_weights": "sightsmith.engine.training.network_module:load_module_weights",
    "to_float32": "sightsmith.engine.training.precision:to_float32",
}
"""Names that are imported on first access, with their location."""

__all__ = [
    "CHANGEABLE", "FALSE_NEGATIVE", "FALSE_POSITIVE", "HEAD", "IGNORED", "IMAGE_SUFFIXES", "LARGEST_TEXT", "PLAIN_STEM",
    "SHOWN_THUMBNAILS", "SPLIT_NAMES", "TRUE_POSITIVE", "AnnotatedImage", "Annotation", "Array", "Asked",
    "AsynchronousTuner", "AugmentConfig", "AugmentationRecord", "Box", "CheckedAugmentation", "CheckedDataset",
    "Colour", "CommandRecord", "ComposingAugmentation", "Config", "ConfigPath", "DatasetFormat", "DatasetFormatRecord",
    "DatasetIndex", "DatasetStatistics", "ExportFormat", "ExportFormatRecord", "Exporter", "FileCache", "Finding",
    "FormatMatch", "Frame", "GeometricAugmentation", "Geometry", "Head", "HeadLayout", "HeadRow", "ImageConfig",
    "ImageError", "ImageFinder", "ImageFrame", "ImageInfo", "ImageReaderRecord", "LoadReport", "LoggerRecord", "Mask",
    "MaskError", "MemoryCache", "MetricLogger", "MissingReaderError", "Model", "ModuleBuilder", "ModuleNetworkRecord",
    "NetworkConfig", "NetworkRecord", "Object", "Option", "Outputs", "Parameter", "PhotometricAugmentation", "Picture",
    "Plan", "Plugins", "Polygons", "PredictedObject", "Prediction", "PredictionT", "PresetFolder", "Problem",
    "PublishedWeights", "RawPrediction", "Reader", "RecipeRecord", "Recommendation", "RecommendedValue", "ResultT",
    "RunLengths", "Runner", "Sample", "SampleResult", "Score", "SearchSpace", "Section", "SemanticMask", "Split",
    "Stem", "Suggestion", "Task", "TaskConfig", "TaskRecord", "Train", "TrialResult", "Tuner", "TunerRecord", "Uniform",
    "UserError", "Value", "WeightsFile", "Writer", "ZooNetwork", "about_link", "apply_augmentations", "apply_composing",
    "apply_geometric", "as_distribution", "blended", "build_module", "cache_dir", "channelwise", "check_image_size",
    "check_jpeg_scans", "color_jitter", "cut_out", "decode_mask", "default_recipe", "encode_mask", "escape_dollars",
    "file_digest", "files_in", "fill_folder", "find_heads", "format_metric", "has_images", "has_kind", "hookimpl",
    "images_by_stem", "images_in", "integer_limits", "is_among", "is_image", "is_inside", "is_out_of_memory",
    "is_there", "join_files", "largest_value", "listed", "load_by_class", "load_matching", "load_module_weights",
    "load_rgb", "mask_area", "mask_box", "mask_frames", "mask_from_counts", "natural_order", "near", "network_rgb",
    "of_crowds", "picture_values", "plain_layout", "ranked", "read_bytes", "read_flag", "read_head", "read_id",
    "read_image", "read_input", "read_integer", "read_json", "read_number", "read_numbers", "read_size",
    "read_starting_weights", "read_text", "read_weights", "read_yaml", "relative_name", "resolved_path", "richest",
    "run_lengths", "semantic_map", "short_path", "split_frame", "split_of", "stem_of", "subfolders", "to_float32",
    "walk_files", "window_limits", "write_atomic", "write_json",
]

if not TYPE_CHECKING:  # otherwise a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name not in LAZY:
            raise AttributeError(f"sightsmith.plugin has no {name!r}.{near(name, __all__)}")
        globals()[name] = value = resolve_name(LAZY[name])
        return value
