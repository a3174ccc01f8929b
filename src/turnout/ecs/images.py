"""Images of containers by digest: what a tag in ECR means, ECR says; of all others the runtime finds out."""

from __future__ import annotations

from turnout.ecs.room import Room
from turnout.errors import AwsError
from turnout.runtimes.references import is_of_ecr, parse_reference


async def resolve(room: Room, image: str, region: str) -> str:
    """The image by digest. Raises StepFailed in the words of ECS.

    As ECS's agent does, an image that the registry does not have is taken as the engine has it, if it does.
    """
    here = room.config.registry
    if is_of_ecr(image) or here.is_here(image.partition("/")[0]):
        try:
            reference = parse_reference(image, region, here)
        except ValueError:
            return await room.runtime.resolve(image, region)  # which says what is wrong with it
        if reference.region is not None and reference.digest is None:
            try:
                answer = await room.aws.call(
                    "ecr",
                    "DescribeImages",
                    reference.region,
                    registryId=reference.account,
                    repositoryName=reference.repository,
                    imageIds=[{"imageTag": reference.tag or "latest"}],
                )
                reference = reference.at(answer["imageDetails"][0]["imageDigest"])
            except AwsError as error:
                if error.code not in ("RepositoryNotFoundException", "ImageNotFoundException"):
                    raise
        image = str(reference)
    return await room.runtime.resolve(image, region)
