"""How do the long-running commands write their log?

As one JSON object a line on standard error, with time, level, logger, event, and whatever a record carries besides. A
host that embeds the ledger configures `logging` as it likes; the library itself only writes records.
"""

import logging
import sys

import structlog


def configure(level: str = "info") -> None:
    """Send every record of this process, also those of the web server, to standard error as JSON."""
    stamped: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _without_color,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=stamped,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for quiet in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def _without_color(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The web server gives its messages once more, for terminals."""
    event.pop("color_message", None)
    return event
