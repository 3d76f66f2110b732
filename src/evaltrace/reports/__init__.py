"""Text out of traces and comparisons: nothing here prints."""
