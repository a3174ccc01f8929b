"""CloudWatch: metrics in SQLite, and alarms that are really evaluated; dashboards and the rest are moto's."""
