"""Which function carries out which kind of later work. Kinds register here by name, so the ground knows none of them."""

from __future__ import annotations

from fleet import bulk_edit, exports, group_rules
from fleet.imports import runs as import_runs
from fleet.imports import steps as imports
from foundation import mail
from foundation.jobs import Breakdown, Step
from foundation.outbox import Sender
from foundation.timers import Handler, Together
from insights import privacy
from tenancy import audit_export
from updates import compliance
from workers.mail import send as send_mail

SENDERS: dict[str, Sender] = {mail.KIND: send_mail}
JOB_STEPS: dict[str, Step] = {
    audit_export.KIND: audit_export.step,
    bulk_edit.KIND: bulk_edit.step,
    compliance.KIND: compliance.step,
    group_rules.KIND: group_rules.step,
    privacy.KIND: privacy.step,
    exports.KIND: exports.step,
    import_runs.CHECK: imports.check,
    import_runs.APPLY: imports.apply,
}
JOB_BREAKDOWNS: dict[str, Breakdown] = {
    bulk_edit.KIND: bulk_edit.broke_down,
    import_runs.CHECK: imports.broke_down,
    import_runs.APPLY: imports.broke_down,
}
TIMERS: dict[str, Handler] = {import_runs.FORGET: import_runs.forget}
TIMERS_TOGETHER: dict[str, Together] = {}  # of the same kinds, where many at once cost less
