# Nodes pass a write to its owner, which may be in another region. Of two regions the one whose name comes
# first asks for a connection, and the other accepts it once it is told of it.

locals {
  asked    = { for region, peer in var.peers : region => peer if sort([var.region, region])[0] == var.region }
  answered = { for region, peer in var.peers : region => peer.asked if peer.asked != null }
  connections = merge(
    { for region, connection in aws_vpc_peering_connection.asked : region => connection.id },
    { for region, accepter in aws_vpc_peering_connection_accepter.answered : region => accepter.id },
  )
  joined = setunion(keys(local.asked), keys(local.answered))
  ways   = { for way in setproduct(local.joined, var.zones) : "${way[0]}/${way[1]}" => { region = way[0], zone = way[1] } }
}

resource "aws_vpc_peering_connection" "asked" {
  for_each = local.asked

  vpc_id      = aws_vpc.this.id
  peer_vpc_id = each.value.vpc
  peer_region = each.key
  tags        = { Name = "${local.name}-${each.key}" }
}

resource "aws_vpc_peering_connection_accepter" "answered" {
  for_each = local.answered

  vpc_peering_connection_id = each.value
  auto_accept               = true
  tags                      = { Name = "${local.name}-${each.key}" }
}

resource "aws_route" "peer" {
  for_each = local.ways

  route_table_id            = aws_route_table.private[each.value.zone].id
  destination_cidr_block    = var.peers[each.value.region].cidr
  vpc_peering_connection_id = local.connections[each.value.region]
}
