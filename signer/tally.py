"""The signer's counters, by index into its counter file; their meaning is their name."""

from __future__ import annotations

from engine.host.duty import PROCESS_COUNTERS

NAMES = (
    "orders_signed",
    "orders_sent",
    "orders_open",
    "acks",
    "rejects",
    "unknowns",
    "dones",
    "cancels_sent",
    "cancel_alls",
    "log_bytes",
    "log_torn_bytes",
    "connects",
    "request_errors",
    "lookups",
    "core_silent",
    "repeated_orders",
    "commands_unknown",
    "clock_skew_s",
    "sign_ns_last",
    "sign_ns_max",
)
(
    ORDERS_SIGNED,
    ORDERS_SENT,
    ORDERS_OPEN,
    ACKS,
    REJECTS,
    UNKNOWNS,
    DONES,
    CANCELS_SENT,
    CANCEL_ALLS,
    LOG_BYTES,
    LOG_TORN_BYTES,
    CONNECTS,
    REQUEST_ERRORS,
    LOOKUPS,
    CORE_SILENT,
    REPEATED_ORDERS,
    COMMANDS_UNKNOWN,
    CLOCK_SKEW_S,
    SIGN_NS_LAST,
    SIGN_NS_MAX,
) = range(len(PROCESS_COUNTERS), len(PROCESS_COUNTERS) + len(NAMES))
