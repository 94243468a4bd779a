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

variable "zones" {
  type        = list(string)
  description = "The three availability zones, such as eu-west-1a. Their order decides which addresses each gets."
  nullable    = false
  validation {
    condition     = length(var.zones) == 3 && length(distinct(var.zones)) == 3
    error_message = "There must be three different availability zones."
  }
  validation {
    condition     = alltrue([for zone in var.zones : startswith(zone, var.region)])
    error_message = "The availability zones must be of the region."
  }
}

variable "cidr" {
  type        = string
  description = "The private IPv4 addresses of the region, from /16 to /20, such as 10.16.0.0/16."
  nullable    = false
  validation {
    condition = (
      can(cidrnetmask(var.cidr)) && can(regex("/(16|17|18|19|20)$", var.cidr))
      && can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.cidr))
      && try(cidrhost(var.cidr, 0) == split("/", var.cidr)[0], false)
    )
    error_message = "The addresses must be a private IPv4 network of /16 to /20 without host bits, such as 10.16.0.0/16."
  }
}

variable "peers" {
  type = map(object({
    vpc   = string
    cidr  = string
    asked = optional(string)
  }))
  description = "The networks of the other regions, by region, and the connection that each has asked this one for: empty until they are made."
  default     = {}
  nullable    = false
  validation {
    condition     = !contains(keys(var.peers), var.region)
    error_message = "A region is no peer of itself."
  }
  # Two networks overlap when the wider one's mask makes them the same.
  validation {
    condition = alltrue(flatten([
      for a, one in merge({ (var.region) = var.cidr }, { for name, peer in var.peers : name => peer.cidr }) : [
        for b, two in merge({ (var.region) = var.cidr }, { for name, peer in var.peers : name => peer.cidr }) :
        a == b || try(
          cidrhost("${split("/", one)[0]}/${min(split("/", one)[1], split("/", two)[1])}", 0)
          != cidrhost("${split("/", two)[0]}/${min(split("/", one)[1], split("/", two)[1])}", 0),
          false
        )
      ]
    ]))
    error_message = "The addresses of two regions overlap: nodes could not reach each other. Give each region its own."
  }
}

variable "egress" {
  type        = bool
  description = "Whether nodes reach the internet, through a NAT gateway a zone: for identity providers and audit sinks."
  default     = true
  nullable    = false
}

variable "logs_key_arn" {
  type        = string
  description = "The KMS key that encrypts logs."
  nullable    = false
}

variable "retention_days" {
  type        = number
  description = "For how many days flow logs are kept: a number that CloudWatch Logs knows."
  default     = 365
  nullable    = false
  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827], var.retention_days)
    error_message = "CloudWatch Logs keeps logs for 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096 or 1827 days."
  }
}
