variable "deployment" {
  type        = string
  description = "The deployment's name."
  nullable    = false
  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$", var.deployment))
    error_message = "A deployment's name has 1 to 16 of a-z, 0-9 and -, begins with a letter and does not end with -."
  }
}

variable "founder" {
  type        = string
  description = "The AWS region that founded the deployment, and has the primary keys. It need not be the one that writes."
  nullable    = false
  validation {
    condition     = can(regex("^(af|ap|ca|eu|il|me|mx|sa|us)-(central|north|south|(north|south)?(east|west))-[1-9]$", var.founder))
    error_message = "This is no AWS region: write it as AWS does, such as eu-west-1."
  }
}

variable "domain" {
  type        = string
  description = "The name under which clients find the deployment, such as api.example.org."
  nullable    = false
}

variable "zone_id" {
  type        = string
  description = "The Route 53 hosted zone that has the domain."
  nullable    = false
}

variable "load_balancers" {
  type = map(object({
    arn     = string
    name    = string
    zone_id = string
  }))
  description = "The regions' outputs load_balancer, by region: empty on the first apply."
  default     = {}
  nullable    = false
}

variable "engine_version" {
  type        = string
  description = "The version of Aurora PostgreSQL. Another minor one is given to all regions from here."
  default     = "16.6"
  nullable    = false
}

variable "recipients" {
  type        = set(string)
  description = "The addresses of e-mail that alarms reach."
  default     = []
  nullable    = false
}

variable "accelerator" {
  type        = bool
  description = "Whether clients enter by Global Accelerator, else by DNS alone."
  default     = true
  nullable    = false
}

variable "shield" {
  type        = bool
  description = "Whether Shield Advanced protects the edge. The account must have subscribed."
  default     = false
  nullable    = false
}

variable "protected" {
  type        = bool
  description = "Whether this is production: nothing that holds data can be deleted by a slip."
  default     = true
  nullable    = false
}
