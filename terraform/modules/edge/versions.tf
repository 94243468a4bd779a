terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
      # Route 53 tells CloudWatch in us-east-1, and there alone.
      configuration_aliases = [aws.us_east_1]
    }
  }
}
