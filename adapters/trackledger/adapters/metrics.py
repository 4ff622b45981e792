"""What is counted while the ledger works, for a monitoring system to collect?"""

from prometheus_client import CollectorRegistry, Counter, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
TOGETHER = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Metrics:
    """The counters of one process, in a registry of their own, so that several ledgers live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.webhooks = Counter(
            "trackledger_webhooks",
            "Requests to webhook endpoints, by what became of them",
            ("provider", "outcome"),
            registry=self.registry,
        )
        self.webhook_seconds = Histogram(
            "trackledger_webhook_seconds",
            "Time from the request to its answer",
            ("provider",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.commits = Histogram(
            "trackledger_webhook_commit_messages",
            "Messages that were committed together",
            buckets=TOGETHER,
            registry=self.registry,
        )
        self.messages = Counter(
            "trackledger_messages",
            "Messages taken in, by what became of them",
            ("provider", "state"),
            registry=self.registry,
        )
        self.polls = Counter(
            "trackledger_polls", "Calls to providers, by outcome", ("provider", "outcome"), registry=self.registry
        )
