"""The room lambda: functions really run, in processes of their own; moto keeps their records."""
