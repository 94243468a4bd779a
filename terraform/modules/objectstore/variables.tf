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
  description = "The other regions of the deployment, whose buckets are there already: all objects are copied to each."
  default     = []
  nullable    = false
  validation {
    condition     = !contains(var.peers, var.region)
    error_message = "A region is no peer of itself."
  }
}

variable "key_arns" {
  type = object({
    audit = string
    data  = string
  })
  description = "The region's keys for data and for the audit log. They must be multi-region: peers have copies of them."
  nullable    = false
  validation {
    condition     = alltrue([for arn in values(var.key_arns) : can(regex("^arn:aws:kms:${var.region}:[0-9]{12}:key/mrk-", arn))])
    error_message = "Each key must be a multi-region key of this region: its ARN has the region and key/mrk-."
  }
}

variable "audit_retention_days" {
  type        = number
  description = "For how many days nobody, root included, can delete an object of the audit log: at least 365 when protected."
  default     = 2557
  nullable    = false
  validation {
    condition     = var.audit_retention_days >= (var.protected ? 365 : 1) && floor(var.audit_retention_days) == var.audit_retention_days
    error_message = "The audit log must be kept for a whole number of days, 365 at least in a protected deployment."
  }
}

variable "protected" {
  type        = bool
  description = "Whether this is production: nothing that holds data can be deleted by a slip."
  default     = true
  nullable    = false
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
