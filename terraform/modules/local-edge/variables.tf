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

variable "port" {
  type        = number
  description = "The port that clients connect to."
  nullable    = false
  validation {
    condition     = var.port >= 1024 && var.port <= 65535 && floor(var.port) == var.port
    error_message = "The port must be a whole number from 1024 to 65535."
  }
}

variable "regions" {
  type        = map(number)
  description = "The port of each region's load balancer, by the region's name."
  nullable    = false
  validation {
    condition     = length(var.regions) > 0
    error_message = "There must be a region behind the edge."
  }
}
