"""A broad stack of what moto keeps, built through boto3, and everything that can be read of it.

Run as a script by test_others_survival.py, in a process of its own: `python moto_stack.py FOLDER build|read …`.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tests.fakes.boto import client
from turnout.clock import ManualClock
from turnout.gateway.others import Others

REGION = "eu-central-1"
AT = 1_790_000_000.0

SERVICES = """acm application-autoscaling autoscaling cloudwatch dynamodb ec2 ecr events iam kms lambda logs
resourcegroupstaggingapi route53 s3 secretsmanager sns sqs ssm sts"""

UNSTEADY = {
    ("dynamodb", "ListExports"): "a bug of moto's",
    ("iam", "GetUser"): "moto makes up another default user each time",
    ("ecr", "GetAuthorizationToken"): "a new token for each caller",
    ("iam", "GetCredentialReport"): "must be generated first",
    ("secretsmanager", "GetRandomPassword"): "random by its nature",
    ("sts", "GetSessionToken"): "new credentials for each caller",
}
"""Reads whose answer differs from one to the next, on AWS too."""

SHIPPED = {
    ("ec2", "DescribeImages"),
    ("ec2", "DescribeInstanceTypeOfferings"),
    ("ec2", "DescribeInstanceTypes"),
    ("ec2", "DescribeSnapshotTierStatus"),
    ("ec2", "DescribeSnapshots"),
    ("ec2", "DescribeSpotPriceHistory"),
    ("iam", "GetAccountAuthorizationDetails"),
}
"""Thousands of records that moto ships, and seconds of XML: a few of them are read instead (see `_deeper`)."""

Client = Callable[..., Any]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}
        ],
    }
)


def build(boto: Client) -> dict[str, str]:
    """Make the stack; return the ids that cannot be listed."""
    network = _network(boto("ec2"))
    _access(boto("iam"))
    _objects(boto("s3"))
    ids = _messages(boto("sns"), boto("sqs"), boto("events"))
    ids |= _secrets(boto("acm"), boto("kms"), boto("ssm"), boto("secretsmanager"))
    _names(boto("route53"), network["vpc"])
    return ids | network | _compute(boto, network)


def _network(ec2: Any) -> dict[str, str]:
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[1])
    front = ec2.create_security_group(GroupName="front", Description="front", VpcId=vpc)["GroupId"]
    back = ec2.create_security_group(GroupName="back", Description="back", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=back,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": front}]},
        ],
    )
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.s3", RouteTableIds=[table])
    ec2.create_key_pair(KeyName="ops")
    ec2.create_tags(Resources=[vpc, front], Tags=[{"Key": "Name", "Value": "seed"}])
    return {"vpc": vpc, "subnet": subnets[0], "front": front, "back": back}


def _access(iam: Any) -> None:
    iam.create_role(RoleName="task", AssumeRolePolicyDocument=TRUST)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    arn = iam.create_policy(PolicyName="all", PolicyDocument=policy)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="task", PolicyArn=arn)
    iam.attach_role_policy(
        RoleName="task", PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
    )
    iam.put_role_policy(RoleName="task", PolicyName="inline", PolicyDocument=policy)
    iam.create_instance_profile(InstanceProfileName="host")
    iam.add_role_to_instance_profile(InstanceProfileName="host", RoleName="task")
    iam.create_user(UserName="deployer")
    iam.create_access_key(UserName="deployer")
    iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")


def _objects(s3: Any) -> None:
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"})
    for n in range(3):
        s3.put_object(Bucket="artifacts", Key="source.zip", Body=b"%d" % n * (n * 100_000 + 1), Metadata={"n": str(n)})
    s3.put_object(Bucket="artifacts", Key="gone", Body=b"deleted, but a version remains")
    s3.delete_object(Bucket="artifacts", Key="gone")
    s3.copy_object(Bucket="artifacts", Key="copy", CopySource="artifacts/source.zip")
    upload = s3.create_multipart_upload(Bucket="artifacts", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="artifacts", Key="parts", UploadId=upload, PartNumber=1, Body=b"p" * 70_000)
    s3.complete_multipart_upload(
        Bucket="artifacts",
        Key="parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    unfinished = s3.create_multipart_upload(Bucket="artifacts", Key="unfinished")["UploadId"]
    s3.upload_part(Bucket="artifacts", Key="unfinished", UploadId=unfinished, PartNumber=1, Body=b"u" * 10)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::artifacts"}
        ],
    }
    s3.put_bucket_policy(Bucket="artifacts", Policy=json.dumps(policy))
    s3.put_bucket_tagging(Bucket="artifacts", Tagging={"TagSet": [{"Key": "team", "Value": "web"}]})
    s3.put_public_access_block(Bucket="artifacts", PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    s3.put_bucket_lifecycle_configuration(
        Bucket="artifacts",
        LifecycleConfiguration={
            "Rules": [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}}]
        },
    )


def _messages(sns: Any, sqs: Any, events: Any) -> dict[str, str]:
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="deployments")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="ops@example.com")
    sns.publish(TopicArn=topic, Message="it happened")
    sqs.send_message(QueueUrl=queue, MessageBody="directly")
    events.put_rule(Name="failed", EventPattern=json.dumps({"source": ["aws.codepipeline"]}))
    events.put_targets(Rule="failed", Targets=[{"Id": "topic", "Arn": topic}])
    return {"queue": queue, "topic": topic}


def _secrets(acm: Any, kms: Any, ssm: Any, secretsmanager: Any) -> dict[str, str]:
    certificate = acm.request_certificate(DomainName="web.test", ValidationMethod="DNS")["CertificateArn"]
    key = kms.create_key(Description="artifacts")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/artifacts", TargetKeyId=key)
    pair = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    cipher = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    ssm.put_parameter(Name="/web/url", Value="https://web.test", Type="String")
    ssm.put_parameter(Name="/web/url", Value="https://www.web.test", Type="String", Overwrite=True)
    ssm.put_parameter(Name="/web/token", Value="secret", Type="SecureString")
    secretsmanager.create_secret(Name="db", SecretString='{"password": "hunter2"}')
    secretsmanager.put_secret_value(SecretId="db", SecretString='{"password": "hunter3"}')
    return {"certificate": certificate, "key": key, "pair": pair, "cipher": cipher.hex()}


def _names(route53: Any, vpc: str) -> None:
    zone = route53.create_hosted_zone(Name="web.test", CallerReference="1")["HostedZone"]["Id"]
    alias = {"HostedZoneId": "Z35SXDOTRQ7X7K", "DNSName": "lb.elb.localhost", "EvaluateTargetHealth": False}
    record = {"Name": "www.web.test", "Type": "A", "AliasTarget": alias}
    route53.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    )
    route53.create_hosted_zone(Name="inner.test", CallerReference="2", VPC={"VPCRegion": REGION, "VPCId": vpc})


def _compute(boto: Client, network: dict[str, str]) -> dict[str, str]:
    ecr = boto("ecr")
    ecr.create_repository(repositoryName="web", imageScanningConfiguration={"scanOnPush": True})
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": 2,
            "digest": "sha256:" + "a" * 64,
        },
        "layers": [],
    }
    ecr.put_image(repositoryName="web", imageTag="v1", imageManifest=json.dumps(manifest))
    logs = boto("logs")
    logs.create_log_group(logGroupName="/ecs/web", tags={"team": "web"})
    logs.put_retention_policy(logGroupName="/ecs/web", retentionInDays=7)
    ec2 = boto("ec2")
    images = ec2.describe_images(Filters=[{"Name": "platform", "Values": ["windows"]}])["Images"]
    image, disk = images[0]["ImageId"], images[0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    template = {"ImageId": image, "InstanceType": "t3.micro", "SecurityGroupIds": [network["front"]]}
    ec2.create_launch_template(LaunchTemplateName="host", LaunchTemplateData=template)
    autoscaling = boto("autoscaling")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="hosts",
        LaunchTemplate={"LaunchTemplateName": "host"},
        MinSize=2,
        MaxSize=4,
        VPCZoneIdentifier=network["subnet"],
    )
    scaling = boto("application-autoscaling")
    scaling.register_scalable_target(
        ServiceNamespace="dynamodb",
        ResourceId="table/carts",
        ScalableDimension="dynamodb:table:ReadCapacityUnits",
        MinCapacity=1,
        MaxCapacity=4,
    )
    boto("cloudwatch").put_metric_alarm(
        AlarmName="errors",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="HTTPCode_Target_5XX_Count",
        Namespace="AWS/ApplicationELB",
        Period=60,
        Statistic="Sum",
        Threshold=1.0,
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("hook.py"), "def handler(event, context): return 'Succeeded'")
    boto("lambda").create_function(
        FunctionName="hook",
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/task",
        Handler="hook.handler",
        Code={"ZipFile": packed.getvalue()},
    )
    dynamodb = boto("dynamodb")
    dynamodb.create_table(
        TableName="carts",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="carts", Item={"id": {"S": "1"}, "n": {"N": "7"}})
    return {"image": image, "snapshot": disk}


def read(boto: Client, ids: dict[str, str]) -> dict[str, Any]:
    """Every Describe, List and Get that needs no argument, and those that show what lies deeper."""
    seen: dict[str, Any] = {}
    for service in SERVICES.split():
        made = boto(service)
        for name, operation in made.meta.method_to_api_mapping.items():
            model = made.meta.service_model.operation_model(operation)
            is_read = operation.startswith(("Describe", "List", "Get"))
            needs_nothing = not (model.input_shape and model.input_shape.required_members)
            is_left_out = (service, operation) in SHIPPED or (service, operation) in UNSTEADY
            if is_read and needs_nothing and not is_left_out:
                seen[f"{service}.{operation}"] = _answer(getattr(made, name))
    for title, act in _deeper(boto, ids).items():
        seen[title] = _answer(act)
    return seen


def _deeper(boto: Client, ids: dict[str, str]) -> dict[str, Callable[[], Any]]:
    s3, iam, kms, sqs = boto("s3"), boto("iam"), boto("kms"), boto("sqs")
    versions = s3.list_object_versions(Bucket="artifacts").get("Versions", [])
    zones = [zone["Id"] for zone in boto("route53").list_hosted_zones()["HostedZones"]]
    return {
        **{
            f"s3.{v['Key']}.{v['VersionId']}": lambda v=v: s3.get_object(
                Bucket="artifacts", Key=v["Key"], VersionId=v["VersionId"]
            )
            for v in versions
        },
        **{
            f"route53.{zone}": lambda zone=zone: boto("route53").list_resource_record_sets(HostedZoneId=zone)
            for zone in zones
        },
        "s3.versions": lambda: s3.list_object_versions(Bucket="artifacts"),
        "s3.policy": lambda: s3.get_bucket_policy(Bucket="artifacts"),
        "s3.lifecycle": lambda: s3.get_bucket_lifecycle_configuration(Bucket="artifacts"),
        "s3.tags": lambda: s3.get_bucket_tagging(Bucket="artifacts"),
        "s3.uploads": lambda: s3.list_multipart_uploads(Bucket="artifacts"),
        "iam.role": lambda: iam.list_attached_role_policies(RoleName="task"),
        "iam.inline": lambda: iam.get_role_policy(RoleName="task", PolicyName="inline"),
        "iam.keys": lambda: iam.list_access_keys(UserName="deployer"),
        "acm.certificate": lambda: boto("acm").get_certificate(CertificateArn=ids["certificate"]),
        "acm.details": lambda: boto("acm").describe_certificate(CertificateArn=ids["certificate"]),
        "kms.plain": lambda: kms.decrypt(CiphertextBlob=bytes.fromhex(ids["cipher"])),
        "kms.public": lambda: kms.get_public_key(KeyId=ids["pair"]),
        "ssm.history": lambda: boto("ssm").get_parameter_history(Name="/web/url"),
        "ssm.secret": lambda: boto("ssm").get_parameter(Name="/web/token", WithDecryption=True),
        "secrets.ids": lambda: boto("secretsmanager").list_secret_version_ids(SecretId="db"),
        "secrets.value": lambda: boto("secretsmanager").get_secret_value(SecretId="db")["SecretString"],
        "sns.attributes": lambda: boto("sns").get_topic_attributes(TopicArn=ids["topic"]),
        "sqs.attributes": lambda: sqs.get_queue_attributes(QueueUrl=ids["queue"], AttributeNames=["All"]),
        "ecr.images": lambda: boto("ecr").describe_images(repositoryName="web"),
        "ecr.manifest": lambda: boto("ecr").batch_get_image(repositoryName="web", imageIds=[{"imageTag": "v1"}]),
        "events.targets": lambda: boto("events").list_targets_by_rule(Rule="failed"),
        "lambda.code": lambda: boto("lambda").get_function(FunctionName="hook"),
        "dynamodb.items": lambda: boto("dynamodb").scan(TableName="carts"),
        "ec2.images": lambda: boto("ec2").describe_images(ImageIds=[ids["image"]]),
        "ec2.snapshots": lambda: boto("ec2").describe_snapshots(SnapshotIds=[ids["snapshot"]]),
        "ec2.template": lambda: boto("ec2").describe_launch_template_versions(LaunchTemplateName="host"),
    }


def _answer(act: Callable[[], Any]) -> Any:
    try:
        answer = act()
    except Exception as error:
        return repr(error)
    if isinstance(answer, dict):
        answer.pop("ResponseMetadata", None)
        if hasattr(answer.get("Body"), "read"):
            answer["Body"] = answer["Body"].read()
    return answer


def main(folder: str, *acts: str) -> None:
    """Acts, in their order: build, read:FILE, snapshot, close, kill."""
    others = Others(Path(folder) / "moto", ManualClock(AT))
    others.start()

    @cache
    def boto(service: str) -> Any:
        return client(others, service, REGION)

    ids = Path(folder) / "ids.json"
    for act in acts:
        name, _, argument = act.partition(":")
        if name == "build":
            ids.write_text(json.dumps(build(boto)))
        elif name == "read":
            seen = read(boto, json.loads(ids.read_text()))
            Path(argument).write_text(json.dumps(seen, default=repr, indent=1, sort_keys=True))
        elif name == "snapshot":
            others.snapshot()
        elif name == "close":
            others.close()
        elif name == "kill":
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
