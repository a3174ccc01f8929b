"""CodePipeline: pipelines, their executions, and the actions that an execution runs."""
