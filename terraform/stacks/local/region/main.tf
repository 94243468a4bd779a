# One region of a deployment on one machine, with its nodes. Each region has a state of its own: a lost
# region must not block another's apply.

module "region" {
  source = "../../../modules/local-region"

  python             = var.python
  directory          = var.directory
  name               = var.region
  load_balancer_port = var.load_balancer_port
}

module "node" {
  source   = "../../../modules/local-node"
  for_each = var.nodes

  python    = var.python
  directory = var.directory
  region    = module.region.name
  region_id = module.region.id
  name      = each.key
  port      = each.value
}
