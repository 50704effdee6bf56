"""The workers' face: tasks translate between the queue and the domain, and decide nothing."""

from workers.celery_app import app as celery_app

__all__ = ["celery_app"]
