"""For all tests: what a terminal gives to a program is there, also where the tests run in the background."""

import gc
import signal

# A shell starts background jobs with SIGINT ignored, nohup with SIGHUP; both are inherited by every child. A signal
# that is caught here has its default again in the programs that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: to look for garbage in it again and again costs a twelfth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)
