variable "deployment" {
  type        = string
  description = "The deployment's name."
  nullable    = false
  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$", var.deployment))
    error_message = "A deployment's name has 1 to 16 of a-z, 0-9 and -, begins with a letter and does not end with -."
  }
}

variable "region" {
  type        = string
  description = "The AWS region, such as eu-west-1."
  nullable    = false
  validation {
    condition     = can(regex("^(af|ap|ca|eu|il|me|mx|sa|us)-(central|north|south|(north|south)?(east|west))-[1-9]$", var.region))
    error_message = "This is no AWS region: write it as AWS does, such as eu-west-1."
  }
}

variable "node_type" {
  type        = string
  description = "The type of the cache's nodes."
  default     = "cache.r7g.large"
  nullable    = false
  validation {
    condition     = can(regex("^cache\\.[a-z0-9]+\\.[a-z0-9]+$", var.node_type))
    error_message = "This is no type of a cache's node, such as cache.r7g.large."
  }
}

variable "shards" {
  type        = number
  description = "Over how many shards the entries are spread. It can be changed while the cache serves."
  default     = 2
  nullable    = false
  validation {
    condition     = var.shards >= 1 && var.shards <= 90 && floor(var.shards) == var.shards
    error_message = "There must be 1 to 90 shards."
  }
}

variable "vpc_id" {
  type        = string
  description = "The region's network."
  nullable    = false
}

variable "subnets" {
  type        = map(string)
  description = "The ids of private subnets by availability zone: three."
  nullable    = false
  validation {
    condition     = length(var.subnets) == 3
    error_message = "There must be a subnet in each of three availability zones."
  }
}

variable "client_security_group" {
  type        = string
  description = "The security group of the nodes, which alone may connect."
  nullable    = false
}

variable "key_arns" {
  type = object({
    data = string
    logs = string
  })
  description = "The region's keys: for the entries, and for logs."
  nullable    = false
  validation {
    condition     = alltrue([for arn in values(var.key_arns) : can(regex("^arn:aws:kms:${var.region}:", arn))])
    error_message = "Each must be the ARN of a KMS key of this region."
  }
}

variable "topic_arn" {
  type        = string
  description = "The SNS topic that alarms tell."
  nullable    = false
  validation {
    condition     = can(regex("^arn:aws:sns:", var.topic_arn))
    error_message = "This is no ARN of an SNS topic."
  }
}

variable "retention_days" {
  type        = number
  description = "For how many days logs are kept: a number that CloudWatch Logs knows."
  default     = 365
  nullable    = false
  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.retention_days)
    error_message = "CloudWatch Logs keeps logs for 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096 or 1827 days."
  }
}
