"""Application Auto Scaling of ECS services: targets, policies and what they bring about."""
