"""A Parquet data set: a folder of four tables, partitioned by arm and job.

`_manifest.json` names the files that count: what it does not name is not there. Other jobs
are added to a data set, a job that is written again replaces its own files only.
"""

from evaltrace.files.dataset.arrow import require_utf8
from evaltrace.files.dataset.footers import require_footer
from evaltrace.files.dataset.manifest import (
    DataFile,
    JobEntry,
    Manifest,
    read_manifest,
    table_files,
)
from evaltrace.files.dataset.reading import read_frame, read_texts, verify_files
from evaltrace.files.dataset.writing import write_dataset

__all__ = [
    "DataFile",
    "JobEntry",
    "Manifest",
    "read_frame",
    "read_manifest",
    "read_texts",
    "require_footer",
    "require_utf8",
    "table_files",
    "verify_files",
    "write_dataset",
]
