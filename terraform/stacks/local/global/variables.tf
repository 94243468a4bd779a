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

variable "edge_port" {
  type        = number
  description = "The port that clients connect to."
  nullable    = false
}

variable "regions" {
  type        = map(number)
  description = "The port of each region's load balancer, by the region's name."
  nullable    = false
}
