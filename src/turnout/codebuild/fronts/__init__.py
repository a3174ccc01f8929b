"""What stands before programs on the PATH of a build: docker, podman and docker-compose, and aws for its logins to ECR.

What a buildspec composes, <account>.dkr.ecr.<region>.amazonaws.com/<repository>, stays the name of the image on the
engine. Where the registry itself is spoken to (login, push, pull, and what pulls by the way), the address of the
registry here is put in its place. Everything else goes to the real program as it is.

This package is copied into the build's folder and stands alone, with Python's library (3.9 or newer): a build may
outlive its engine, and may run in a container that has its own Python.
    python -I FOLDER PROGRAM ARGUMENT…
"""
