"""The adapters: everything that touches the world. Hosts compose a ledger with `open_runtime`."""

from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings

__all__ = ["Runtime", "Settings", "open_runtime"]
