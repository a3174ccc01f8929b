"""Hooks of lifecycle events: what they are (`file`), the runs that make them happen (`plan`), and their four kinds."""
