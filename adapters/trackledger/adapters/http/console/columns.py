"""What does each list say of itself, and which columns does it show?"""

from trackledger.adapters.http.console.queueing import Queue, Shown

SHIPMENT = Shown("reference", "Shipment", "shipment")
MILESTONE = Shown("milestone", "Milestone", "chip")
LOCATION = Shown("location", "Location", "text")
CARRIER = Shown("carrier", "Carrier")
NUMBER = Shown("tracking_number", "Tracking number", "mono")
PROVIDER = Shown("provider", "Provider")

SHIPMENTS = Queue(
    "/shipments",
    "Shipments",
    "All of the account.",
    (
        Shown("reference", "Shipment", "shipment", sort="shipment_id"),
        MILESTONE,
        Shown("since", "Since", "ago"),
        LOCATION,
        CARRIER,
        NUMBER,
        Shown("order_id", "Order", "mono"),
        Shown("attempts", "Attempts", "number"),
        Shown("last_heard_at", "Heard of", "ago"),
    ),
    "No shipment is like that.",
)
NDR = Queue(
    "/ndr",
    "Failed deliveries",
    "Cases on which somebody has to act, the most urgent first.",
    (
        SHIPMENT,
        Shown("act_by", "To act", "left"),
        Shown("reason", "Reason", "words"),
        Shown("reason_said", "In the carrier's words", "text"),
        Shown("party", "Who acts", "tag"),
        Shown("state", "State", "tag"),
        Shown("attempts", "Attempts", "number"),
        Shown("last_attempt_at", "Last attempt", "ago"),
        LOCATION,
        CARRIER,
    ),
    "No delivery waits for anybody.",
    ("shipment_id", "case_no"),
    acts="Act",
)
STUCK = Queue(
    "/stuck",
    "Stuck",
    "Quiet for longer than their milestone and carrier allow.",
    (
        SHIPMENT,
        Shown("kind", "Kind", "words"),
        Shown("stuck_after", "Stuck for", "ago"),
        Shown("quiet_since", "Quiet since", "ago"),
        MILESTONE,
        LOCATION,
        CARRIER,
        NUMBER,
        Shown("provider_says_stuck", "Provider says so", "flag"),
    ),
    "Nothing has been quiet for too long.",
    acts="Act",
)
DATES = (
    SHIPMENT,
    Shown("promised_by", "Due", "left"),
    Shown("baseline", "Against", "words"),
    Shown("promised_to", "Promised", "day"),
    Shown("original_to", "First estimate", "day"),
    Shown("current_to", "Now expected", "day"),
    MILESTONE,
    LOCATION,
    CARRIER,
)
LATE = Queue("/late", "Late", "Open past the day they are measured against.", DATES, "Nothing is late.", acts="Act")
WILL_BE_LATE = Queue(
    "/will-be-late",
    "Will be late",
    "Not late yet, and expected after the day they are measured against.",
    DATES,
    "Nothing is expected after its day.",
    acts="Act",
)
PARKED = Queue(
    "/parked",
    "Parked",
    "Messages that nobody could read, the oldest first.",
    (
        Shown("message_id", "Message", "message"),
        PROVIDER,
        Shown("channel", "Channel"),
        Shown("reason", "Reason", "long"),
        Shown("received_at", "Received", "ago"),
        Shown("last_received_at", "Again", "ago"),
        Shown("times", "Times", "number"),
        Shown("bytes", "Bytes", "number"),
    ),
    "Every message could be read.",
    ("message_id",),
    picks="message_id",
)
UNMAPPED = Queue(
    "/unmapped",
    "Unmapped",
    "Statuses that no mapping knows, the most frequent first; they are kept as said and move nothing.",
    (
        PROVIDER,
        Shown("status_code", "Code", "mono"),
        Shown("text", "Text", "text"),
        Shown("count", "Count", "number"),
        Shown("first_seen", "First seen", "ago"),
        Shown("last_seen", "Last seen", "ago"),
        Shown("example_message_id", "For example", "message"),
    ),
    "Every status has a meaning.",
    ("provider", "status_code", "text"),
)
POLLS = Queue(
    "/polls",
    "Polls",
    "Trackers in the order in which they are asked about.",
    (
        Shown("shipment_id", "Shipment", "shipment_id"),
        PROVIDER,
        Shown("reference", "Tracker", "mono"),
        Shown("state", "State", "tag"),
        Shown("due_at", "Due", "ago"),
        Shown("asked_at", "Asked", "ago"),
        Shown("asked", "Times", "number"),
        Shown("outcome", "Outcome", "words"),
        Shown("failures", "Failures", "number"),
        Shown("reason", "Why then", "long"),
        Shown("account_stopped", "Stopped", "trouble"),
    ),
    "Nothing is asked about.",
    ("tracker",),
)
