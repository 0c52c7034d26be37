"""How Celery is set up; Celery reads this module when it first needs its configuration."""

from __future__ import annotations

from typing import Any

from warmer.broker.queues import KEEP_NEWEST_TASK, TICK_TASK, choose_tls, choose_transport_options, list_queues
from warmer.settings import load_settings_or_exit
from warmer.worker.beat_rounds import KEEP_NEWEST_SECONDS, TICK_SECONDS

_settings = load_settings_or_exit()

broker_url = _settings.broker_url
broker_read_url = broker_write_url = broker_url  # or Celery reads CELERY_BROKER_URL itself, and knows no unix://
broker_use_ssl = choose_tls(_settings)
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a worker outlives any outage of its broker,
broker_channel_error_retry = True  # also one that is there but full, or read-only
broker_transport_options: dict[str, Any] = choose_transport_options(_settings)

broker_heartbeat = 10  # seconds; RabbitMQ's only: a host that is gone without a word is left after twice that

task_queues = list_queues(_settings)
task_default_queue = "warm"
task_serializer = "json"
accept_content = ["json"]
task_ignore_result = True
task_acks_late = True  # a killed worker's message is delivered again
worker_prefetch_multiplier = 1
worker_hijack_root_logger = False
worker_enable_remote_control = True  # Flower asks the workers through it
worker_send_task_events = True  # Flower shows the tasks
task_send_sent_event = False
worker_consumer = "warmer.worker.events:BatchingConsumer"
enable_utc = True
timezone = "UTC"

beat_scheduler = "warmer.worker.beat_scheduler:ModestScheduler"
beat_max_loop_interval = 2  # seconds
beat_schedule = {  # warmer/worker/beat_rounds.py
    "publish-due-warmings": {"task": TICK_TASK, "schedule": TICK_SECONDS, "options": {"queue": "tick"}},
    "keep-newest": {"task": KEEP_NEWEST_TASK, "schedule": KEEP_NEWEST_SECONDS, "options": {"queue": "tick"}},
}
