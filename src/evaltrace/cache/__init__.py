"""What was read before, kept so that unchanged trials are not read again.

For each job and set of options, the cache holds the traces and what each of them depended on.
An unchanged trial costs a few looks at the file system; its trace is copied. The traces are
the same, byte for byte, with the cache and without.
"""

from evaltrace.cache.index import KeptTrial
from evaltrace.cache.keys import code_digest, prices_digest
from evaltrace.cache.shelf import Reading
from evaltrace.cache.store import Cache, Kept, forget, kept_jobs

__all__ = [
    "Cache",
    "Kept",
    "KeptTrial",
    "Reading",
    "code_digest",
    "forget",
    "kept_jobs",
    "prices_digest",
]
