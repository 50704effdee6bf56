"""Celery carries hints only: every task re-reads what is due from PostgreSQL, so a lost or doubled message does no harm."""

from __future__ import annotations

import os

from celery import Celery
from django.conf import settings

from workers import queues
from workers.schedule import beat_schedule

VISIBILITY_TIMEOUT_S = 120

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
app = Celery("greenroom")
app.conf.update(
    broker_url=settings.REDIS_URL,
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_soft_time_limit=45,
    task_time_limit=60,
    worker_max_tasks_per_child=1000,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_soft_shutdown_timeout=10,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_hijack_root_logger=False,
    accept_content=["json"],
    task_default_queue=queues.DETECT,
    task_routes=queues.ROUTES,
    task_publish_retry=False,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "socket_timeout": 15,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "global_keyprefix": "celery:",
    },
    visibility_timeout=VISIBILITY_TIMEOUT_S,
    timezone="UTC",
    beat_schedule=beat_schedule(),
    beat_max_loop_interval=5,
)
app.autodiscover_tasks(["workers"], related_name="tasks")
