"""Arms from paths: files of traces and jobs, reduced trial by trial, split where needed."""
