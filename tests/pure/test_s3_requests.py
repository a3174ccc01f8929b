import pytest

from turnout.gateway.moto.s3 import bucket_in_host, decode_chunks


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("127.0.0.1:4566", None),
        ("localhost:4566", None),
        ("s3.localhost:4566", None),
        ("s3.eu-central-1.localhost.localstack.cloud:4566", None),
        ("s3.us-east-1.amazonaws.com", None),
        ("s3-fips.dualstack.us-east-1.amazonaws.com", None),
        ("sts.amazonaws.com", None),
        ("b.localhost:4566", "b"),
        ("b.s3.localhost:4566", "b"),
        ("a.dotted.name.s3.localhost:4566", "a.dotted.name"),
        ("b.s3.eu-central-1.localhost.localstack.cloud", "b"),
        ("b.s3-us-west-2.amazonaws.com", "b"),
        ("b.s3.dualstack.eu-central-1.amazonaws.com", "b"),
    ],
)
def test_the_bucket_in_a_host_name_is_found(host: str, bucket: str | None) -> None:
    assert bucket_in_host(host) == bucket


def test_a_chunked_body_loses_its_chunks_signatures_and_trailers() -> None:
    body = b"5;chunk-signature=ab\r\nhello\r\n3\r\n\r\n!\r\n0\r\nx-amz-checksum-crc32:AAAA==\r\n\r\n"
    assert decode_chunks(body) == (b"hello\r\n!", [("x-amz-checksum-crc32", "AAAA==")])


def test_a_torn_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match="not 5 bytes long"):
        decode_chunks(b"5\r\nhel\r\n0\r\n\r\n")
