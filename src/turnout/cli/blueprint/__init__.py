"""The infrastructure of an application by Terraform: the blueprint's files, its state, and who guards an apply."""
