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

variable "domain" {
  type        = string
  description = "The name under which clients find the deployment, such as api.example.org."
  nullable    = false
  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "This is no domain's name, such as api.example.org."
  }
}

variable "vpc_id" {
  type        = string
  description = "The region's network."
  nullable    = false
}

variable "subnets" {
  type        = map(string)
  description = "The ids of public subnets by availability zone: three."
  nullable    = false
  validation {
    condition     = length(var.subnets) == 3
    error_message = "There must be a subnet in each of three availability zones."
  }
}

variable "node_security_group" {
  type        = string
  description = "The security group of the nodes, which let the load balancer in."
  nullable    = false
}

variable "log_bucket" {
  type        = string
  description = "The bucket that takes access logs."
  nullable    = false
}

variable "logs_key_arn" {
  type        = string
  description = "The KMS key that encrypts logs."
  nullable    = false
}

variable "requests_a_minute" {
  type        = number
  description = "How many requests an address may send in a minute before the firewall refuses it. Tenants have limits of their own."
  default     = 60000
  nullable    = false
  validation {
    condition     = var.requests_a_minute >= 100 && floor(var.requests_a_minute) == var.requests_a_minute
    error_message = "The firewall counts from 100 requests."
  }
}

variable "shield" {
  type        = bool
  description = "Whether Shield Advanced protects the load balancer. The account must have subscribed, by the year."
  default     = false
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
