"""Queues by what may wait for what: heartbeats never wait for reports."""

INGEST = "ingest"  # drains of heartbeat streams, long-lived
DETECT = "detect"  # timers, silence, incidents
ACT = "act"  # outbox, jobs
REPORT = "report"  # rollups, daily figures, housekeeping
ALL = (INGEST, DETECT, ACT, REPORT)
ROUTES = {
    "heartbeats.ring_drains": {"queue": DETECT},  # drains may hold every process of their own queue
    "heartbeats.sweep_silence": {"queue": DETECT},
    "heartbeats.*": {"queue": INGEST},
    "detection.*": {"queue": DETECT},
    "later.*": {"queue": ACT},
    "rollouts.*": {"queue": ACT},
    "rollups.*": {"queue": REPORT},
    "housekeeping.*": {"queue": REPORT},
    "audit.*": {"queue": REPORT},
}
