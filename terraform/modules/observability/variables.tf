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

variable "logs_key_arn" {
  type        = string
  description = "The KMS key that encrypts logs, metrics and what alarms tell."
  nullable    = false
  validation {
    condition     = can(regex("^arn:aws:kms:${var.region}:", var.logs_key_arn))
    error_message = "This is no ARN of a KMS key of this region."
  }
}

variable "recipients" {
  type        = set(string)
  description = "The addresses of e-mail that alarms reach. Each must confirm once."
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for address in var.recipients : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "Each recipient must be an address of e-mail."
  }
  validation {
    condition     = !var.protected || length(var.recipients) > 0
    error_message = "The alarms of a protected deployment must reach somebody."
  }
}

variable "grafana" {
  type        = bool
  description = "Whether the region has dashboards in Amazon Managed Grafana; people log in by IAM Identity Center."
  default     = false
  nullable    = false
}

variable "errors_a_minute" {
  type        = number
  description = "How many errors nodes may log in a minute before an alarm tells."
  default     = 10
  nullable    = false
  validation {
    condition     = var.errors_a_minute >= 1
    error_message = "The bound must be 1 at least."
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
