"""ECR: repositories, their images, and the registry that docker pushes to and pulls from."""
