"""Which shipments are an account's, where only their ids say so?

An id begins with its account and a colon, see `checkpoints.tracker_key`, and no account has a colon in its name.
"""


def of_account(column: str) -> str:
    """The condition that a column of ids is of one account, in a range that an index answers; its parameters are those
    of `bounds`."""
    return f"{column} >= :first_id AND {column} < :beyond_id"


def bounds(account: str) -> dict[str, str]:
    """The least id that an account can have, and the least that is beyond all of them."""
    return {"first_id": f"{account}:", "beyond_id": f"{account};"}
