# Nodes pass a write to its owner, which may be in another region. Of two regions the one whose name comes
# first asks, the other finds what was asked and accepts: no state needs another's.

locals {
  asked   = { for region, peer in var.peers : region => peer if sort([var.region, region])[0] == var.region }
  answers = { for region, peer in var.peers : region => peer if sort([var.region, region])[0] == region }
  connections = merge(
    { for region, connection in aws_vpc_peering_connection.asked : region => connection.id },
    { for region, accepter in aws_vpc_peering_connection_accepter.answered : region => accepter.vpc_peering_connection_id },
  )
  ways = merge([
    for region, peer in var.peers : { for zone in var.zones : "${region}/${zone}" => { region = region, zone = zone } }
  ]...)
}

resource "aws_vpc_peering_connection" "asked" {
  for_each = local.asked

  vpc_id      = aws_vpc.this.id
  peer_vpc_id = each.value.vpc
  peer_region = each.key
  tags        = { Name = "${local.name}-${each.key}" }
}

data "aws_vpc_peering_connection" "asking" {
  for_each = local.answers

  vpc_id      = each.value.vpc
  peer_vpc_id = aws_vpc.this.id
  filter {
    name   = "status-code"
    values = ["pending-acceptance", "provisioning", "active"]
  }
}

resource "aws_vpc_peering_connection_accepter" "answered" {
  for_each = local.answers

  vpc_peering_connection_id = data.aws_vpc_peering_connection.asking[each.key].id
  auto_accept               = true
  tags                      = { Name = "${local.name}-${each.key}" }
}

resource "aws_route" "peer" {
  for_each = local.ways

  route_table_id            = aws_route_table.private[each.value.zone].id
  destination_cidr_block    = var.peers[each.value.region].cidr
  vpc_peering_connection_id = local.connections[each.value.region]
}
