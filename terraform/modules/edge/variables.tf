variable "deployment" {
  type        = string
  description = "The deployment's name."
  nullable    = false
  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$", var.deployment))
    error_message = "A deployment's name has 1 to 16 of a-z, 0-9 and -, begins with a letter and does not end with -."
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

variable "zone_id" {
  type        = string
  description = "The Route 53 hosted zone that has the domain."
  nullable    = false
  validation {
    condition     = can(regex("^Z[A-Z0-9]+$", var.zone_id))
    error_message = "A hosted zone's id is Z and capitals and digits."
  }
}

variable "load_balancers" {
  type = map(object({
    arn     = string
    name    = string
    zone_id = string
  }))
  description = "The load balancers behind the edge, by region: empty until the regions are made."
  default     = {}
  nullable    = false
  validation {
    condition     = alltrue([for region in keys(var.load_balancers) : can(regex("^(af|ap|ca|eu|il|me|mx|sa|us)-(central|north|south|(north|south)?(east|west))-[1-9]$", region))])
    error_message = "Load balancers are named by their AWS region, such as eu-west-1."
  }
  validation {
    condition     = !var.protected || length(var.load_balancers) == 0 || length(var.load_balancers) >= 3
    error_message = "A protected deployment has three regions at least: with two, none can tell which of both is cut off."
  }
}

variable "accelerator" {
  type        = bool
  description = "Whether clients enter by Global Accelerator, which leaves a lost region within seconds whatever resolvers remember; else by DNS alone."
  default     = true
  nullable    = false
}

variable "shield" {
  type        = bool
  description = "Whether Shield Advanced protects the edge. The account must have subscribed, by the year."
  default     = false
  nullable    = false
}

variable "recipients" {
  type        = set(string)
  description = "The addresses of e-mail that hear of a region that does not answer. Each must confirm once."
  default     = []
  nullable    = false
  validation {
    condition     = alltrue([for address in var.recipients : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "Each recipient must be an address of e-mail."
  }
}

variable "protected" {
  type        = bool
  description = "Whether this is production: nothing that holds data can be deleted by a slip."
  default     = true
  nullable    = false
}
