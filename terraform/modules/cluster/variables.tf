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

variable "kubernetes_version" {
  type        = string
  description = "The version of Kubernetes, such as 1.33."
  default     = "1.33"
  nullable    = false
  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "The version must be Kubernetes' major and minor, such as 1.33."
  }
}

variable "machines" {
  type = object({
    types = list(string)
    min   = number
    max   = number
  })
  description = "The machines: their types, the first is tried first, and how many there are at least and at most, over all zones."
  default     = { types = ["m7g.xlarge"], min = 3, max = 30 }
  nullable    = false
  validation {
    condition     = length(var.machines.types) > 0
    error_message = "There must be a type of machine."
  }
  validation {
    condition     = var.machines.min >= (var.protected ? 3 : 1) && var.machines.max >= var.machines.min
    error_message = "There must be a machine at least, three in a protected deployment: one a zone; and no fewer at most than at least."
  }
}

variable "administrators" {
  type        = set(string)
  description = "The ARNs of IAM roles that administer the cluster. Who makes it gets no rights by that."
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for arn in var.administrators : can(regex("^arn:aws:iam::[0-9]{12}:role/", arn))])
    error_message = "Each administrator must be the ARN of an IAM role."
  }
}

variable "api_cidrs" {
  type        = set(string)
  description = "From which public addresses the Kubernetes API may be reached; none: from the region's network alone."
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for cidr in var.api_cidrs : can(cidrnetmask(cidr)) && tonumber(try(split("/", cidr)[1], 0)) >= 16])
    error_message = "Each must be an IPv4 network no wider than /16: the API is not for the whole internet."
  }
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

variable "key_arns" {
  type = object({
    data    = string
    logs    = string
    secrets = string
  })
  description = "The region's keys: for volumes, logs and the secrets of Kubernetes."
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

variable "protected" {
  type        = bool
  description = "Whether this is production: nothing that holds data can be deleted by a slip."
  default     = true
  nullable    = false
}

variable "access" {
  type = object({
    database    = string
    cache       = list(string)
    buckets     = object({ audit = string, data = string })
    bucket_keys = list(string)
    metrics     = string
  })
  description = "What pods reach: the database's resource id, and the ARNs of the cache and its user, the buckets, their keys, and the metrics' workspace."
  nullable    = false
}
