"""What do other processes need in order to follow a simulated world: a configuration and its parcels?"""

import json
from collections.abc import Iterator

from trackledger.adapters.simulator.simulation import Running
from trackledger.adapters.simulator.wire import SECRET

VARIABLE = "SIMULATED_KEY_OF_"
SECRET_VARIABLE = "SIMULATED_WEBHOOK_SECRET"
TOKEN_VARIABLE = "SIMULATED_TOKEN"


def environment(running: Running) -> dict[str, str]:
    """The variables that the configuration names. None is a secret: they open nothing but a simulator on loopback, and
    the ledger that follows it."""
    keys = {f"{VARIABLE}{one.name.upper()}": one.key for one in running.connections if one.is_asked}
    return keys | {SECRET_VARIABLE: SECRET, TOKEN_VARIABLE: running.token}


def configuration(running: Running, database: str, host: str, port: int) -> str:
    """A configuration file for `serve`, `poll` and `run`, which are to listen at this host and port."""
    clock = running.clock
    lines = [
        "# Written by `trackledger simulate`, for as long as it runs.",
        *(f"# export {name}={value}" for name, value in environment(running).items()),
        f"database = {_text(database)}",
        "",
        "[server]",
        f"host = {_text(host)}",
        f"port = {port}",
        "",
        "[[tokens]]",
        'name = "demo"',
        f"account = {_text(running.account)}",
        f"token_env = {_text(TOKEN_VARIABLE)}",
        'rights = "operate"',
        "raw = true",
        "",
    ]
    if clock.world and clock.real:
        lines += ["[clock]", f"world = {clock.world.isoformat()}", f"real = {clock.real.isoformat()}"]
        lines += [f"speed = {float(clock.speed)}"]
        lines += [f"ends = {clock.ends.isoformat()}", ""] if clock.ends else [""]
    for one in running.connections:
        if not (one.is_asked or one.is_heard):
            continue
        table = f"accounts.{_text(one.account)}.{one.provider}"
        lines.append(f"[{table}]")
        if one.is_asked:
            lines += [f"key_env = {_text(f'{VARIABLE}{one.name.upper()}')}", f"url = {_text(running.base(one.name))}"]
            lines += [f"user = {_text(one.user)}"] if one.user else []
        lines.append("")
        if one.is_heard:
            lines += [f"[[{table}.webhooks]]", f"endpoint = {_text(one.endpoint)}"]
            lines += [f"secrets_env = [{_text(SECRET_VARIABLE)}]"]
            lines += [f"sender = {_text(one.sender)}"] if one.sender else []
            lines.append("")
    return "\n".join(lines)


def parcels(running: Running) -> Iterator[str]:
    """One line for each parcel, as `trackledger register --file` reads them."""
    for one in running.registrations():
        (tracker,) = one.trackers
        fields = {"account": one.account, "trackers": f"{tracker.provider}:{tracker.reference}", **one.details}
        if tracker.provider == "aftership":
            fields |= {"tracking_number": tracker.tracking_number}
        if one.promised and one.promised.ends:
            fields |= {"promised": one.promised.ends.local_date.isoformat()}
        yield json.dumps(fields)


def _text(said: str) -> str:
    """A TOML string, which JSON's are."""
    return json.dumps(said)
