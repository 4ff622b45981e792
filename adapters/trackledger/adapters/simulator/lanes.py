"""Who moves parcels for whom, and which ways?"""

from trackledger.adapters.simulator.plan import Carrier, Lane
from trackledger.domain.milestones import Milestone

M = Milestone

_PRAIRIE = Lane("Reno", "Louisville", "Tulsa", "Tulsa", "America/Chicago", "US", "US")

_INDIA, _SYDNEY, _ATHENS = "Asia/Kolkata", "Australia/Sydney", "Europe/Athens"

CARRIERS: dict[str, tuple[Carrier, ...]] = {
    "clickpost": (Carrier("Delhivery", "4", "88"), Carrier("Xpressbees", "6", "1433"), Carrier("Ekart", "55", "FMPP")),
    "ship24": (Carrier("DHL Paket", "dhl-paket", "0034"), Carrier("Chronopost", "chronopost", "XN")),
    "shippit": (Carrier("Eastline Couriers", "EastlineCouriers", "ELC"), Carrier("Koala Post", "KoalaPost", "KP")),
    "shiplemon": (Carrier("ELTA Courier", "elta", "SA"), Carrier("ACS Courier", "acs", "77")),
    "rye": (Carrier("UPS", "ups", "1ZR"), Carrier("USPS", "usps", "9261")),
    "rye2": (Carrier("UPS", "ups", "1ZS"), Carrier("FedEx", "fedex", "7945")),
    "aftership": (Carrier("UPS", "ups", "1Z"), Carrier("Royal Mail", "royal-mail", "RM")),
}
"""Provider to carriers, with the code by which the provider knows each. `rye2` is Rye's second generation."""

LANES: dict[str, tuple[Lane, ...]] = {
    "clickpost": (
        Lane("Surat_Udhna_H (Gujarat)", "Nagpur_GW", "Kochi", "Kochi_Edappally_D (Kerala)", _INDIA, "IN", "IN"),
        Lane("Ludhiana_Focal_H (Punjab)", "Bilaspur_GW", "Mysuru", "Mysuru_Hebbal_D (Karnataka)", _INDIA, "IN", "IN"),
    ),
    "ship24": (
        Lane("Leipzig", "Speyer", "Lyon", "Lyon Corbas", "Europe/Paris", "DE", "FR"),
        Lane("Nantes", "Koeln", "Hamburg", "Hamburg Allermoehe", "Europe/Berlin", "FR", "DE"),
    ),
    "shippit": (
        Lane("Geelong", "Tullamarine", "Dubbo", "Dubbo depot", _SYDNEY, "AU", "AU"),
        Lane("Newcastle", "Chullora", "Wollongong", "Unanderra depot", _SYDNEY, "AU", "AU"),
    ),
    "shiplemon": (
        Lane("GR", "GR", "GR", "GR", _ATHENS, "GR", "GR"),
        Lane("GR", "GR", "CY", "CY", "Asia/Nicosia", "GR", "CY"),
    ),
    "rye": (_PRAIRIE,),
    "rye2": (_PRAIRIE,),
    "aftership": (
        _PRAIRIE,
        Lane("Leeds", "Warrington", "Truro", "Truro", "Europe/London", "GB", "GB"),
    ),
}
"""Provider to lanes. Shiplemon tells countries and no places."""

_SAID_BY_ALL = frozenset({M.INFO_RECEIVED, M.IN_TRANSIT, M.OUT_FOR_DELIVERY, M.DELIVERED})

_SAID_BY_AFTERSHIP = (
    _SAID_BY_ALL
    | {M.PICKED_UP, M.ARRIVED, M.CUSTOMS, M.ON_HOLD, M.DELAYED, M.DELIVERY_FAILED, M.AVAILABLE_FOR_PICKUP}
    | {M.EXCEPTION, M.LOST, M.DAMAGED, M.RETURNING, M.RETURNED, M.CANCELLED}
)

SAYS: dict[str, frozenset[Milestone]] = {
    "clickpost": frozenset(M) - {M.CUSTOMS, M.AVAILABLE_FOR_PICKUP, M.EXPIRED},
    "ship24": _SAID_BY_ALL
    | {M.PICKED_UP, M.ARRIVED, M.CUSTOMS, M.ON_HOLD, M.DELIVERY_FAILED, M.AVAILABLE_FOR_PICKUP}
    | {M.EXCEPTION, M.LOST, M.RETURNING, M.CANCELLED},
    "shippit": _SAID_BY_ALL
    | {M.PICKUP_SCHEDULED, M.PICKUP_FAILED, M.CUSTOMS, M.ON_HOLD, M.DELIVERY_FAILED, M.AVAILABLE_FOR_PICKUP}
    | {M.LOST, M.DAMAGED, M.RETURNED, M.CANCELLED, M.UNKNOWN},
    "shiplemon": _SAID_BY_ALL
    | {M.ARRIVED, M.DELIVERY_FAILED, M.AVAILABLE_FOR_PICKUP, M.CUSTOMS, M.EXCEPTION, M.RETURNING, M.UNKNOWN},
    "rye": _SAID_BY_AFTERSHIP,
    "rye2": frozenset({M.INFO_RECEIVED, M.IN_TRANSIT, M.OUT_FOR_DELIVERY, M.DELAYED, M.DELIVERED}),
    "aftership": _SAID_BY_AFTERSHIP,
}
"""Provider to the milestones that it has words for; no other happens to its parcels."""

SERVICES: dict[str, tuple[str, ...]] = {"shippit": ("standard", "express", "priority")}
"""Provider to service levels, where they decide how often it is asked."""
