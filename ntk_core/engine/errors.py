"""What the engine says when something other than the spec is wrong, one sentence each."""

from __future__ import annotations

WORKER_DIED = "the worker died, probably out of memory: lower the width or the number of seeds"
OUT_OF_MEMORY = "the run ran out of memory: lower the width or the number of seeds"
ENGINE_LOST = "the engine stopped while this was running: start it again"
TOO_LONG = "the limit of this spec takes too long to work out: lower the number of inputs"
NO_ANSWER = "the engine does not answer; try again in a moment"
STALLED = "nothing was heard of it for {minutes:.0f} minutes"
INCOMPLETE = "some of its results were lost on their way"
UNWATCHED = "nobody watched it for {minutes:.0f} minutes; start it again to go on"
UNEXPECTED = "something went wrong inside the computation; the server's log has the details"


class EngineError(RuntimeError):
    """The engine cannot do what it was asked; its message is a sentence for the page."""
