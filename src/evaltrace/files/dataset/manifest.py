"""The manifest of a data set: which files count, and which jobs they hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from evaltrace.errors import NotATraceFile, Problem, UnreadablePath
from evaltrace.files.forms import FORMAT, MANIFEST
from evaltrace.files.replacement import whole_file
from evaltrace.tables import TABLES
from evaltrace.trace import SCHEMA_VERSION, Input, Tool

_SAFE_PATH = re.compile(
    rf"(?:{'|'.join(TABLES)})/arm=[^/\0]*/job=[^/\0]*/part-[0-9a-f]{{20}}\.parquet"
)
_AGAIN = (
    "Remove it, or name another folder, and write it again: "
    "evaltrace aggregate JOB --format parquet -o FOLDER"
)


class DataFile(msgspec.Struct, kw_only=True, frozen=True):
    """A Parquet file of one table, one arm and one job; `path` is relative to the data set."""

    table: str
    arm: str | None
    path: str
    rows: int
    digest: str


class JobEntry(msgspec.Struct, kw_only=True):
    """A job of a data set: where it comes from, what was wrong, its files in reading order."""

    job_name: str | None
    job_id: str | None
    inputs: list[Input] = []
    problems: list[Problem] = []
    files: list[DataFile] = []

    @property
    def key(self) -> tuple[str | None, str | None]:
        """What tells jobs apart: a job written again has the same name and id."""
        return self.job_name, self.job_id


class Manifest(msgspec.Struct, kw_only=True):
    """What a data set holds; `problems` are those that concern no single job."""

    format: str = FORMAT
    schema_version: str = SCHEMA_VERSION
    tool: Tool
    jobs: list[JobEntry] = []
    problems: list[Problem] = []

    def files(self, table: str) -> list[DataFile]:
        """List the files of a table in reading order."""
        return [file for job in self.jobs for file in job.files if file.table == table]

    def inputs(self) -> list[Input]:
        """List the jobs that were aggregated."""
        return [row for job in self.jobs for row in job.inputs]

    def all_problems(self) -> list[Problem]:
        """List all problems, those of no single job first."""
        return [*self.problems, *(problem for job in self.jobs for problem in job.problems)]


_MANIFEST = msgspec.json.Decoder(Manifest)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a data set.

    Raises UnreadablePath, and NotATraceFile for one that is damaged, of a later version, or
    that names files outside the folder.
    """
    path = folder / MANIFEST
    try:
        manifest = _MANIFEST.decode(path.read_bytes())
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadablePath(f"Cannot read ({reason})", where=str(path)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _no_dataset(path, str(error)) from None
    _check(manifest, path)
    return manifest


def _check(manifest: Manifest, path: Path) -> None:
    if manifest.format != FORMAT:
        raise _no_dataset(path, "it is of another format")
    if manifest.schema_version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        hint = "Read it with the version of evaltrace that wrote it, or a later one."
        raise _no_dataset(path, f"its schema version is {manifest.schema_version!r}", hint)
    for job in manifest.jobs:
        for file in job.files:
            if not _SAFE_PATH.fullmatch(file.path) or not file.path.startswith(f"{file.table}/"):
                raise _no_dataset(path, f"it names a strange file, {file.path[:200]!r}")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest at once: from here on its files are the data set."""
    head = {key: getattr(manifest, key) for key in ("format", "schema_version", "tool")}
    opening = msgspec.json.encode(head)[:-1]
    # A line for each job: a manifest is read by people too, and compared by diff.
    jobs = b",\n".join(msgspec.json.encode(job) for job in manifest.jobs)
    problems = msgspec.json.encode(manifest.problems)
    with whole_file(folder / MANIFEST) as file:
        file.write(opening + b',"jobs":[\n' + jobs + b'\n],"problems":' + problems + b"}\n")


def table_files(folder: str | Path, table: str) -> list[str]:
    """List the Parquet files of a table (trials, events, tool_calls, tests) of a data set.

    For pandas, polars and whatever else reads Parquet: only these files count. Raises what
    read_manifest raises.
    """
    return [str(Path(folder) / file.path) for file in read_manifest(Path(folder)).files(table)]


def in_order(jobs: Sequence[JobEntry]) -> list[JobEntry]:
    """Sort jobs by name and id, those without first."""
    return sorted(jobs, key=lambda job: [(part is not None, part or "") for part in job.key])


def _no_dataset(path: Path, reason: str, hint: str = _AGAIN) -> NotATraceFile:
    return NotATraceFile("Not a data set of traces", where=f"{path}: {reason}", hint=hint)
