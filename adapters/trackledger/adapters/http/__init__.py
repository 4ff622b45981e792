"""Which web application serves one ledger?"""

from trackledger.adapters.http.application import create_app

__all__ = ["create_app"]
