"""The platform of AWS: regions whose parts AWS runs, made by Terraform and asked by boto3."""

from cortexctl.platforms.aws.platform import AwsPlatform

__all__ = ["AwsPlatform"]
