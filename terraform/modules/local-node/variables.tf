variable "python" {
  type        = string
  description = "The interpreter that has cortexctl: an absolute path."
  nullable    = false
  validation {
    condition     = startswith(var.python, "/")
    error_message = "The interpreter must be an absolute path."
  }
}

variable "directory" {
  type        = string
  description = "The deployment's directory: an absolute path."
  nullable    = false
  validation {
    condition     = startswith(var.directory, "/")
    error_message = "The deployment's directory must be an absolute path."
  }
}

variable "region" {
  type        = string
  description = "The name of the region the node belongs to."
  nullable    = false
}

variable "region_id" {
  type        = string
  description = "The id of the started region: a region that was started anew starts its nodes anew."
  nullable    = false
}

variable "name" {
  type        = string
  description = "The node's name: the region's, - and a number from 1."
  nullable    = false
  validation {
    condition     = can(regex("^[a-z0-9-]+-[1-9][0-9]*$", var.name))
    error_message = "A node's name is its region's, - and a number from 1."
  }
}

variable "port" {
  type        = number
  description = "The port of the node's TLS listener."
  nullable    = false
  validation {
    condition     = var.port >= 1024 && var.port <= 65535 && floor(var.port) == var.port
    error_message = "The port must be a whole number from 1024 to 65535."
  }
}
