"""The part of SARIF 2.1.0 that we write, typed: objects and names are those of the standard.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Object(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class Message(_Object):
    """Text for people (3.11)."""

    text: str


class ArtifactLocation(_Object):
    """A file: a relative address, percent-encoded, and what it is relative to (3.4)."""

    uri: str
    uri_base_id: str = "%SRCROOT%"


class Region(_Object):
    """Lines of a file, from 1 (3.30); `end_column` is the one behind the last."""

    start_line: int = Field(ge=1)
    start_column: int | None = Field(default=None, ge=1)
    end_line: int | None = Field(default=None, ge=1)
    end_column: int | None = Field(default=None, ge=1)


class PhysicalLocation(_Object):
    """Where in which file (3.29)."""

    artifact_location: ArtifactLocation
    region: Region | None = None


class Location(_Object):
    """A place that a result is about (3.28)."""

    physical_location: PhysicalLocation


class Replacement(_Object):
    """What goes and what comes in its place (3.57)."""

    deleted_region: Region
    inserted_content: Message | None = None


class ArtifactChange(_Object):
    """All replacements of one file (3.56)."""

    artifact_location: ArtifactLocation
    replacements: tuple[Replacement, ...] = Field(min_length=1)


class Fix(_Object):
    """A proposed fix of a result (3.55)."""

    description: Message
    artifact_changes: tuple[ArtifactChange, ...] = Field(min_length=1)


class Rule(_Object):
    """What a kind of result means (3.49)."""

    id: str
    name: str
    short_description: Message
    full_description: Message
    help_uri: str | None = None


class Result(_Object):
    """One failing test (3.27)."""

    rule_id: str
    rule_index: int
    level: Literal["none", "note", "warning", "error"]
    message: Message
    locations: tuple[Location, ...] = Field(max_length=1000)
    partial_fingerprints: dict[str, str]
    fixes: tuple[Fix, ...] | None = None


class Driver(_Object):
    """The tool (3.19)."""

    name: str
    version: str
    rules: tuple[Rule, ...]


class Tool(_Object):
    """The tool and its extensions (3.18)."""

    driver: Driver


class Notification(_Object):
    """What a tool has to say of its own run (3.58)."""

    level: Literal["none", "note", "warning", "error"]
    message: Message


class Invocation(_Object):
    """How the run ended (3.20)."""

    execution_successful: bool
    tool_execution_notifications: tuple[Notification, ...] = ()


class Run(_Object):
    """One run of the tool (3.14)."""

    tool: Tool
    invocations: tuple[Invocation, ...]
    column_kind: Literal["unicodeCodePoints"] = "unicodeCodePoints"
    results: tuple[Result, ...]


class Log(_Object):
    """The whole file (3.13)."""

    schema_: str = Field(
        default="https://json.schemastore.org/sarif-2.1.0.json", serialization_alias="$schema"
    )
    version: Literal["2.1.0"] = "2.1.0"
    runs: tuple[Run, ...]
