output "vpc_id" {
  description = "The id of the region's network."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "The region's addresses."
  value       = aws_vpc.this.cidr_block
}

output "private_subnets" {
  description = "The ids of the private subnets, by availability zone."
  value       = { for zone, subnet in aws_subnet.private : zone => subnet.id }
}

output "public_subnets" {
  description = "The ids of the public subnets, by availability zone: for the load balancer alone."
  value       = { for zone, subnet in aws_subnet.public : zone => subnet.id }
}

output "asked" {
  description = "The ids of the connections that this region has asked for, by the region that accepts."
  value       = { for region, connection in aws_vpc_peering_connection.asked : region => connection.id }
}
