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

variable "tenant" {
  type        = string
  description = "The tenant's name."
  nullable    = false
  validation {
    condition     = can(regex("^[a-z0-9-]{3,40}$", var.tenant))
    error_message = "A tenant's name has 3 to 40 of a-z, 0-9 and -."
  }
}

variable "primary_key_arn" {
  type        = string
  description = "The ARN of the tenant's key in the founding region; null in that region, which makes it."
  default     = null
  validation {
    condition     = try(can(regex("^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/mrk-", var.primary_key_arn)) && !strcontains(var.primary_key_arn, ":${var.region}:"), var.primary_key_arn == null)
    error_message = "The primary key must be a multi-region key of another region: its ARN has key/mrk-."
  }
}

variable "bucket_arn" {
  type        = string
  description = "The ARN of the region's object store for data."
  nullable    = false
}

variable "bucket_key_arn" {
  type        = string
  description = "The ARN of the key of that object store."
  nullable    = false
}

variable "runtime_role_arn" {
  type        = string
  description = "The role of the column runtime, which alone becomes the tenant's."
  nullable    = false
  validation {
    condition     = can(regex("^arn:aws:iam::[0-9]{12}:role/", var.runtime_role_arn))
    error_message = "This is no ARN of an IAM role."
  }
}

variable "quota" {
  type = object({
    concepts = number
    columns  = number
    storage  = number
    requests = number
  })
  description = "What the tenant may have: concepts and columns of all its cortices, bytes stored, requests a second."
  nullable    = false
  validation {
    condition     = alltrue([for amount in values(var.quota) : amount >= 1 && floor(amount) == amount])
    error_message = "Each amount must be a whole number, 1 at least."
  }
}

variable "protected" {
  type        = bool
  description = "Whether this is production: nothing that holds data can be deleted by a slip."
  default     = true
  nullable    = false
}
