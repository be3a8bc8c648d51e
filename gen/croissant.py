"""Croissant metadata of a dataset (version 1.0, JSON-LD over schema.org): files with hashes, and fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from gen.overview import Overview
from gen.record import SCHEMA

_CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/", "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/", "dct": "http://purl.org/dc/terms/", "citeAs": "cr:citeAs",
    "column": "cr:column", "conformsTo": "dct:conformsTo", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "extract": "cr:extract", "field": "cr:field",
    "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format":
    "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet":
    "cr:recordSet", "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace":
    "cr:replace", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform":
    "cr:transform",
}  # fmt: skip
_ENCODINGS = {
    ".tar": "application/x-tar", ".parquet": "application/x-parquet", ".jsonl": "application/jsonlines",
    ".json": "application/json", ".png": "image/png", ".jpg": "image/jpeg",
    ".glb": "model/gltf-binary", ".obj": "model/obj", ".mtl": "model/mtl",
}  # fmt: skip


def metadata(overview: Overview) -> dict[str, Any]:
    """Describe the dataset."""
    recipe = overview.plan.recipe
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{recipe.kind}-{overview.plan.digest[:8]}",
        "description": f"{recipe.title()}; synthetic, no real person.",
        "license": f"https://spdx.org/licenses/{recipe.licence}.html",
        "version": f"{recipe.version}.0.0",
        "citeAs": f"Mien, plan {overview.plan.digest}",
        "rai:dataCollection": overview.origin.collection,
        "rai:personalSensitiveInformation": "None: nobody real; demographic fields are rendered looks.",
        "rai:dataSyntheticIndicator": True,
        "distribution": [*_objects(overview), _file_set(overview)],
        "recordSet": [_records(overview)],
    }


def _objects(overview: Overview) -> list[dict[str, Any]]:
    """One FileObject per data file, with the hash that the shard's marker recorded, and those of the layout."""
    hashes: dict[str, str] = {}
    for marker in sorted((overview.out / "data").glob(f"{overview.plan.recipe.name}-?????.json")):
        found = json.loads(marker.read_text("utf-8"))["sha256"]
        hashes |= {name: found[name] for name in sorted(found) if name.startswith("data/")}
    hashes |= overview.layout.get("sha256", {})
    return [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": _ENCODINGS.get(Path(name).suffix, "application/octet-stream"),
            "sha256": digest,
        }
        for name, digest in hashes.items()
    ]


def _file_set(overview: Overview) -> dict[str, Any]:
    """The files that hold the rows."""
    pattern = row_files(overview)
    return {
        "@type": "cr:FileSet", "@id": "rows", "name": "rows", "includes": pattern,
        "encodingFormat": _ENCODINGS[Path(pattern).suffix],
    }  # fmt: skip


def row_files(overview: Overview) -> str:
    """Glob of the files that hold the rows."""
    name = overview.plan.recipe.name
    return (
        f"data/{name}-?????/metadata.jsonl"
        if overview.plan.recipe.format == "folder"
        else f"data/{name}-*.parquet"
    )


def _records(overview: Overview) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "key": {"@id": "samples/id"},
        "field": [_field(column) for column in SCHEMA],
    }


def _field(column: pa.Field) -> dict[str, Any]:
    repeated = pa.types.is_list(column.type)
    field = {
        "@type": "cr:Field",
        "@id": f"samples/{column.name}",
        "name": column.name,
        "dataType": _data_type(column.type.value_type if repeated else column.type),
        "source": {"fileSet": {"@id": "rows"}, "extract": {"column": column.name}},
    }
    return {**field, "repeated": True} if repeated else field


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
