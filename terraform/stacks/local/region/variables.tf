variable "python" {
  type        = string
  description = "The interpreter that has cortexctl: an absolute path."
  nullable    = false
}

variable "directory" {
  type        = string
  description = "The deployment's directory: an absolute path."
  nullable    = false
}

variable "region" {
  type        = string
  description = "The region's name."
  nullable    = false
}

variable "load_balancer_port" {
  type        = number
  description = "The port of the region's load balancer."
  nullable    = false
}

variable "nodes" {
  type        = map(number)
  description = "The port of each node's TLS listener, by the node's name."
  nullable    = false
  validation {
    condition     = length(var.nodes) > 0
    error_message = "A region has one node at least."
  }
  validation {
    condition     = length(distinct(values(var.nodes))) == length(var.nodes)
    error_message = "No two nodes may have the same port."
  }
}
