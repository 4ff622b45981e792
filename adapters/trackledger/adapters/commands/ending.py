"""How does long work end when the process is told to end?"""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def ends_as_by_ctrl_c() -> Generator[None]:
    """SIGTERM is heard as Ctrl-C in the block, so that what is half made is removed, and a lease is given back."""
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread hears signals.
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
