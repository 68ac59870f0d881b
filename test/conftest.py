"""What a shell has told this process to ignore is not ignored by the processes that tests start."""

from __future__ import annotations

import signal

# Under `nohup`, or in the background of a script, a run ignores these, and so would its children, who are to end by them.
# Unlike what is ignored, a handler does not pass on to them.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)
