# What exists once in a deployment on one machine: the edge.

module "edge" {
  source = "../../../modules/local-edge"

  python    = var.python
  directory = var.directory
  port      = var.edge_port
  regions   = var.regions
}
