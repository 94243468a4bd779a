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

variable "founds" {
  type        = bool
  description = "Whether this region's cluster is the global database's first. Said for its creation alone: which region writes is Aurora's to know, and no apply undoes a failover."
  nullable    = false
}

variable "global_cluster" {
  type        = string
  description = "The identifier of the global database."
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,62}$", var.global_cluster))
    error_message = "A global database's identifier has up to 63 of a-z, 0-9 and -, and begins with a letter."
  }
}

variable "engine_version" {
  type        = string
  description = "The version of Aurora PostgreSQL, major and minor. It must be that of the global database."
  default     = "16.6"
  nullable    = false
  validation {
    condition     = can(regex("^1[6-9]\\.[0-9]+$", var.engine_version))
    error_message = "The version must be PostgreSQL's major and minor, 16 or newer, such as 16.6."
  }
}

variable "master_password" {
  type        = string
  description = "The first password of the owner of the database, which the founding apply alone needs. It is kept nowhere by Terraform."
  default     = null
  ephemeral   = true
  sensitive   = true
  validation {
    condition     = try(length(var.master_password) >= 32, true)
    error_message = "The password must have 32 characters at least."
  }
  validation {
    condition     = try(!can(regex("[/\"@ ]", var.master_password)), true)
    error_message = "Aurora takes no /, \", @ or space in a password."
  }
}

variable "instances" {
  type        = number
  description = "How many instances serve the region, spread over its zones: two at least when protected."
  default     = 3
  nullable    = false
  validation {
    condition     = var.instances >= (var.protected ? 2 : 1) && var.instances <= 15 && floor(var.instances) == var.instances
    error_message = "There must be 1 to 15 instances, two at least in a protected deployment: one may be lost."
  }
}

variable "instance_class" {
  type        = string
  description = "The class of the instances. Global databases need db.r5 or newer."
  default     = "db.r7g.large"
  nullable    = false
  validation {
    condition     = can(regex("^db\\.[rx][5-9]?[a-z]*\\.", var.instance_class))
    error_message = "Global databases run on memory-optimised classes alone, such as db.r7g.large."
  }
}

variable "lag_bound_ms" {
  type        = number
  description = "By how many milliseconds a copy may be behind before an alarm tells: what a lost region may lose."
  default     = 5000
  nullable    = false
  validation {
    condition     = var.lag_bound_ms >= 1000 && var.lag_bound_ms <= 60000
    error_message = "The bound must be from 1000 to 60000 ms: Aurora's usual lag is below a second."
  }
}

variable "rpo_seconds" {
  type        = number
  description = "Commits wait once every copy is more seconds behind than this, 20 at least; null: they never wait."
  default     = null
  validation {
    condition     = try(var.rpo_seconds >= 20 && floor(var.rpo_seconds) == var.rpo_seconds, var.rpo_seconds == null)
    error_message = "Aurora bounds the loss to a whole number of seconds, 20 at least; null for no bound."
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

variable "key_arn" {
  type        = string
  description = "The KMS key that encrypts the data."
  nullable    = false
  validation {
    condition     = can(regex("^arn:aws:kms:${var.region}:", var.key_arn))
    error_message = "This is no ARN of a KMS key of this region."
  }
}

variable "logs_key_arn" {
  type        = string
  description = "The KMS key that encrypts logs."
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
