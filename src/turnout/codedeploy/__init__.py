"""The room codedeploy: blue/green deployments of ECS services, and the receipt of each."""
