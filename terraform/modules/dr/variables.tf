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

variable "peers" {
  type        = set(string)
  description = "The other regions of the deployment, whose vaults are there already: every backup is copied to each."
  default     = []
  nullable    = false
  validation {
    condition     = !contains(var.peers, var.region)
    error_message = "A region is no peer of itself."
  }
}

variable "resources" {
  type        = set(string)
  description = "The ARNs of what is backed up: the database's cluster and the object stores."
  nullable    = false
  validation {
    condition = (
      alltrue([for service in ["rds", "s3"] : anytrue([for arn in var.resources : startswith(arn, "arn:aws:${service}:")])])
      && alltrue([for arn in var.resources : can(regex("^arn:aws:(rds|s3):", arn))])
    )
    error_message = "There must be ARNs of what is backed up: of RDS and of S3, and of nothing else."
  }
}

variable "subnet_group" {
  type        = string
  description = "The database's subnet group: there its backups are restored to be tested."
  nullable    = false
}

variable "keep_days" {
  type        = number
  description = "For how many days a backup is kept, and in a protected deployment cannot be deleted."
  default     = 35
  nullable    = false
  validation {
    condition     = var.keep_days >= (var.protected ? 7 : 1) && var.keep_days <= 366 && floor(var.keep_days) == var.keep_days
    error_message = "Backups are kept for a whole number of days from 7, or 1 in a trial, to 366: no longer, since they keep what was erased."
  }
}

variable "key_arn" {
  type        = string
  description = "The KMS key that encrypts backups."
  nullable    = false
  validation {
    condition     = can(regex("^arn:aws:kms:${var.region}:", var.key_arn))
    error_message = "This is no ARN of a KMS key of this region."
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

variable "protected" {
  type        = bool
  description = "Whether this is production: nothing that holds data can be deleted by a slip."
  default     = true
  nullable    = false
}
