"""turnout: a commit to production with zero downtime, on Amazon ECS or for real on one machine."""

__version__ = "0.1.0"
