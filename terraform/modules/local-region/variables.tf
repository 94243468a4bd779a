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

variable "name" {
  type        = string
  description = "The region's name."
  nullable    = false
  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", var.name))
    error_message = "A region's name has 1 to 32 of a-z, 0-9 and -, and neither begins nor ends with -."
  }
}

variable "load_balancer_port" {
  type        = number
  description = "The port of the region's load balancer."
  nullable    = false
  validation {
    condition = (
      var.load_balancer_port >= 1024 && var.load_balancer_port <= 65535
      && floor(var.load_balancer_port) == var.load_balancer_port
    )
    error_message = "The port must be a whole number from 1024 to 65535."
  }
}
