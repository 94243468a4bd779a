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

variable "primaries" {
  type        = map(string)
  description = "The ARNs of the founding region's keys by purpose: empty in that region, which makes the primary keys."
  default     = {}
  nullable    = false
  validation {
    condition     = length(var.primaries) == 0 || toset(keys(var.primaries)) == toset(["audit", "data", "logs", "secrets"])
    error_message = "There must be a primary key for each of audit, data, logs and secrets, or none in the region that makes them."
  }
  validation {
    condition     = alltrue([for arn in values(var.primaries) : can(regex("^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/mrk-", arn))])
    error_message = "A primary key must be a multi-region key: its ARN has key/mrk-."
  }
  validation {
    condition     = !anytrue([for arn in values(var.primaries) : strcontains(arn, ":${var.region}:")])
    error_message = "The primary keys are of this very region: a region cannot copy its own keys. Leave them out."
  }
}

variable "protected" {
  type        = bool
  description = "Whether this is production: nothing that holds data can be deleted by a slip."
  default     = true
  nullable    = false
}
