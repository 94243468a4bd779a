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

variable "regions" {
  type        = map(string)
  description = "The private addresses of every region of the deployment, by AWS region: three regions at least when protected, six at most."
  nullable    = false
  validation {
    condition     = alltrue([for region in keys(var.regions) : can(regex("^(af|ap|ca|eu|il|me|mx|sa|us)-(central|north|south|(north|south)?(east|west))-[1-9]$", region))])
    error_message = "Regions are named as AWS does, such as eu-west-1."
  }
  validation {
    condition     = contains(keys(var.regions), var.region) && contains(keys(var.regions), var.founder)
    error_message = "This region and the founding one must be among the regions."
  }
  validation {
    condition     = length(var.regions) >= (var.protected ? 3 : 1)
    error_message = "A protected deployment has three regions at least: with two, none can tell which of both is cut off."
  }
  validation {
    condition     = length(var.regions) <= 6
    error_message = "A global database has one region that writes and five copies at most."
  }
  # Two networks overlap when the wider one's mask makes them the same.
  validation {
    condition = alltrue(flatten([
      for a, one in var.regions : [
        for b, two in var.regions :
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

variable "zones" {
  type        = list(string)
  description = "The region's three availability zones. They are named, not looked up: one that is down would change the plan."
  nullable    = false
}

variable "founder" {
  type        = string
  description = "The AWS region that founded the deployment: it makes the keys that others copy, and the database's first cluster."
  nullable    = false
}

variable "peers" {
  type = map(object({
    vpc_id      = string
    asked       = map(string)
    keys        = map(string)
    tenant_keys = map(string)
  }))
  description = "The outputs peer of the other regions, by region: of those that are made already."
  default     = {}
  nullable    = false
  validation {
    condition     = alltrue([for region in keys(var.peers) : region != var.region && contains(keys(var.regions), region)])
    error_message = "Peers are other regions of the deployment."
  }
  validation {
    condition     = var.region == var.founder || contains(keys(var.peers), var.founder)
    error_message = "The founding region is made first: its output peer must be among the peers."
  }
}

variable "domain" {
  type        = string
  description = "The name under which clients find the deployment, such as api.example.org."
  nullable    = false
}

variable "administrators" {
  type        = set(string)
  description = "The ARNs of IAM roles that administer Kubernetes."
  nullable    = false
}

variable "recipients" {
  type        = set(string)
  description = "The addresses of e-mail that alarms reach."
  default     = []
  nullable    = false
}

variable "master_password" {
  type        = string
  description = "The first password of the database's owner: for the founding apply alone, and kept nowhere by Terraform."
  default     = null
  ephemeral   = true
  sensitive   = true
}

variable "machines" {
  type = object({
    types = list(string)
    min   = number
    max   = number
  })
  description = "The machines of Kubernetes: types, at least, at most."
  default     = { types = ["m7g.xlarge"], min = 3, max = 30 }
  nullable    = false
}

variable "database" {
  type = object({
    version      = optional(string, "16.6")
    class        = optional(string, "db.r7g.large")
    instances    = optional(number, 3)
    lag_bound_ms = optional(number, 5000)
    rpo_seconds  = optional(number)
  })
  description = "The database: the version that the global stack has, the instances here, by how much a copy may be behind before an alarm, and after how many seconds of it commits wait."
  default     = {}
  nullable    = false
}

variable "cache" {
  type = object({
    type   = optional(string, "cache.r7g.large")
    shards = optional(number, 2)
  })
  description = "The cache's nodes: their type, and over how many shards entries are spread."
  default     = {}
  nullable    = false
}

variable "kubernetes_version" {
  type        = string
  description = "The version of Kubernetes, such as 1.33."
  default     = "1.33"
  nullable    = false
}

variable "options" {
  type = object({
    egress  = optional(bool, true)
    grafana = optional(bool, false)
    shield  = optional(bool, false)
  })
  description = "What costs extra: the way to the internet, dashboards, Shield Advanced."
  default     = {}
  nullable    = false
}

variable "tenants" {
  type = map(object({
    concepts = number
    columns  = number
    storage  = number
    requests = number
  }))
  description = "The tenants with a key and a prefix of their own here, and their quotas."
  default     = {}
  nullable    = false
  validation {
    condition     = var.region == var.founder || length(setsubtract(keys(var.tenants), keys(try(var.peers[var.founder].tenant_keys, {})))) == 0
    error_message = "A tenant's key is made in the founding region first: apply that, and give its output peer anew."
  }
}

variable "protected" {
  type        = bool
  description = "Whether this is production: nothing that holds data can be deleted by a slip."
  default     = true
  nullable    = false
}
