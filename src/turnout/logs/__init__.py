"""CloudWatch Logs: streams and events are ours, in SQLite; groups are moto's."""
