# One region of a deployment on AWS. Each has a state of its own: a lost region must not block another's apply.
# What it needs to know of the others comes in by the variable peers.

locals {
  founds  = var.region == var.founder
  peers   = keys(var.peers)
  founder = local.founds ? { keys = {}, tenant_keys = {} } : { keys = var.peers[var.founder].keys, tenant_keys = var.peers[var.founder].tenant_keys }
}

module "keys" {
  source = "../../../modules/keys"

  deployment = var.deployment
  region     = var.region
  primaries  = local.founder.keys
  protected  = var.protected
}

module "observability" {
  source = "../../../modules/observability"

  deployment   = var.deployment
  region       = var.region
  logs_key_arn = module.keys.arns["logs"]
  recipients   = var.recipients
  grafana      = var.options.grafana
  protected    = var.protected
}

module "network" {
  source = "../../../modules/network"

  deployment = var.deployment
  region     = var.region
  zones      = var.zones
  cidr       = var.regions[var.region]
  peers = {
    for region, peer in var.peers : region => { vpc = peer.vpc_id, cidr = var.regions[region], asked = lookup(peer.asked, var.region, null) }
  }
  egress       = var.options.egress
  logs_key_arn = module.keys.arns["logs"]
}

module "objectstore" {
  source = "../../../modules/objectstore"

  deployment = var.deployment
  region     = var.region
  peers      = local.peers
  key_arns   = { audit = module.keys.arns["audit"], data = module.keys.arns["data"] }
  topic_arn  = module.observability.topic_arn
  protected  = var.protected
}

module "cluster" {
  source = "../../../modules/cluster"

  deployment         = var.deployment
  region             = var.region
  machines           = var.machines
  kubernetes_version = var.kubernetes_version
  administrators     = var.administrators
  subnets            = module.network.private_subnets
  key_arns           = { data = module.keys.arns["data"], logs = module.keys.arns["logs"], secrets = module.keys.arns["secrets"] }
  topic_arn          = module.observability.topic_arn
  protected          = var.protected
  access = {
    database    = module.database.resource_id
    cache       = module.cache.arns
    buckets     = { audit = module.objectstore.bucket_arns["audit"], data = module.objectstore.bucket_arns["data"] }
    bucket_keys = [module.keys.arns["audit"], module.keys.arns["data"]]
    metrics     = module.observability.metrics_arn
  }
}

module "database" {
  source = "../../../modules/database"

  deployment            = var.deployment
  region                = var.region
  founds                = local.founds
  global_cluster        = "cortexkg-${var.deployment}"
  master_password       = var.master_password
  engine_version        = var.database.version
  instance_class        = var.database.class
  instances             = var.database.instances
  lag_bound_ms          = var.database.lag_bound_ms
  rpo_seconds           = var.database.rpo_seconds
  vpc_id                = module.network.vpc_id
  subnets               = module.network.private_subnets
  client_security_group = module.cluster.security_group_id
  key_arn               = module.keys.arns["data"]
  logs_key_arn          = module.keys.arns["logs"]
  topic_arn             = module.observability.topic_arn
  protected             = var.protected
}

module "cache" {
  source = "../../../modules/cache"

  deployment            = var.deployment
  region                = var.region
  node_type             = var.cache.type
  shards                = var.cache.shards
  vpc_id                = module.network.vpc_id
  subnets               = module.network.private_subnets
  client_security_group = module.cluster.security_group_id
  key_arns              = { data = module.keys.arns["data"], logs = module.keys.arns["logs"] }
  topic_arn             = module.observability.topic_arn
}

module "ingress" {
  source = "../../../modules/ingress"

  deployment          = var.deployment
  region              = var.region
  domain              = var.domain
  vpc_id              = module.network.vpc_id
  subnets             = module.network.public_subnets
  node_security_group = module.cluster.security_group_id
  log_bucket          = module.objectstore.buckets["access"]
  logs_key_arn        = module.keys.arns["logs"]
  shield              = var.options.shield
  topic_arn           = module.observability.topic_arn
  protected           = var.protected
}

module "dr" {
  source = "../../../modules/dr"

  deployment   = var.deployment
  region       = var.region
  peers        = local.peers
  resources    = [module.database.cluster_arn, module.objectstore.bucket_arns["audit"], module.objectstore.bucket_arns["data"]]
  subnet_group = module.database.subnet_group
  key_arn      = module.keys.arns["data"]
  topic_arn    = module.observability.topic_arn
  protected    = var.protected
}

module "tenant" {
  source   = "../../../modules/tenant"
  for_each = var.tenants

  deployment       = var.deployment
  region           = var.region
  tenant           = each.key
  primary_key_arn  = local.founds ? null : local.founder.tenant_keys[each.key]
  bucket_arn       = module.objectstore.bucket_arns["data"]
  bucket_key_arn   = module.keys.arns["data"]
  runtime_role_arn = module.cluster.roles["runtime"]
  quota            = each.value
  protected        = var.protected
}
