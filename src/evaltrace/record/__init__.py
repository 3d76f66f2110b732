"""Recording of live runs: every event is a line of a journal, the end makes a trace of it."""

from evaltrace.record.calls import (
    end_execution_trace,
    log_trace_event,
    recording,
    start_execution_trace,
)
from evaltrace.record.decorated import traced
from evaltrace.record.faults import RecordingFailure, RecordingWarning
from evaltrace.record.live import Recording, current_recording
from evaltrace.record.options import RecordingOptions
from evaltrace.record.recovery import Recorded, recordings, recover
from evaltrace.record.steps import Step

__all__ = [
    "Recorded",
    "Recording",
    "RecordingFailure",
    "RecordingOptions",
    "RecordingWarning",
    "Step",
    "current_recording",
    "end_execution_trace",
    "log_trace_event",
    "recording",
    "recordings",
    "recover",
    "start_execution_trace",
    "traced",
]
