"""The room of Amazon ECS: clusters, task definitions, services, task sets and the tasks that really run."""
